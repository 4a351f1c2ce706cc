//! Operations that begin when they are due, not when the one before has ended: each latency
//! counts from then, so that those which a slow one holds up count too.

use super::sample::Sample;
use super::schedule::Schedule;
use super::timeline::{Recorder, Timeline};
use anyhow::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// Nothing is begun after so many times the time: a store that does not keep up would never end.
const PATIENCE: u32 = 3;

/// Threads for each of the closed loop that has shown the capacity. What arrives must not wait for one that
/// is free: as many as before are all under way at most times, and each that is late holds up the next.
const THREADS_PER_WRITER: usize = 4;

/// How many threads do what arrives beside a closed loop of `writers`.
pub(crate) fn threads(writers: u16) -> usize {
    usize::from(writers) * THREADS_PER_WRITER
}

/// What arrives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrivals {
    /// Operations a second.
    pub(crate) rate: f64,
    /// How long they arrive.
    pub(crate) time: Duration,
    pub(crate) seed: u64,
}

/// Latencies, by whether a checkpoint was under way at the end of the operation.
#[derive(Debug)]
pub(crate) struct Latencies {
    pub(crate) quiet: Sample,
    pub(crate) beside: Sample,
}

/// How many kinds of latencies there are, and which they are.
const KINDS: usize = 2;
const QUIET: usize = 0;
const BESIDE: usize = 1;

struct Run<'a> {
    arrivals: Arrivals,
    schedule: Mutex<Schedule>,
    begun: Instant,
    is_beside: &'a AtomicBool,
    stopped: AtomicBool,
    timeline: Timeline,
}

/// Has `threads` threads do what arrives. Each asks `worker` for what it is to do.
pub(crate) fn run<W>(
    threads: usize,
    arrivals: Arrivals,
    is_beside: &AtomicBool,
    worker: impl Fn(usize) -> W + Sync,
) -> Result<Latencies>
where
    W: FnMut() -> Result<()>,
{
    let schedule = Mutex::new(Schedule::new(arrivals.rate, arrivals.seed));
    // Those that are due before all threads have begun wait as any others would.
    let lead = Duration::from_millis(20);
    let (at, begun) = (SystemTime::now() + lead, Instant::now() + lead);
    let stopped = AtomicBool::new(false);
    let timeline = Timeline::new(KINDS, arrivals.time);
    let run = Run { arrivals, schedule, begun, is_beside, stopped, timeline };
    run.all(threads, &worker)?;
    let [quiet, beside] = <[Sample; KINDS]>::try_from(run.timeline.samples(at, begun.elapsed()))
        .map_err(|_| Error::msg("a kind of latencies is missing"))?;
    Ok(Latencies { quiet, beside })
}

impl Run<'_> {
    fn all<W>(&self, threads: usize, worker: &(impl Fn(usize) -> W + Sync)) -> Result<()>
    where
        W: FnMut() -> Result<()>,
    {
        thread::scope(|scope| {
            let spawn = |n| {
                scope.spawn(move || {
                    let mut recorder = self.timeline.recorder();
                    recorder.begin(self.begun);
                    self.thread(&mut recorder, worker(n))
                })
            };
            let threads: Vec<_> = (0..threads).map(spawn).collect();
            let mut threads = threads.into_iter().map(ScopedJoinHandle::join);
            threads
                .try_for_each(|done| done.unwrap_or_else(|_| Err(Error::msg("a thread panicked"))))
        })
    }

    fn thread(
        &self,
        recorder: &mut Recorder<'_>,
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let give_up = self.begun + self.arrivals.time * PATIENCE;
        while let Some(at) = self.next_arrival() {
            let due = self.begun + at;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            // What is not begun any more has waited for as long at least.
            if Instant::now() < give_up {
                work().inspect_err(|_| self.stopped.store(true, Ordering::Relaxed))?;
            }
            let kind = if self.is_beside.load(Ordering::Relaxed) { BESIDE } else { QUIET };
            let ended = Instant::now();
            recorder.record(kind, ended, ended.saturating_duration_since(due));
        }
        Ok(())
    }

    fn next_arrival(&self) -> Option<Duration> {
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        schedule.next().filter(|at| *at <= self.arrivals.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn arrivals(rate: f64, time: Duration) -> Arrivals {
        Arrivals { rate, time, seed: 3 }
    }

    #[test]
    fn all_that_arrives_is_done() {
        let done = AtomicU64::new(0);
        let (time, quiet) = (Duration::from_millis(200), AtomicBool::new(false));
        let latencies = run(4, arrivals(1000.0, time), &quiet, |_| {
            || {
                done.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        })
        .unwrap();
        let due = Schedule::new(1000.0, 3).take_while(|at| *at <= time).count() as u64;
        assert_eq!((latencies.quiet.ops(), latencies.beside.ops()), (due, 0));
        assert_eq!(done.into_inner(), due);
    }

    #[test]
    fn what_is_held_up_counts_from_when_it_was_due() {
        let (time, beside) = (Duration::from_millis(100), AtomicBool::new(true));
        let mut held_up = false;
        let latencies = run(1, arrivals(1000.0, time), &beside, move |_| {
            move || {
                if !std::mem::replace(&mut held_up, true) {
                    thread::sleep(Duration::from_millis(100));
                }
                Ok(())
            }
        })
        .unwrap();
        let summary = latencies.beside.summary(1);
        assert!(summary.p50_ns > 20_000_000, "one was slow, and half of them waited: {summary:?}");
    }

    #[test]
    fn a_failure_ends_it() {
        let (time, quiet) = (Duration::from_secs(60), AtomicBool::new(false));
        let failed = run(2, arrivals(1000.0, time), &quiet, |_| || Err(Error::msg("no")));
        assert_eq!(failed.unwrap_err().to_string(), "no");
    }
}
