//! The store: what its phases do.

use super::keys::{key, prefix};
use crate::measure::drive::{Limit, drive, drive_ahead};
use crate::measure::random::{Bytes, Random};
use crate::measure::sample::Sample;
use crate::measure::timeline::{Recorder, Timeline};
use anyhow::{Context, Result, ensure};
use extentdb::Db;
use std::collections::HashMap;
use std::time::{Instant, SystemTime};

/// Keys that are timed together where one takes too little time to be timed.
const KEYS_AT_A_TIME: u64 = 256;
/// The longest value, in bytes.
const LONGEST: usize = 1 << 20;

/// A store under measurement.
#[derive(Debug)]
pub(super) struct Store {
    db: Db,
    bytes: Bytes,
    /// Keys that have been put, by length of their values.
    keys: HashMap<u64, u64>,
    /// Gives each slice a generator of its own.
    slices: u64,
}

impl Store {
    /// A store that is empty so far.
    pub(super) fn new(db: Db) -> Self {
        Self { db, bytes: Bytes::new(LONGEST), keys: HashMap::new(), slices: 0 }
    }

    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    /// Keys that have values of `value_bytes` bytes.
    pub(super) fn keys(&self, value_bytes: u64) -> u64 {
        self.keys.get(&value_bytes).copied().unwrap_or(0)
    }

    /// Durable puts of new keys.
    pub(super) fn puts(
        &mut self,
        value_bytes: u64,
        threads: usize,
        limit: Limit,
    ) -> Result<Sample> {
        let base = self.keys(value_bytes);
        let sample = self.write(value_bytes, threads, limit, |_, number| base + number)?;
        self.keys.insert(value_bytes, base + sample.ops());
        Ok(sample)
    }

    /// Durable puts of new keys by tasks, so many of each thread.
    pub(super) fn puts_of_tasks(
        &mut self,
        value_bytes: u64,
        threads: usize,
        tasks: usize,
        limit: Limit,
    ) -> Result<Sample> {
        let base = self.keys(value_bytes);
        self.slices += 1;
        let (db, bytes, seed) = (&self.db, &self.bytes, self.slices << 32);
        let begin = |_, number: u64| {
            let value = bytes.pick(&mut Random::new(seed | number), value_bytes as usize);
            db.put_async(key(value_bytes, base + number), value)
        };
        let sample = drive_ahead(threads, tasks, limit, begin, |put| Ok(put.wait()?))?;
        self.keys.insert(value_bytes, base + sample.ops());
        Ok(sample)
    }

    /// Durable puts of random keys that have values already.
    pub(super) fn overwrites(
        &mut self,
        value_bytes: u64,
        threads: usize,
        limit: Limit,
    ) -> Result<Sample> {
        let keys = self.keys(value_bytes);
        self.write(value_bytes, threads, limit, |random, _| random.below(keys))
    }

    /// The same out of aligned memory, with whatever is in it: what a caller makes there is no copy.
    pub(super) fn aligned_overwrites(
        &mut self,
        value_bytes: u64,
        threads: usize,
        limit: Limit,
    ) -> Result<Sample> {
        self.slices += 1;
        let (db, keys, seed) = (&self.db, self.keys(value_bytes), self.slices << 32);
        drive(threads, limit, |thread| {
            let mut random = Random::new(seed | thread as u64);
            Ok(move |_| {
                let value = db.aligned_buf(value_bytes as usize)?;
                Ok(db.put_aligned(key(value_bytes, random.below(keys)), value)?)
            })
        })
    }

    fn write(
        &mut self,
        value_bytes: u64,
        threads: usize,
        limit: Limit,
        choose: impl Fn(&mut Random, u64) -> u64 + Sync,
    ) -> Result<Sample> {
        self.slices += 1;
        let seed = self.slices << 32;
        let (db, bytes, choose) = (&self.db, &self.bytes, &choose);
        drive(threads, limit, |thread| {
            let mut random = Random::new(seed | thread as u64);
            Ok(move |number| {
                let value = bytes.pick(&mut random, value_bytes as usize);
                let number = choose(&mut random, number);
                Ok(db.put(key(value_bytes, number), value)?)
            })
        })
    }

    /// Gets of the keys that `order` lists, each once.
    pub(super) fn gets(
        &self,
        value_bytes: u64,
        threads: usize,
        order: &[u32],
        limit: Limit,
    ) -> Result<Sample> {
        let limit = Limit { ops: limit.ops.min(order.len() as u64), ..limit };
        drive(threads, limit, |_| {
            Ok(|number| {
                let number = order[number as usize];
                let value = self.db.get(key(value_bytes, u64::from(number)))?;
                let value = value.context("a key that was put is absent")?;
                ensure!(value.len() as u64 == value_bytes, "a value has another length");
                Ok(())
            })
        })
    }

    /// Gets of `depth` keys together, those of `order` in turn, by one thread. An operation is one
    /// such multi-get.
    pub(super) fn multi_gets(
        &self,
        value_bytes: u64,
        depth: usize,
        order: &[u32],
        limit: Limit,
    ) -> Result<Sample> {
        drive(1, limit, |_| {
            let mut keys = Vec::with_capacity(depth);
            Ok(move |number: u64| {
                let first = number as usize * depth;
                keys.clear();
                keys.extend(
                    (first..first + depth)
                        .map(|n| order[n % order.len()])
                        .map(|number| key(value_bytes, u64::from(number))),
                );
                for value in self.db.multi_get(&keys) {
                    let value = value?.context("a key that was put is absent")?;
                    ensure!(value.len() as u64 == value_bytes, "a value has another length");
                }
                Ok(())
            })
        })
    }

    /// A scan in key order, with values; from the beginning again where it ends early.
    pub(super) fn scan(&self, value_bytes: u64, limit: Limit) -> Result<Sample> {
        let mut entries = self.db.prefix(prefix(value_bytes));
        drive_here(limit, |recorder| {
            let begun = Instant::now();
            let Some(entry) = entries.next() else {
                entries = self.db.prefix(prefix(value_bytes));
                return Ok(0);
            };
            let value = entry?.value()?;
            let ended = Instant::now();
            recorder.record(0, ended, ended - begun);
            ensure!(value.len() as u64 == value_bytes, "a value has another length");
            Ok(1)
        })
    }

    /// A scan in key order of the keys alone.
    pub(super) fn scan_keys(&self, value_bytes: u64, limit: Limit) -> Result<Sample> {
        let mut keys = self.db.prefix(prefix(value_bytes)).keys();
        drive_here(limit, |recorder| {
            let begun = Instant::now();
            let mut count = 0;
            for key in keys.by_ref().take(KEYS_AT_A_TIME as usize) {
                key?;
                count += 1;
            }
            if count == 0 {
                keys = self.db.prefix(prefix(value_bytes)).keys();
            } else {
                let ended = Instant::now();
                recorder.record_n(0, ended, (ended - begun) / count as u32, count);
            }
            Ok(count)
        })
    }
}

/// Does `step` on this thread until `limit`, at least once.
fn drive_here(
    limit: Limit,
    mut step: impl FnMut(&mut Recorder<'_>) -> Result<u64>,
) -> Result<Sample> {
    let timeline = Timeline::new(1, limit.time);
    let mut recorder = timeline.recorder();
    let (at, begun, mut ops) = (SystemTime::now(), Instant::now(), 0);
    recorder.begin(begun);
    while ops == 0 || (begun.elapsed() < limit.time && ops < limit.ops) {
        ops += step(&mut recorder)?;
    }
    drop(recorder);
    let samples = timeline.samples(at, begun.elapsed());
    samples.into_iter().next().context("nothing was measured")
}
