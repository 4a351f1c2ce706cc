//! The mixes of YCSB.

use crate::cell::Mix;
use crate::peer::Peer;
use crate::random::{Random, Zipf, mix};
use crate::work::Worker;
use anyhow::Result;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most records of a scan.
const SCAN_RECORDS: u64 = 100;

/// One mix under way.
#[derive(Debug)]
pub(crate) struct Ycsb {
    mix: Mix,
    /// Keys that were loaded; their numbers are below this.
    keys: u64,
    /// The first number of the keys that are inserted.
    first: u64,
    inserted: AtomicU64,
    zipf: Zipf,
}

impl Ycsb {
    /// Inserts have numbers of their own in each `round`.
    pub(crate) fn new(mix: Mix, keys: u64, round: u64) -> Self {
        let first = (mix as u64 + 1) << 48 | round << 40;
        Self { mix, keys, first, inserted: AtomicU64::new(0), zipf: Zipf::new(keys) }
    }

    /// One operation.
    pub(crate) fn operate(
        &self,
        worker: &Worker<'_>,
        store: &dyn Peer,
        random: &mut Random,
    ) -> Result<()> {
        let is_rare = random.below(100) < 5;
        let is_half = random.below(2) == 0;
        match self.mix {
            Mix::A if is_half => self.update(worker, store, random),
            Mix::B if is_rare => self.update(worker, store, random),
            Mix::D | Mix::E if is_rare => self.insert(worker, store, random),
            Mix::D => self.get_latest(worker, store, random),
            Mix::E => {
                let records = 1 + random.below(SCAN_RECORDS) as usize;
                worker.scan(store, self.choose(random), records).map(drop)
            }
            Mix::F if is_half => {
                let number = self.choose(random);
                worker.get(store, number)?;
                worker.put(store, number, random).map(drop)
            }
            Mix::A | Mix::B | Mix::C | Mix::F => worker.get(store, self.choose(random)),
        }
    }

    fn update(&self, worker: &Worker<'_>, store: &dyn Peer, random: &mut Random) -> Result<()> {
        worker.put(store, self.choose(random), random).map(drop)
    }

    fn insert(&self, worker: &Worker<'_>, store: &dyn Peer, random: &mut Random) -> Result<()> {
        let number = self.first + self.inserted.fetch_add(1, Ordering::Relaxed);
        worker.put(store, number, random).map(drop)
    }

    fn get_latest(&self, worker: &Worker<'_>, store: &dyn Peer, random: &mut Random) -> Result<()> {
        let inserted = self.inserted.load(Ordering::Relaxed);
        let age = self.zipf.next(random);
        if age < inserted {
            // It may be on its way still.
            return worker.try_get(store, self.first + inserted - 1 - age).map(drop);
        }
        worker.get(store, self.keys - 1 - (age - inserted))
    }

    /// A loaded key: a few are common, and they are anywhere.
    fn choose(&self, random: &mut Random) -> u64 {
        mix(self.zipf.next(random)) % self.keys
    }
}
