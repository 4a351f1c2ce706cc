//! What has been written, to tell one stretch of a churn from another.

use extentdb::Metrics;
use serde::Serialize;
use std::ops::{Add, Sub};

/// Bytes since the store was opened, or of a stretch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counters {
    /// Records accepted.
    pub(super) records: u64,
    pub(super) log: u64,
    pub(super) large: u64,
    pub(super) collected: u64,
    pub(super) checkpoint: u64,
    pub(super) prepared: u64,
    pub(super) upkeep: u64,
}

impl Counters {
    /// Those of `metrics`.
    pub(super) fn of(metrics: &Metrics) -> Self {
        let written = &metrics.written;
        Self {
            records: metrics.record_bytes,
            log: written.log,
            large: written.large,
            collected: written.collected,
            checkpoint: written.checkpoint,
            prepared: written.prepared,
            upkeep: written.upkeep,
        }
    }

    /// What was written to extents of log and values, footers included, for each byte of records;
    /// `None` without any.
    pub(super) fn amplification(&self) -> Option<f64> {
        self.per_record_byte(self.log + self.large + self.collected + self.upkeep)
    }

    /// All that was written, whatever for.
    pub(super) fn all(&self) -> u64 {
        self.log + self.large + self.collected + self.checkpoint + self.prepared + self.upkeep
    }

    /// `bytes` for each byte of records; `None` without any.
    pub(super) fn per_record_byte(&self, bytes: u64) -> Option<f64> {
        (self.records > 0).then(|| bytes as f64 / self.records as f64)
    }
}

impl Add for Counters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            log: self.log + other.log,
            large: self.large + other.large,
            collected: self.collected + other.collected,
            checkpoint: self.checkpoint + other.checkpoint,
            prepared: self.prepared + other.prepared,
            upkeep: self.upkeep + other.upkeep,
        }
    }
}

impl Sub for Counters {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            records: self.records - before.records,
            log: self.log - before.log,
            large: self.large - before.large,
            collected: self.collected - before.collected,
            checkpoint: self.checkpoint - before.checkpoint,
            prepared: self.prepared - before.prepared,
            upkeep: self.upkeep - before.upkeep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_what_came_between() {
        let before = Counters { records: 100, log: 110, collected: 7, ..Counters::default() };
        let after = Counters { records: 200, log: 230, collected: 87, ..before };
        let stretch = after - before;
        assert_eq!(stretch.amplification(), Some(2.0));
        assert_eq!(stretch.all(), 200);
        assert_eq!(before + stretch, after);
        assert_eq!((after - after).amplification(), None);
    }

    #[test]
    fn checkpoints_and_preparation_do_not_amplify() {
        let counters = Counters {
            records: 100,
            log: 50,
            large: 30,
            collected: 20,
            checkpoint: 1,
            prepared: 2,
            upkeep: 4,
        };
        assert_eq!(counters.amplification(), Some(1.04));
        assert_eq!(counters.all(), 107);
    }
}
