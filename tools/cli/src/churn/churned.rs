//! What a churn has shown.

use super::counters::Counters;
use super::interval::Interval;

/// What a churn has shown.
#[derive(Debug, Default)]
pub(super) struct Churned {
    /// As far as it came.
    pub(super) intervals: Vec<Interval>,
    /// What the disk wrote meanwhile, for whomever; 0 where nobody counts.
    pub(super) disk_bytes: u64,
}

/// A stretch of a churn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stretch {
    pub(super) written: Counters,
    /// The mean of what the intervals show; `None` where none does.
    pub(super) utilization: Option<f64>,
}

impl Churned {
    /// All that was written.
    pub(super) fn total(&self) -> Counters {
        self.intervals.last().map_or_else(Counters::default, |last| last.total)
    }

    /// What was written after half of the records: by then the store has forgotten how it was
    /// loaded.
    pub(super) fn last_half(&self) -> Stretch {
        let total = self.total();
        let half = self.intervals.partition_point(|i| i.total.records < total.records / 2);
        let (before, rest) = self.intervals.split_at(half);
        let begin = before.last().map_or_else(Counters::default, |last| last.total);
        let utilizations: Vec<f64> = rest.iter().filter_map(|i| i.space.utilization).collect();
        let sum: f64 = utilizations.iter().sum();
        let utilization = (!utilizations.is_empty()).then(|| sum / utilizations.len() as f64);
        Stretch { written: total - begin, utilization }
    }

    /// Adds a churn of the same store that came later.
    pub(super) fn append(&mut self, later: Self) {
        let begun = self.intervals.last().map_or(0.0, |last| last.seconds);
        let total = self.total();
        self.intervals.extend(later.intervals.into_iter().map(|interval| Interval {
            seconds: begun + interval.seconds,
            total: total + interval.total,
            ..interval
        }));
        self.disk_bytes += later.disk_bytes;
    }

    /// The most that was used for what was allowed, at the end of any interval.
    pub(super) fn worst_used_for_allowed(&self) -> f64 {
        self.intervals.iter().map(|i| i.space.used_for_allowed()).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::churn::interval::Space;

    fn interval(records: u64, collected: u64, utilization: Option<f64>, used: u64) -> Interval {
        let space = Space {
            utilization,
            used_bytes: used,
            allowed_bytes: 100,
            held_bytes: 0,
            pinned_bytes: 0,
            free_bytes: 0,
        };
        Interval {
            seconds: 0.0,
            records_per_s: 0.0,
            put_p50_ns: None,
            put_max_ns: None,
            amplification: None,
            space,
            total: Counters { records, log: records, collected, ..Counters::default() },
        }
    }

    fn churned(intervals: Vec<Interval>) -> Churned {
        Churned { intervals, disk_bytes: 0 }
    }

    #[test]
    fn the_last_half_begins_where_half_of_the_records_are_written() {
        let churned = churned(vec![
            interval(30, 0, None, 50),
            interval(45, 5, Some(0.9), 50),
            interval(50, 10, Some(0.5), 120),
            interval(100, 65, Some(0.7), 90),
        ]);
        let stretch = churned.last_half();
        assert_eq!((stretch.written.records, stretch.written.collected), (55, 60));
        assert_eq!(stretch.utilization, Some(0.6));
        assert_eq!(churned.total().amplification(), Some(1.65));
        assert_eq!(churned.worst_used_for_allowed(), 1.2);
    }

    #[test]
    fn what_came_later_counts_on() {
        let mut churned = churned(vec![interval(30, 10, None, 50)]);
        churned.intervals[0].seconds = 0.5;
        churned.append(churned_later());
        let ends: Vec<_> = churned.intervals.iter().map(|i| (i.seconds, i.total.records)).collect();
        assert_eq!(ends, [(0.5, 30), (0.75, 40), (1.0, 70)]);
        assert_eq!((churned.total().collected, churned.disk_bytes), (30, 7));
    }

    fn churned_later() -> Churned {
        let mut intervals = vec![interval(10, 5, None, 60), interval(40, 20, None, 60)];
        intervals[0].seconds = 0.25;
        intervals[1].seconds = 0.5;
        Churned { intervals, disk_bytes: 7 }
    }

    #[test]
    fn nothing_shows_nothing() {
        let churned = churned(Vec::new());
        assert_eq!(churned.total(), Counters::default());
        assert_eq!(
            churned.last_half(),
            Stretch { written: Counters::default(), utilization: None }
        );
    }
}
