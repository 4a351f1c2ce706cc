//! Threads that do the same thing until time is up.

use anyhow::{Error, Result};
use extentdb_measure::random::Random;
use hdrhistogram::Histogram;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// The longest latency that is told from longer ones.
const LONGEST_NS: u64 = 600_000_000_000;
/// Significant decimal digits of a latency.
const DIGITS: u8 = 2;

/// When to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) time: Duration,
    /// Calls of all threads together.
    pub(crate) calls: u64,
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Of each call, in nanoseconds.
    pub(crate) latencies: Histogram<u64>,
    /// What the calls dealt with, together.
    pub(crate) items: u64,
    pub(crate) elapsed: Duration,
}

/// A call: a generator of the thread's own and the number of the call, for how many items it
/// dealt with.
pub(crate) trait Call: Fn(&mut Random, u64) -> Result<u64> + Sync {}
impl<C: Fn(&mut Random, u64) -> Result<u64> + Sync> Call for C {}

impl Sample {
    fn new() -> Result<Self> {
        let latencies = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)?;
        Ok(Self { latencies, items: 0, elapsed: Duration::ZERO })
    }

    /// One call took `elapsed`.
    pub(crate) fn one(elapsed: Duration) -> Result<Self> {
        let mut sample = Self { items: 1, elapsed, ..Self::new()? };
        sample.latencies.saturating_record(elapsed.as_nanos() as u64);
        Ok(sample)
    }

    fn add(&mut self, other: &Self) -> Result<()> {
        self.items += other.items;
        Ok(self.latencies.add(&other.latencies)?)
    }
}

/// Calls under way, shared by the threads.
struct Run<C> {
    limit: Limit,
    call: C,
    next: AtomicU64,
    stopped: AtomicBool,
    start: Barrier,
}

/// Has `threads` threads call `call` again and again, until `limit`; each at least once where that
/// has room. Calls are numbered from 0 on over all threads. `seed` is for their generators.
pub(crate) fn drive(threads: usize, limit: Limit, seed: u64, call: impl Call) -> Result<Sample> {
    let run = &Run {
        limit,
        call,
        next: AtomicU64::new(0),
        stopped: AtomicBool::new(false),
        start: Barrier::new(threads + 1),
    };
    thread::scope(|scope| {
        let spawn = |n| scope.spawn(move || run.thread(Random::new(seed << 16 | n)));
        let threads: Vec<_> = (0..threads as u64).map(spawn).collect();
        run.start.wait();
        let begun = Instant::now();
        let done: Vec<_> = threads.into_iter().map(ScopedJoinHandle::join).collect();
        let mut sample = Sample { elapsed: begun.elapsed(), ..Sample::new()? };
        for thread in done {
            sample.add(&thread.unwrap_or_else(|_| Err(Error::msg("a thread panicked")))?)?;
        }
        Ok(sample)
    })
}

impl<C: Call> Run<C> {
    fn thread(&self, random: Random) -> Result<Sample> {
        self.start.wait();
        let done = self.repeat(random);
        if done.is_err() {
            self.stopped.store(true, Ordering::Relaxed);
        }
        done
    }

    fn repeat(&self, mut random: Random) -> Result<Sample> {
        let mut sample = Sample::new()?;
        let mut begun = Instant::now();
        let deadline = begun + self.limit.time;
        while !self.stopped.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.limit.calls {
                break;
            }
            sample.items += (self.call)(&mut random, number)?;
            let ended = Instant::now();
            sample.latencies.saturating_record((ended - begun).as_nanos() as u64);
            begun = ended;
            if ended >= deadline {
                break;
            }
        }
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn every_number_is_called_once() {
        let met = Mutex::new(Vec::new());
        let limit = Limit { time: Duration::from_secs(60), calls: 1000 };
        let sample = drive(4, limit, 0, |_, number| {
            met.lock().unwrap().push(number);
            Ok(2)
        });
        let sample = sample.unwrap();
        assert_eq!((sample.latencies.len(), sample.items), (1000, 2000));
        let mut met = met.into_inner().unwrap();
        met.sort_unstable();
        assert!(met.into_iter().eq(0..1000));
    }

    #[test]
    fn a_failure_stops_all() {
        let limit = Limit { time: Duration::from_secs(60), calls: u64::MAX };
        let failed = drive(2, limit, 0, |_, number| match number {
            100.. => Err(Error::msg("no")),
            _ => Ok(1),
        });
        assert_eq!(failed.unwrap_err().to_string(), "no");
    }
}
