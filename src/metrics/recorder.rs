//! Timing and counting, cheap enough for the hot path.

use super::histogram::Histogram;
use super::sampler;
use super::snapshot::Metrics;
use super::stage::Stage;
use crate::sync::{self, AtomicU64, Instant, Mutex, Ordering};
use hdrhistogram::Histogram as Counts;
use std::fmt;

/// Longest latency told apart, in ns: 60 s. Longer ones count as this.
pub(super) const MAX_NS: u64 = 60_000_000_000;

/// Significant decimal digits of a latency.
const DIGITS: u8 = 3;

/// Operations that a new recorder times whatever the sample says, so that a store with little to
/// do shows something.
const EARLY: u64 = 16;

/// Ways the histograms are split by thread. Few: a stage takes up to 220 KB in each.
const HISTOGRAM_SHARDS: usize = 4;

/// Ways the counters are split by thread.
const COUNTER_SHARDS: usize = 16;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counter {
    /// Puts, alone or in write batches.
    Puts,
    /// Deletes, alone or in write batches.
    Deletes,
    /// Gets, hit or miss.
    Gets,
    /// Gets that found no such key.
    Misses,
    /// Write batches.
    Batches,
    /// Records handed to the log, those that announce large values included.
    Records,
    /// Bytes of the records accepted: headers, keys and values, large values included.
    RecordBytes,
    /// Values that a get found in the cache.
    CacheHits,
    /// Values that a get had to read, though they may enter the cache.
    CacheMisses,
}

impl Counter {
    /// How many counters there are.
    const COUNT: usize = Self::CacheMisses as usize + 1;
}

/// Counters of some of the threads, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct CounterShard([AtomicU64; Counter::COUNT]);

/// Histograms of some of the threads, by stage, of latencies in ns. One is made when it is first
/// recorded into, and grows with the latencies it meets.
#[derive(Default)]
#[repr(align(128))]
struct HistogramShard([Mutex<Option<Counts<u64>>>; Stage::ALL.len()]);

/// Records how long stages take and how often things happen.
#[derive(Default)]
pub(crate) struct Recorder {
    histograms: [HistogramShard; HISTOGRAM_SHARDS],
    counters: [CounterShard; COUNTER_SHARDS],
    /// Operations timed because the recorder was new; at rest once it has reached [`EARLY`].
    early: AtomicU64,
}

impl Recorder {
    /// A recorder of nothing yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Begins an operation of which a sample is timed: the first 16, then 1 in 16 on average.
    /// None for the others.
    #[inline]
    pub(crate) fn start(&self) -> Option<Instant> {
        (sampler::is_due() || self.is_early()).then(sync::now)
    }

    /// Begins an operation that is timed every time.
    #[inline]
    pub(crate) fn start_always(&self) -> Option<Instant> {
        Some(sync::now())
    }

    /// Records that `stage` took from `begun` until now, unless it is not timed.
    #[inline]
    pub(crate) fn stop(&self, stage: Stage, begun: Option<Instant>) {
        self.lap(stage, begun);
    }

    /// Like [`stop`](Self::stop), and returns now, where the next stage begins.
    #[inline]
    pub(crate) fn lap(&self, stage: Stage, begun: Option<Instant>) -> Option<Instant> {
        begun.map(|begun| {
            let now = sync::now();
            let span = now.saturating_duration_since(begun);
            self.record(stage, u64::try_from(span.as_nanos()).unwrap_or(MAX_NS));
            now
        })
    }

    /// Adds `n` to `counter`.
    #[inline]
    pub(crate) fn count(&self, counter: Counter, n: u64) {
        let shard = &self.counters[sampler::thread_number() % COUNTER_SHARDS];
        shard.0[counter as usize].fetch_add(n, Ordering::Relaxed);
    }

    /// All that was recorded so far; the rest of the metrics is 0. Counters are read one by one.
    pub(crate) fn snapshot(&self) -> Metrics {
        let histogram = |stage| Some((stage, self.histogram(stage)?));
        let histograms: Vec<_> = Stage::ALL.into_iter().filter_map(histogram).collect();
        Metrics {
            latencies: histograms.iter().map(|(stage, it)| (*stage, it.latency())).collect(),
            histograms,
            puts: self.total(Counter::Puts),
            deletes: self.total(Counter::Deletes),
            gets: self.total(Counter::Gets),
            misses: self.total(Counter::Misses),
            cache_hits: self.total(Counter::CacheHits),
            cache_misses: self.total(Counter::CacheMisses),
            batches: self.total(Counter::Batches),
            records: self.total(Counter::Records),
            record_bytes: self.total(Counter::RecordBytes),
            ..Metrics::default()
        }
    }

    /// Whether the recorder is new; counts the operation if so.
    #[inline]
    fn is_early(&self) -> bool {
        self.early.load(Ordering::Relaxed) < EARLY
            && self.early.fetch_add(1, Ordering::Relaxed) < EARLY
    }

    /// Records that `stage` took `ns` ns.
    fn record(&self, stage: Stage, ns: u64) {
        let shard = &self.histograms[sampler::thread_number() % HISTOGRAM_SHARDS];
        let mut histogram = shard.0[stage as usize].lock();
        let histogram = histogram.get_or_insert_with(histogram_of_ns);
        // `saturating_record` would not grow the histogram, but saturate at its present range.
        let recorded = histogram.record(ns.clamp(1, MAX_NS));
        debug_assert!(recorded.is_ok(), "60 s are in range");
    }

