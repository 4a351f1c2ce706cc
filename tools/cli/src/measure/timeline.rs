//! Latencies in the order of time: what was recorded between one look and the next.
//!
//! Each thread has histograms of its own for the interval that it is in, and hands them over when
//! that is past, so that no operation waits for another thread to record its own.

use super::sample::{Sample, histogram};
use hdrhistogram::Histogram;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The shortest interval: handing over takes some 30 us a thread.
const SHORTEST: Duration = Duration::from_millis(250);
/// The most intervals that the time of a run has.
const MOST: u32 = 32;

/// What was recorded in an interval.
#[derive(Debug, Clone)]
pub(crate) struct Interval {
    /// When it began.
    pub(crate) begun: SystemTime,
    pub(crate) length: Duration,
    pub(crate) latencies: Histogram<u64>,
}

/// The intervals of a run, by kind of operation; shared by its threads.
#[derive(Debug)]
pub(crate) struct Timeline {
    kinds: usize,
    every: Duration,
    /// Histograms of each kind, by interval.
    past: Mutex<Vec<Vec<Histogram<u64>>>>,
}

/// One thread's part of it.
#[derive(Debug)]
pub(crate) struct Recorder<'t> {
    timeline: &'t Timeline,
    begun: Instant,
    /// The interval that this is in, and its end.
    number: usize,
    ends: Instant,
    current: Vec<Histogram<u64>>,
}

impl Timeline {
    /// For a run of `time` with so many kinds of operations.
    pub(crate) fn new(kinds: usize, time: Duration) -> Self {
        let every = (time / MOST).max(SHORTEST);
        Self { kinds, every, past: Mutex::default() }
    }

    /// A part for one thread, whose memory is taken before anything is measured.
    pub(crate) fn recorder(&self) -> Recorder<'_> {
        let begun = Instant::now();
        let current = (0..self.kinds).map(|_| histogram()).collect();
        Recorder { timeline: self, begun, number: 0, ends: begun + self.every, current }
    }

    /// What was recorded of each kind by a run that began at `begun` and took `elapsed`.
    pub(crate) fn samples(self, begun: SystemTime, elapsed: Duration) -> Vec<Sample> {
        let past = self.past.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut samples: Vec<_> = (0..self.kinds).map(|_| Sample::new()).collect();
        for (number, kinds) in past.into_iter().enumerate() {
            let from = self.every * number as u32;
            let length = self.every.min(elapsed.saturating_sub(from)).max(Duration::from_millis(1));
            for (sample, latencies) in samples.iter_mut().zip(kinds) {
                if !latencies.is_empty() {
                    sample.interval(Interval { begun: begun + from, length, latencies });
                }
            }
        }
        samples.iter_mut().for_each(|sample| sample.took(elapsed));
        samples
    }

    /// Adds what a thread recorded in interval `number`, and empties it.
    fn take(&self, number: usize, current: &mut [Histogram<u64>]) {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        while past.len() <= number {
            past.push((0..self.kinds).map(|_| histogram()).collect());
        }
        for (all, latencies) in past[number].iter_mut().zip(current) {
            if !latencies.is_empty() {
                all.add(&*latencies).expect("the histogram grows as far as need be");
                latencies.reset();
            }
        }
    }
}

impl Recorder<'_> {
    /// The run begins at `begun`.
    pub(crate) fn begin(&mut self, begun: Instant) {
        (self.begun, self.number, self.ends) = (begun, 0, begun + self.timeline.every);
    }

    /// An operation of kind number `kind` that `ended` then took `latency`.
    pub(crate) fn record(&mut self, kind: usize, ended: Instant, latency: Duration) {
        self.record_n(kind, ended, latency, 1);
    }

    /// As [`record`](Self::record), where `count` of them took `each`.
    pub(crate) fn record_n(&mut self, kind: usize, ended: Instant, each: Duration, count: u64) {
        if ended >= self.ends {
            self.turn(ended);
        }
        let ns = u64::try_from(each.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.current[kind].record_n(ns, count).expect("the histogram grows as far as need be");
    }

    fn turn(&mut self, now: Instant) {
        self.timeline.take(self.number, &mut self.current);
        let every = self.timeline.every;
        let past = now.saturating_duration_since(self.begun).as_nanos() / every.as_nanos();
        self.number = past as usize;
        self.ends = self.begun + every * (self.number as u32 + 1);
    }
}

impl Drop for Recorder<'_> {
    /// What it has goes to the rest.
    fn drop(&mut self) {
        self.timeline.take(self.number, &mut self.current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    #[test]
    fn what_ends_in_an_interval_is_in_it() {
        let timeline = Timeline::new(2, TIME);
        let mut threads = [timeline.recorder(), timeline.recorder()];
        let begun = Instant::now();
        threads.iter_mut().for_each(|thread| thread.begin(begun));
        let at = |tenths: u64| begun + Duration::from_millis(tenths * 100);
        let ms = Duration::from_millis;
        threads[0].record(0, at(1), ms(1));
        threads[1].record(0, at(2), ms(2));
        threads[0].record(1, at(2), ms(3));
        // Nothing ends in the second interval, nor in the third.
        threads[0].record(0, at(10), ms(4));
        drop(threads);
        let from = SystemTime::UNIX_EPOCH;
        let samples = timeline.samples(from, Duration::from_millis(1100));
        assert_eq!((samples[0].ops(), samples[1].ops()), (3, 1));
        let [first, second] = samples[0].intervals() else { panic!("{samples:?}") };
        assert_eq!((first.begun, first.length, first.latencies.len()), (from, TIME / 32, 2));
        assert_eq!(second.begun, from + TIME / 32 * 3);
        assert_eq!(second.length, Duration::from_millis(1100) - TIME / 32 * 3);
        let summary = samples[0].summary(1);
        assert!(summary.max_ns.abs_diff(4_000_000) < 10_000, "{summary:?}");
        assert_eq!(samples[1].intervals().len(), 1);
    }

    #[test]
    fn short_runs_have_one_interval() {
        let timeline = Timeline::new(1, Duration::from_millis(100));
        let mut thread = timeline.recorder();
        thread.record(0, Instant::now(), Duration::from_secs(1));
        drop(thread);
        let samples = timeline.samples(SystemTime::now(), Duration::from_millis(100));
        let [interval] = samples[0].intervals() else { panic!("{samples:?}") };
        assert_eq!(interval.length, Duration::from_millis(100));
    }
}
