//! What one interval of a churn shows.

use super::counters::Counters;
use extentdb::Metrics;
use serde::Serialize;

/// One interval, and how the store is at its end.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Interval {
    /// Its end, counted from the beginning of the churn.
    pub(super) seconds: f64,
    /// Puts that returned in it, each of one record.
    pub(super) records_per_s: f64,
    /// Of these puts; `None` where there were none.
    pub(super) put_p50_ns: Option<u64>,
    pub(super) put_max_ns: Option<u64>,
    pub(super) amplification: Option<f64>,
    pub(super) space: Space,
    /// What was written since the beginning of the churn.
    pub(super) total: Counters,
}

/// How the space of a store is used at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Space {
    pub(super) utilization: Option<f64>,
    pub(super) used_bytes: u64,
    pub(super) allowed_bytes: u64,
    pub(super) held_bytes: u64,
    pub(super) pinned_bytes: u64,
    pub(super) free_bytes: u64,
}

impl Space {
    /// That of `metrics`.
    pub(super) fn of(metrics: &Metrics) -> Self {
        Self {
            utilization: metrics.utilization,
            used_bytes: metrics.used_bytes,
            allowed_bytes: metrics.allowed_bytes,
            held_bytes: metrics.held_bytes,
            pinned_bytes: metrics.pinned_bytes,
            free_bytes: metrics.free_bytes,
        }
    }

    /// What is used, for what the contract allows and snapshots hold on top.
    pub(super) fn used_for_allowed(&self) -> f64 {
        self.used_bytes as f64 / (self.allowed_bytes + self.held_bytes).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_snapshots_hold_is_allowed_on_top() {
        let space = Space {
            used_bytes: 30,
            allowed_bytes: 10,
            held_bytes: 20,
            ..Space::of(&Metrics::default())
        };
        assert_eq!(space.used_for_allowed(), 1.0);
    }
}
