//! Threads that do the same thing until time is up.

use super::sample::Sample;
use anyhow::{Error, Result};
use std::collections::VecDeque;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// When to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// After this.
    pub(crate) time: Duration,
    /// After so many operations, of all threads together.
    pub(crate) ops: u64,
}

impl Limit {
    /// No limit but time.
    pub(crate) fn time(time: Duration) -> Self {
        Self { time, ops: u64::MAX }
    }
}

/// Operations under way, shared by the threads.
struct Run {
    limit: Limit,
    next: AtomicU64,
    stopped: AtomicBool,
    start: Barrier,
}

/// As [`drive`], but each thread has up to `ahead` operations under way: `begin` begins one, and `end`
/// waits for the oldest. An operation is timed from its beginning until that.
pub(crate) fn drive_ahead<P>(
    threads: usize,
    ahead: usize,
    limit: Limit,
    begin: impl Fn(usize, u64) -> P + Sync,
    end: impl Fn(P) -> Result<()> + Sync,
) -> Result<Sample> {
    let (begin, end) = (&begin, &end);
    drive_threads(threads, limit, |run, thread| {
        let sample = Sample::new();
        run.start.wait();
        run.stop_on_error(run.repeat_ahead(sample, ahead, |number| begin(thread, number), end))
    })
}

/// Runs `threads` threads. Each asks `worker` for what it is to do, and does it again and again,
/// with numbers that count up from 0 over all of them, each at least once where `limit.ops` has
/// room. Every number below the number of operations that the sample shows was done.
pub(crate) fn drive<W>(
    threads: usize,
    limit: Limit,
    worker: impl Fn(usize) -> Result<W> + Sync,
) -> Result<Sample>
where
    W: FnMut(u64) -> Result<()>,
{
    drive_threads(threads, limit, |run, thread| run.thread(worker(thread)))
}

fn drive_threads(
    threads: usize,
    limit: Limit,
    thread: impl Fn(&Run, usize) -> Result<Sample> + Sync,
) -> Result<Sample> {
    let run = Run {
        limit,
        next: AtomicU64::new(0),
        stopped: AtomicBool::new(false),
        start: Barrier::new(threads + 1),
    };
    let (run, thread) = (&run, &thread);
    thread::scope(|scope| {
        let spawn = |n| scope.spawn(move || thread(run, n));
        let threads: Vec<_> = (0..threads).map(spawn).collect();
        run.start.wait();
        let begun = Instant::now();
        let done: Vec<_> = threads.into_iter().map(ScopedJoinHandle::join).collect();
        let elapsed = begun.elapsed();
        let mut sample = Sample::new();
        for thread in done {
            sample.add(&thread.unwrap_or_else(|_| Err(Error::msg("a thread panicked")))?);
        }
        sample.took(elapsed);
        Ok(sample)
    })
}

impl Run {
    fn thread<W: FnMut(u64) -> Result<()>>(&self, work: Result<W>) -> Result<Sample> {
        // Its memory is not part of what is measured.
        let sample = Sample::new();
        self.start.wait();
        self.stop_on_error(work.and_then(|work| self.repeat(sample, work)))
    }

    fn stop_on_error(&self, done: Result<Sample>) -> Result<Sample> {
        if done.is_err() {
            self.stopped.store(true, Ordering::Relaxed);
        }
        done
    }

    fn repeat_ahead<P>(
        &self,
        mut sample: Sample,
        ahead: usize,
        mut begin: impl FnMut(u64) -> P,
        end: impl Fn(P) -> Result<()>,
    ) -> Result<Sample> {
        let deadline = Instant::now() + self.limit.time;
        let mut under_way = VecDeque::with_capacity(ahead);
        let mut is_over = false;
        loop {
            while !is_over && under_way.len() < ahead {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                is_over = number >= self.limit.ops || self.stopped.load(Ordering::Relaxed);
                if !is_over {
                    under_way.push_back((Instant::now(), begin(number)));
                }
            }
            let Some((begun, oldest)) = under_way.pop_front() else { return Ok(sample) };
            end(oldest)?;
            let ended = Instant::now();
            sample.record(ended - begun, 1);
            is_over |= ended >= deadline;
        }
    }

    fn repeat(
        &self,
        mut sample: Sample,
        mut work: impl FnMut(u64) -> Result<()>,
    ) -> Result<Sample> {
        let deadline = Instant::now() + self.limit.time;
        while !self.stopped.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.limit.ops {
                break;
            }
            let begun = Instant::now();
            work(number)?;
            let ended = Instant::now();
            sample.record(ended - begun, 1);
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
    fn every_number_is_done_once() {
        let met = Mutex::new(Vec::new());
        let limit = Limit { time: Duration::from_secs(60), ops: 1000 };
        let sample = drive(4, limit, |_| {
            Ok(|number| {
                met.lock().unwrap().push(number);
                Ok(())
            })
        })
        .unwrap();
        assert_eq!(sample.ops(), 1000);
        let mut met = met.into_inner().unwrap();
        met.sort_unstable();
        assert!(met.into_iter().eq(0..1000));
    }

    #[test]
    fn so_many_are_under_way_and_all_of_them_end() {
        let (begun, met) = (AtomicU64::new(0), Mutex::new(Vec::new()));
        let limit = Limit { time: Duration::from_secs(60), ops: 1000 };
        let begin = |_, number| {
            begun.fetch_add(1, Ordering::SeqCst);
            number
        };
        let sample = drive_ahead(1, 10, limit, begin, |number| {
            let mut met = met.lock().unwrap();
            assert_eq!(begun.load(Ordering::SeqCst), (met.len() as u64 + 10).min(1000));
            met.push(number);
            Ok(())
        });
        assert_eq!(sample.unwrap().ops(), 1000);
        assert!(met.into_inner().unwrap().into_iter().eq(0..1000));
    }

    #[test]
    fn every_thread_works_even_without_time() {
        let sample = drive(8, Limit::time(Duration::ZERO), |_| Ok(|_| Ok(()))).unwrap();
        assert_eq!(sample.ops(), 8);
    }

    #[test]
    fn a_failure_stops_all() {
        let limit = Limit::time(Duration::from_secs(60));
        let failed = drive(2, limit, |thread| {
            Ok(move |_| if thread == 0 { Err(Error::msg("no")) } else { Ok(()) })
        });
        assert_eq!(failed.unwrap_err().to_string(), "no");
        let failed =
            drive(2, limit, |_| -> Result<fn(u64) -> Result<()>> { Err(Error::msg("no")) });
        assert!(failed.is_err());
    }
}
