//! The store: what its parts do.

use super::part::Part;
use crate::args::ReadsArgs;
use crate::measure::drive::{Limit, drive};
use crate::measure::load::Load;
use crate::measure::random::Random;
use crate::measure::room;
use crate::measure::sample::Sample;
use crate::measure::shape::Shape;
use anyhow::{Context, Result, ensure};
use extentdb::{Db, Entry, IoUring, Iter, Options};
use std::fs;
use std::time::Instant;

const KEY_BYTES: usize = 16;
/// Keys of a multi-get.
pub(super) const MANY: usize = 32;
/// Keys that are hot.
const HOT_KEYS: u64 = 10_000;
/// Gets that are timed together where one takes too little time to be timed.
const GETS_AT_A_TIME: u64 = 64;

/// A store under measurement.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) db: Db,
    load: Load,
    keys: u64,
    /// The keys in random order, from the next that is to be read on.
    order: Vec<u32>,
    random: Random,
}

impl Store {
    /// A new volume, filled.
    pub(super) fn create(args: &ReadsArgs) -> Result<Self> {
        let needed = args.keys * (args.value_bytes + 64) * 2 + (1 << 30);
        room::check(&args.volume, needed, "give fewer --keys or a smaller --value-bytes")?;
        let io_uring = if args.no_io_uring { IoUring::Off } else { IoUring::Preferred };
        let db = Options::new()
            .create_new(true)
            .direct_io(args.direct.into())
            .io_uring(io_uring)
            .cache_bytes(args.cache_bytes as usize)
            .open(&args.volume)?;
        let value_bytes = args.value_bytes as usize;
        let load = Load::new(&db, Shape::new(KEY_BYTES, 0, value_bytes, value_bytes), 8, 64);
        let mut store =
            Self { db, load, keys: args.keys, order: Vec::new(), random: Random::new(21) };
        store.order = store.random.order(args.keys);
        if let Err(error) = store.fill() {
            // What is said is why it could not be filled.
            let _ = fs::remove_file(&args.volume);
            return Err(error);
        }
        Ok(store)
    }

    fn fill(&self) -> Result<()> {
        self.load.insert(0..self.keys)?;
        Ok(self.db.sync()?)
    }

    /// Reads some random values.
    pub(super) fn read_some(&self) -> Result<()> {
        let mut key = Vec::new();
        for &number in self.order.iter().rev().take(2000) {
            let number = u64::from(number);
            check(number, self.db.get(self.load.shape.key(number, &mut key))?.as_deref())?;
        }
        Ok(())
    }

    /// Reads what is hot.
    pub(super) fn warm_up(&self, part: Part) -> Result<()> {
        let mut key = Vec::new();
        if part == Part::Hot {
            // What is read again enters the cache.
            for _ in 0..2 {
                for number in 0..self.hot_keys() {
                    self.db.get(self.load.shape.key(number, &mut key))?;
                }
            }
        }
        Ok(())
    }

    fn hot_keys(&self) -> u64 {
        self.keys.min(HOT_KEYS)
    }

    /// Does `part` until `limit`.
    pub(super) fn slice(&mut self, part: Part, limit: Limit) -> Result<Sample> {
        match part {
            Part::Get | Part::Get16 => self.gets(part.threads(), limit),
            Part::MultiGet => self.multi_gets(limit),
            Part::Scan => self.scan(limit, |db, first| db.range(first..), Iterator::next),
            Part::ScanBack => {
                self.scan(limit, |db, last| db.range(..=last), DoubleEndedIterator::next_back)
            }
            Part::Hot => self.hot_gets(part.threads(), limit),
        }
    }

    fn gets(&mut self, threads: usize, limit: Limit) -> Result<Sample> {
        let (db, shape, order) = (&self.db, &self.load.shape, &self.order);
        let sample = drive(threads, limit, |_| {
            let mut key = Vec::new();
            Ok(move |number: u64| {
                let number = order[(number % order.len() as u64) as usize];
                check(u64::from(number), db.get(shape.key(number.into(), &mut key))?.as_deref())
            })
        })?;
        self.turn(sample.ops());
        Ok(sample)
    }

    fn multi_gets(&mut self, limit: Limit) -> Result<Sample> {
        let begun = Instant::now();
        let (mut sample, mut key) = (Sample::new(), Vec::new());
        while begun.elapsed() < limit.time {
            let numbers = &self.order[..MANY.min(self.order.len())];
            let shape = &self.load.shape;
            let keys: Vec<Vec<u8>> =
                numbers.iter().map(|&n| shape.key(n.into(), &mut key).to_vec()).collect();
            let one = Instant::now();
            let values = self.db.multi_get(&keys);
            sample.record(one.elapsed() / MANY as u32, MANY as u64);
            for (&number, value) in numbers.iter().zip(values) {
                check(number.into(), value?.as_deref())?;
            }
            self.turn(MANY as u64);
        }
        sample.took(begun.elapsed());
        Ok(sample)
    }

    /// Later slices begin with other keys.
    fn turn(&mut self, by: u64) {
        let by = by % self.order.len() as u64;
        self.order.rotate_left(by as usize);
    }

    /// Scans from random keys on, each to the end.
    fn scan(
        &mut self,
        limit: Limit,
        begin: impl Fn(&Db, Vec<u8>) -> Iter,
        step: impl Fn(&mut Iter) -> Option<extentdb::Result<Entry>>,
    ) -> Result<Sample> {
        let (mut count, mut key) = (0_u64, Vec::new());
        let begun = Instant::now();
        while begun.elapsed() < limit.time {
            let first = self.load.shape.key(self.random.below(self.keys), &mut key).to_vec();
            let mut entries = begin(&self.db, first);
            while let Some(entry) = step(&mut entries) {
                let value = entry?.value()?;
                ensure!(value.len() == self.load.shape.value_bytes, "a value has another length");
                count += 1;
                if count.is_multiple_of(64) && begun.elapsed() >= limit.time {
                    break;
                }
            }
        }
        let mut sample = Sample::new();
        sample.record(begun.elapsed() / count.max(1) as u32, count);
        sample.took(begun.elapsed());
        Ok(sample)
    }

    fn hot_gets(&self, threads: usize, limit: Limit) -> Result<Sample> {
        let (db, shape, hot) = (&self.db, &self.load.shape, self.hot_keys());
        let sample = drive(threads, limit, |thread| {
            let (mut random, mut key) = (Random::new(thread as u64), Vec::new());
            Ok(move |_| {
                for _ in 0..GETS_AT_A_TIME {
                    let number = random.below(hot);
                    check(number, db.get(shape.key(number, &mut key))?.as_deref())?;
                }
                Ok(())
            })
        })?;
        Ok(sample.each_of(GETS_AT_A_TIME))
    }

    /// Closes it. The volume has no name any more.
    pub(super) fn close(self) -> Result<()> {
        let Self { db, load, .. } = self;
        drop(load);
        Ok(db.close()?)
    }
}

/// Refuses what is not the value of key number `number`.
fn check(number: u64, value: Option<&[u8]>) -> Result<()> {
    let value = value.context("a key that was put is absent")?;
    ensure!(Shape::version(number, value) == Some(0), "the value of another key");
    Ok(())
}
