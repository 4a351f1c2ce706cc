//! Latencies and rates.

use super::timeline::Interval;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// Latencies up to this need no more memory while they are recorded: 100 ms.
const LONGEST_NS: u64 = 100_000_000;
/// Significant decimal digits of a latency.
const DIGITS: u8 = 3;

/// What was measured: how long each operation took, and all of them together.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    latencies: Histogram<u64>,
    elapsed: Duration,
    intervals: Vec<Interval>,
}

/// An empty histogram of latencies in ns, which grows as far as need be.
pub(super) fn histogram() -> Histogram<u64> {
    let mut latencies =
        Histogram::new_with_max(LONGEST_NS, DIGITS).expect("a histogram may have up to 5 digits");
    latencies.auto(true);
    latencies
}

impl Sample {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { latencies: histogram(), elapsed: Duration::ZERO, intervals: Vec::new() }
    }

    /// `count` operations took `each`.
    pub(crate) fn record(&mut self, each: Duration, count: u64) {
        let ns = u64::try_from(each.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.latencies.record_n(ns, count).expect("the histogram grows as far as need be");
    }

    /// All of it took `elapsed`.
    pub(crate) fn took(&mut self, elapsed: Duration) {
        self.elapsed += elapsed;
    }

    /// Adds what was recorded in an interval, the next.
    pub(super) fn interval(&mut self, interval: Interval) {
        self.latencies.add(&interval.latencies).expect("the histogram grows as far as need be");
        self.intervals.push(interval);
    }

    /// Its intervals, where there are any: those of the run itself, not of what was added.
    pub(crate) fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// All latencies, in ns.
    pub(crate) fn latencies(&self) -> &Histogram<u64> {
        &self.latencies
    }

    /// Adds another round.
    pub(crate) fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies).expect("the histogram grows as far as need be");
        self.elapsed += other.elapsed;
    }

    /// The same, where each operation was `count` of what is to be shown.
    pub(crate) fn each_of(&self, count: u64) -> Self {
        let mut each = Self::new();
        for step in self.latencies.iter_recorded() {
            let ns = step.value_iterated_to() / count;
            each.record(Duration::from_nanos(ns), step.count_at_value() * count);
        }
        each.took(self.elapsed);
        each
    }

    /// Operations measured.
    pub(crate) fn ops(&self) -> u64 {
        self.latencies.len()
    }

    /// What it shows; each operation is of `bytes` bytes.
    pub(crate) fn summary(&self, bytes: u64) -> Summary {
        let seconds = self.elapsed.as_secs_f64();
        let ops_per_s = self.ops() as f64 / seconds.max(f64::MIN_POSITIVE);
        Summary {
            ops: self.ops(),
            seconds,
            ops_per_s,
            mib_per_s: ops_per_s * bytes as f64 / f64::from(1 << 20),
            p50_ns: self.latencies.value_at_quantile(0.5),
            p99_ns: self.latencies.value_at_quantile(0.99),
            p999_ns: self.latencies.value_at_quantile(0.999),
            max_ns: self.latencies.max(),
        }
    }
}

/// What a sample shows.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub(crate) ops: u64,
    pub(crate) seconds: f64,
    pub(crate) ops_per_s: f64,
    pub(crate) mib_per_s: f64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p999_ns: u64,
    pub(crate) max_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_add_up() {
        let mut first = Sample::new();
        (1..=100).for_each(|us| first.record(Duration::from_micros(us), 1));
        first.took(Duration::from_secs(1));
        let mut second = first.clone();
        second.add(&first);
        let summary = second.summary(1 << 20);
        assert_eq!((summary.ops, summary.seconds), (200, 2.0));
        assert_eq!((summary.ops_per_s, summary.mib_per_s), (100.0, 100.0));
        assert!(summary.p50_ns.abs_diff(50_000) < 100, "{summary:?}");
        assert!(summary.max_ns.abs_diff(100_000) < 200, "{summary:?}");
    }

    #[test]
    fn what_was_timed_together_is_shown_by_itself() {
        let mut sample = Sample::new();
        sample.record(Duration::from_micros(64), 10);
        sample.took(Duration::from_secs(1));
        let each = sample.each_of(64).summary(1);
        assert_eq!((each.ops, each.ops_per_s), (640, 640.0));
        assert!(each.p50_ns.abs_diff(1000) < 10, "{each:?}");
    }

    #[test]
    fn the_longest_waits_are_kept() {
        let mut sample = Sample::new();
        sample.record(Duration::from_secs(3600), 1);
        sample.record(Duration::ZERO, 3);
        let summary = sample.summary(1);
        assert!(summary.max_ns >= 3_600_000_000_000 && summary.p50_ns == 1);
    }
}
