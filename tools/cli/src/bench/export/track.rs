//! One operation on one side, over all rounds.

use crate::measure::sample::Sample;
use crate::measure::timeline::Interval;
use hdrhistogram::Histogram;
use std::time::{Duration, SystemTime};

/// What was timed of one operation on one side.
#[derive(Debug)]
pub(super) struct Track {
    /// Part, and operation; some may be empty.
    pub(super) names: [String; 3],
    /// `store`, or which raw side.
    pub(super) side: &'static str,
    /// In ns, all rounds together.
    pub(super) latencies: Histogram<u64>,
    pub(super) stretches: Vec<Stretch>,
}

/// An interval. There are many: only latencies that came are kept.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) begun: SystemTime,
    pub(super) length: Duration,
    /// Latencies in ns and how often each came, in order.
    counts: Vec<(u64, u64)>,
}

impl Track {
    pub(super) fn new(names: [&str; 3], side: &'static str) -> Self {
        let latencies = Sample::new().latencies().clone();
        Self { names: names.map(str::to_owned), side, latencies, stretches: Vec::new() }
    }

    /// Another slice of it.
    pub(super) fn add(&mut self, sample: &Sample) {
        self.latencies.add(sample.latencies()).expect("the histogram grows as far as need be");
        self.stretches.extend(sample.intervals().iter().map(Stretch::new));
    }

    /// What is done, without the part.
    pub(super) fn operation(&self) -> String {
        let names = self.names[1..].iter().filter(|name| !name.is_empty());
        names.cloned().collect::<Vec<_>>().join(", ")
    }

    /// All of its names in one word.
    pub(super) fn tag(&self) -> String {
        let names = [self.names[0].as_str(), &self.operation(), self.side].join("-");
        let words = names.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
    }
}

impl Stretch {
    fn new(interval: &Interval) -> Self {
        let recorded = interval.latencies.iter_recorded();
        let counts = recorded.map(|step| (step.value_iterated_to(), step.count_at_value()));
        Self { begun: interval.begun, length: interval.length, counts: counts.collect() }
    }

    /// All of its latencies, in ns.
    pub(super) fn latencies(&self) -> Histogram<u64> {
        let mut sample = Sample::new();
        for &(ns, count) in &self.counts {
            sample.record(Duration::from_nanos(ns), count);
        }
        sample.latencies().clone()
    }

    pub(super) fn ops(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// The latency, in ns, that `share` of all do not exceed.
    pub(super) fn quantile_ns(&self, share: f64) -> Option<u64> {
        let wanted = ((self.ops() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().find(|(_, count)| {
            seen += count;
            seen >= wanted
        });
        found.map(|(ns, _)| *ns)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::measure::timeline::Timeline;
    use std::time::Instant;

    /// When tracks of tests begin.
    pub(crate) fn epoch() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
    }

    /// A track of two slices of 1 s, which begin 2 s from each other; in each of 4 intervals 100
    /// latencies from 1 to 100 us.
    pub(crate) fn track(names: [&str; 3], side: &'static str) -> Track {
        let mut track = Track::new(names, side);
        for from in [0, 2] {
            let timeline = Timeline::new(1, Duration::from_secs(1));
            let mut recorder = timeline.recorder();
            let begun = Instant::now();
            recorder.begin(begun);
            for interval in 0..4 {
                let ended = begun + Duration::from_millis(interval * 250 + 1);
                (1..=100).for_each(|us| recorder.record(0, ended, Duration::from_micros(us)));
            }
            drop(recorder);
            let begun = epoch() + Duration::from_secs(from);
            let samples = timeline.samples(begun, Duration::from_secs(1));
            track.add(&samples[0]);
        }
        track
    }

    #[test]
    fn a_track_has_all_slices_and_their_intervals() {
        let track = track(["YCSB A: half gets", "", "read"], "raw x1");
        assert_eq!((track.latencies.len(), track.stretches.len()), (800, 8));
        assert_eq!(track.tag(), "YCSB-A-half-gets-read-raw-x1");
        assert_eq!(track.operation(), "read");
        let last = &track.stretches[7];
        assert_eq!(last.begun, epoch() + Duration::from_millis(2750));
        assert_eq!((last.ops(), last.latencies().len()), (100, 100));
        assert!(last.quantile_ns(0.5).unwrap().abs_diff(50_000) < 100);
        assert!(last.quantile_ns(1.0).unwrap().abs_diff(100_000) < 200);
    }
}