    /// What all threads recorded of `stage`; None if nothing.
    fn histogram(&self, stage: Stage) -> Option<Histogram> {
        let mut total = histogram_of_ns();
        for shard in &self.histograms {
            if let Some(part) = &*shard.0[stage as usize].lock() {
                let added = total.add(part);
                debug_assert!(added.is_ok(), "the total grows as its parts did");
            }
        }
        Histogram::of(total)
    }

    /// What all threads added to `counter`.
    fn total(&self, counter: Counter) -> u64 {
        let load = |shard: &CounterShard| shard.0[counter as usize].load(Ordering::Relaxed);
        self.counters.iter().map(load).sum()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("counters", &self.counters).finish_non_exhaustive()
    }
}

/// An empty histogram of latencies in ns; it grows as far as [`MAX_NS`].
pub(super) fn histogram_of_ns() -> Counts<u64> {
    Counts::new(DIGITS).expect("a histogram may have up to 5 digits")
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::Latency;
    use super::*;
    use crate::sync::Duration;

    fn latency_of(recorder: &Recorder, stage: Stage) -> Latency {
        recorder.histogram(stage).unwrap().latency()
    }

    fn is_near(found: u64, expected: u64) -> bool {
        found.abs_diff(expected) * 1000 <= expected
    }

    #[test]
    fn a_new_recorder_times_the_first_operations_then_a_sample() {
        let recorder = Recorder::new();
        assert!((0..EARLY).all(|_| recorder.start().is_some()));
        let timed = (0..160_000).filter(|_| recorder.start().is_some()).count();
        assert!((9_500..=10_500).contains(&timed), "{timed} of 160000");
    }

    #[test]
    fn what_is_not_timed_is_not_recorded() {
        let recorder = Recorder::new();
        recorder.stop(Stage::Get, None);
        assert_eq!(recorder.lap(Stage::Put, None), None);
        assert!(recorder.snapshot().latencies.is_empty());
    }

    #[test]
    fn a_latency_has_the_values_recorded() {
        let recorder = Recorder::new();
        (1..=10_000).for_each(|us| recorder.record(Stage::Get, us * 1000));
        let latency = latency_of(&recorder, Stage::Get);
        assert_eq!(latency.samples, 10_000);
        assert!(is_near(latency.mean_ns, 5_000_500), "{latency:?}");
        assert!(is_near(latency.p50_ns, 5_000_000), "{latency:?}");
        assert!(is_near(latency.p99_ns, 9_900_000), "{latency:?}");
        assert!(is_near(latency.p999_ns, 9_990_000), "{latency:?}");
        assert!(is_near(latency.max_ns, 10_000_000), "{latency:?}");
    }

    #[test]
    fn a_latency_above_60_s_counts_as_60_s() {
        let recorder = Recorder::new();
        recorder.record(Stage::Open, 0);
        recorder.record(Stage::Open, MAX_NS + 1);
        recorder.record(Stage::Open, u64::MAX);
        let latency = latency_of(&recorder, Stage::Open);
        assert_eq!((latency.samples, latency.max_ns, latency.p50_ns), (3, MAX_NS, MAX_NS));
    }

    #[test]
    fn laps_time_consecutive_stages() {
        let recorder = Recorder::new();
        let begun = recorder.start_always();
        sync::sleep(Duration::from_millis(20));
        let lap = recorder.lap(Stage::GetIndex, begun);
        recorder.stop(Stage::GetDevice, lap);
        recorder.stop(Stage::Get, begun);
        let [index, device, whole] = [Stage::GetIndex, Stage::GetDevice, Stage::Get]
            .map(|stage| latency_of(&recorder, stage).max_ns);
        assert!(lap > begun && index >= 20_000_000);
        // Each is rounded up, by less than 1 in 1000.
        assert!(whole + whole / 500 >= index + device, "{whole} < {index} + {device}");
    }

    #[test]
    fn threads_lose_no_count_and_no_sample() {
        let recorder = Recorder::new();
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| work(&recorder)))));
        let snapshot = recorder.snapshot();
        assert_eq!((snapshot.puts, snapshot.record_bytes), (80_000, 5_600_000));
        assert_eq!((snapshot.gets, snapshot.records), (0, 0));
        assert_eq!(latency_of(&recorder, Stage::Put).samples, 80_000);
    }

    fn work(recorder: &Recorder) {
        for ns in 1..=10_000 {
            recorder.count(Counter::Puts, 1);
            recorder.count(Counter::RecordBytes, 70);
            recorder.record(Stage::Put, ns);
        }
    }

    #[test]
    fn threads_on_different_shards_are_one_latency() {
        let recorder = Recorder::new();
        for ns in [100, 1_000_000, 100_000_000, 10_000_000_000] {
            std::thread::scope(|scope| {
                scope.spawn(|| recorder.record(Stage::Put, ns)).join().unwrap()
            });
        }
        let latency = latency_of(&recorder, Stage::Put);
        assert_eq!(latency.samples, 4);
        assert!(is_near(latency.p50_ns, 1_000_000) && is_near(latency.max_ns, 10_000_000_000));
    }
}
