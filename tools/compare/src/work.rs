//! The calls that the threads make.

use crate::cell::{BATCH, Cell, Work};
use crate::drive::{Limit, Sample, drive};
use crate::message::{Message, say};
use crate::peer::{Kind, Peer, Record};
use crate::shape::{Values, key};
use crate::ycsb::Ycsb;
use anyhow::{Result, ensure};
use extentdb_measure::random::Random;
use std::cell::RefCell;
use std::time::Duration;

/// The most keys that hot gets ask for.
const HOT_KEYS: u64 = 10_000;
/// Bytes of a batch that loads.
const LOAD_BYTES: u64 = 1 << 20;
/// Loading takes less.
const LOAD_TIME: Duration = Duration::from_secs(24 * 60 * 60);
/// A message about progress is due after so many calls.
const CALLS_PER_MESSAGE: u64 = 1 << 10;

thread_local! {
    /// The value that a thread puts.
    static VALUE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Does the work of a cell.
pub(crate) struct Worker<'c> {
    cell: &'c Cell,
    pub(crate) values: Values,
    /// Whether the store keeps what it is given.
    has_values: bool,
    round: u64,
    ycsb: Option<Ycsb>,
}

impl<'c> Worker<'c> {
    pub(crate) fn new(cell: &'c Cell, kind: Kind, round: u64) -> Result<Self> {
        ensure!(cell.value_bytes >= 8 && cell.keys > 0, "values are of 8 bytes or more");
        let ycsb = match cell.work {
            Work::Ycsb { mix } => Some(Ycsb::new(mix, cell.keys, round)),
            _ => None,
        };
        let values = Values::new(cell.value_bytes);
        Ok(Self { cell, values, has_values: kind != Kind::Raw, round, ycsb })
    }

    /// Does it until `limit`, so that caches have what they would have.
    pub(crate) fn warm_up(&self, store: &dyn Peer, limit: Limit) -> Result<()> {
        if self.cell.work == Work::HotGet {
            (0..self.hot_keys()).try_for_each(|number| self.get(store, number))?;
        }
        self.run(store, limit)?;
        Ok(())
    }

    /// Does it until `limit`.
    pub(crate) fn run(&self, store: &dyn Peer, limit: Limit) -> Result<Sample> {
        let keys = self.cell.keys;
        match self.cell.work {
            Work::Load => self.load(store),
            Work::Put => self.drive(limit, |random, _| self.put(store, random.below(keys), random)),
            Work::Churn => self.drive(limit, |random, call| {
                progress(call, limit)?;
                self.put(store, random.below(keys), random)
            }),
            Work::Get | Work::Open => {
                self.drive(limit, |random, _| self.get(store, random.below(keys)).map(|()| 1))
            }
            Work::HotGet => self.drive(limit, |random, _| {
                self.get(store, random.below(self.hot_keys())).map(|()| 1)
            }),
            Work::MultiGet => self.drive(limit, |random, _| self.multi_get(store, random)),
            Work::Scan { records } => {
                self.drive(limit, |random, _| self.scan(store, random.below(keys), records))
            }
            Work::Ycsb { .. } => self.drive(limit, |random, _| match &self.ycsb {
                Some(ycsb) => ycsb.operate(self, store, random).map(|()| 1),
                None => Ok(0),
            }),
        }
    }

    fn drive(
        &self,
        limit: Limit,
        call: impl Fn(&mut Random, u64) -> Result<u64> + Sync,
    ) -> Result<Sample> {
        drive(self.cell.threads, limit, self.round, call)
    }

    fn hot_keys(&self) -> u64 {
        (self.cell.keys / 100).clamp(1, HOT_KEYS)
    }

    /// Puts every key once. Their numbers are in order, which is none to the keys.
    fn load(&self, store: &dyn Peer) -> Result<Sample> {
        let each = (LOAD_BYTES / self.cell.record_bytes()).max(1);
        let limit = Limit { time: LOAD_TIME, calls: self.cell.keys.div_ceil(each) };
        self.drive(limit, |random, call| {
            let numbers = call * each..self.cell.keys.min((call + 1) * each);
            let records: Vec<Record> = numbers.map(|number| self.record(number, random)).collect();
            store.write(&records)?;
            say(&Message::Progress { done: call + 1, of: limit.calls })?;
            Ok(records.len() as u64)
        })
    }

    fn record(&self, number: u64, random: &mut Random) -> Record {
        let mut value = Vec::new();
        self.values.make(number, random, &mut value);
        (key(number), value)
    }

    /// Overwrites key number `number`, or inserts it.
    pub(crate) fn put(&self, store: &dyn Peer, number: u64, random: &mut Random) -> Result<u64> {
        VALUE.with_borrow_mut(|value| {
            store.put(&key(number), self.values.make(number, random, value))
        })?;
        Ok(1)
    }

    /// Gets the value of key number `number`, which must be there.
    pub(crate) fn get(&self, store: &dyn Peer, number: u64) -> Result<()> {
        let mut is_right = Ok(());
        let is_there =
            store.get(&key(number), &mut |value| is_right = self.verify(number, value))?;
        ensure!(is_there, "a value is gone");
        is_right
    }

    fn multi_get(&self, store: &dyn Peer, random: &mut Random) -> Result<u64> {
        let numbers: Vec<_> = (0..BATCH).map(|_| random.below(self.cell.keys)).collect();
        let keys: Vec<_> = numbers.iter().map(|number| key(*number)).collect();
        let mut are_right = Ok(());
        let found = store.multi_get(&keys, &mut |n, value| {
            if let Err(wrong) = self.verify(numbers[n], value) {
                are_right = Err(wrong);
            }
        })?;
        ensure!(found == BATCH, "values are gone");
        are_right.map(|()| BATCH as u64)
    }

    /// Reads up to `records` records from key number `number` on. Says how many there were.
    pub(crate) fn scan(&self, store: &dyn Peer, number: u64, records: usize) -> Result<u64> {
        let (mut last, mut is_right) = (Vec::new(), true);
        let shown = store.scan(&key(number), records, &mut |key, value| {
            let is_next = key > last.as_slice() && value.len() == self.cell.value_bytes;
            is_right &= is_next || !self.has_values;
            last.clear();
            last.extend_from_slice(key);
        })?;
        ensure!(is_right, "a scan is out of order");
        Ok(shown as u64)
    }

    fn verify(&self, number: u64, value: &[u8]) -> Result<()> {
        if self.has_values { self.values.verify(number, value) } else { Ok(()) }
    }
}

fn progress(call: u64, limit: Limit) -> Result<()> {
    match call % CALLS_PER_MESSAGE {
        0 => say(&Message::Progress { done: call, of: limit.calls }),
        _ => Ok(()),
    }
}
