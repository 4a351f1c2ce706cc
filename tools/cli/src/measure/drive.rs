//! Threads that do the same thing until time is up.

use super::sample::Sample;
use super::timeline::{Recorder, Timeline};
use anyhow::{Error, Result};
use std::collections::VecDeque;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant, SystemTime};

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
    timeline: Timeline,
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
    let samples = drive_threads(threads, limit, 1, |run, thread, recorder| {
        run.start(recorder);
        run.repeat_ahead(recorder, ahead, |number| begin(thread, number), end)
    });
    only(samples?)
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
    let samples = drive_kinds(threads, limit, 1, |thread| {
        let mut work = worker(thread)?;
        Ok(move |number| work(number).map(|()| 0))
    });
    only(samples?)
}

/// As [`drive`], but operations are of so many `kinds`: each says of which it was, from 0 on, and
/// each kind has a sample of its own.
pub(crate) fn drive_kinds<W>(
    threads: usize,
    limit: Limit,
    kinds: usize,
    worker: impl Fn(usize) -> Result<W> + Sync,
) -> Result<Vec<Sample>>
where
    W: FnMut(u64) -> Result<usize>,
{
    drive_threads(threads, limit, kinds, |run, thread, recorder| {
        let work = worker(thread);
        run.start(recorder);
        run.repeat(recorder, work?)
    })
}

fn only(samples: Vec<Sample>) -> Result<Sample> {
    samples.into_iter().next().ok_or_else(|| Error::msg("nothing was measured"))
}

fn drive_threads(
    threads: usize,
    limit: Limit,
    kinds: usize,
    thread: impl Fn(&Run, usize, &mut Recorder<'_>) -> Result<()> + Sync,
) -> Result<Vec<Sample>> {
    let run = Run {
        limit,
        next: AtomicU64::new(0),
        stopped: AtomicBool::new(false),
        start: Barrier::new(threads + 1),
        timeline: Timeline::new(kinds, limit.time),
    };
    let (begun, elapsed) = run.all(threads, &thread)?;
    Ok(run.timeline.samples(begun, elapsed))
}

impl Run {
    /// Has all threads work. Says when they began, and how long it took.
    fn all(
        &self,
        threads: usize,
        thread: &(impl Fn(&Self, usize, &mut Recorder<'_>) -> Result<()> + Sync),
    ) -> Result<(SystemTime, Duration)> {
        thread::scope(|scope| {
            let spawn = |n| scope.spawn(move || self.thread(|recorder| thread(self, n, recorder)));
            let threads: Vec<_> = (0..threads).map(spawn).collect();
            self.start.wait();
            let (at, begun) = (SystemTime::now(), Instant::now());
            let done: Vec<_> = threads.into_iter().map(ScopedJoinHandle::join).collect();
            let elapsed = begun.elapsed();
            for thread in done {
                thread.unwrap_or_else(|_| Err(Error::msg("a thread panicked")))?;
            }
            Ok((at, elapsed))
        })
    }

    fn thread(&self, work: impl FnOnce(&mut Recorder<'_>) -> Result<()>) -> Result<()> {
        // Its memory is not part of what is measured.
        let mut recorder = self.timeline.recorder();
        work(&mut recorder).inspect_err(|_| self.stopped.store(true, Ordering::Relaxed))
    }

    fn start(&self, recorder: &mut Recorder<'_>) {
        self.start.wait();
        recorder.begin(Instant::now());
    }

    fn repeat_ahead<P>(
        &self,
        recorder: &mut Recorder<'_>,
        ahead: usize,
        mut begin: impl FnMut(u64) -> P,
        end: impl Fn(P) -> Result<()>,
    ) -> Result<()> {
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
            let Some((begun, oldest)) = under_way.pop_front() else { return Ok(()) };
            end(oldest)?;
            let ended = Instant::now();
            recorder.record(0, ended, ended - begun);
            is_over |= ended >= deadline;
        }
    }

    fn repeat(
        &self,
        recorder: &mut Recorder<'_>,
        mut work: impl FnMut(u64) -> Result<usize>,
    ) -> Result<()> {
        let deadline = Instant::now() + self.limit.time;
        while !self.stopped.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.limit.ops {
                break;
            }
            let begun = Instant::now();
            let kind = work(number)?;
            let ended = Instant::now();
            recorder.record(kind, ended, ended - begun);
            if ended >= deadline {
                break;
            }
        }
        Ok(())
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
    fn each_kind_has_its_own_sample() {
        let limit = Limit { time: Duration::from_secs(60), ops: 1000 };
        let kinds = |_| Ok(|number: u64| Ok(usize::from(number.is_multiple_of(4))));
        let samples = drive_kinds(4, limit, 3, kinds).unwrap();
        let ops: Vec<_> = samples.iter().map(Sample::ops).collect();
        assert_eq!(ops, [750, 250, 0]);
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
