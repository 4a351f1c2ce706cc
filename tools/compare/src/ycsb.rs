//! The mixes of YCSB.

use crate::peer::Peer;
use crate::work::Worker;
use anyhow::Result;
use extentdb_measure::random::Random;
use extentdb_measure::ycsb::{Mix, Operation, Workload};

/// One mix under way.
#[derive(Debug)]
pub(crate) struct Ycsb {
    workload: Workload,
}

impl Ycsb {
    /// Inserts have numbers of their own in each `round`.
    pub(crate) fn new(mix: Mix, keys: u64, round: u64) -> Self {
        let first = (mix as u64 + 1) << 48 | round << 40;
        Self { workload: Workload::new(mix, keys, first) }
    }

    /// One operation.
    pub(crate) fn operate(
        &self,
        worker: &Worker<'_>,
        store: &dyn Peer,
        random: &mut Random,
    ) -> Result<()> {
        match self.workload.next(random) {
            Operation::Read(number) => worker.get(store, number),
            Operation::Update(number) => worker.put(store, number, random).map(drop),
            Operation::Insert(number) => {
                worker.put(store, number, random)?;
                self.workload.inserted(number);
                Ok(())
            }
            Operation::Scan { first, records } => {
                worker.scan(store, first, records as usize).map(drop)
            }
            Operation::ReadModifyWrite(number) => {
                worker.get(store, number)?;
                worker.put(store, number, random).map(drop)
            }
        }
    }
}
