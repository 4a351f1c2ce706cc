//! Looking at a store now and then while keys are overwritten.

use super::counters::Counters;
use super::interval::{Interval, Space};
use super::noted::Noted;
use extentdb::Db;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Time between looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A store that is being looked at.
pub(super) struct Watch<'a> {
    db: &'a Db,
    noted: &'a Noted,
    begun: Instant,
    /// Counters when the churn began.
    base: Counters,
    /// When the last interval ended, and what had been written by then.
    last: (f64, Counters),
}

impl<'a> Watch<'a> {
    /// A churn of `db` begins, whose puts are `noted`.
    pub(super) fn new(db: &'a Db, noted: &'a Noted) -> Self {
        let base = Counters::of(&db.metrics());
        Self { db, noted, begun: Instant::now(), base, last: (0.0, Counters::default()) }
    }

    /// Looks until the other end of `over` is dropped. Each interval is given to `seen`, the last
    /// one though it is shorter.
    pub(super) fn run(
        mut self,
        over: Receiver<()>,
        mut seen: impl FnMut(&Interval),
    ) -> Vec<Interval> {
        let mut intervals = Vec::new();
        loop {
            let due = self.begun + LOOK_EVERY * (intervals.len() as u32 + 1);
            let wait = due.saturating_duration_since(Instant::now());
            let is_over = over.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
            let interval = self.look();
            seen(&interval);
            intervals.push(interval);
            if is_over {
                return intervals;
            }
        }
    }

    fn look(&mut self) -> Interval {
        let times = self.noted.take();
        let metrics = self.db.metrics();
        let now = self.begun.elapsed().as_secs_f64();
        let total = Counters::of(&metrics) - self.base;
        let (before, written) = std::mem::replace(&mut self.last, (now, total));
        Interval {
            seconds: now,
            records_per_s: times.count() as f64 / (now - before).max(f64::MIN_POSITIVE),
            put_p50_ns: times.median_ns(),
            put_max_ns: times.longest_ns(),
            amplification: (total - written).amplification(),
            space: Space::of(&metrics),
            total,
        }
    }
}
