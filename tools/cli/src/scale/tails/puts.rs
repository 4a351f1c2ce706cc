//! Durable puts that arrive at 70 % of what the store can take, with and without a checkpoint
//! under way.

use super::{PAGE, Tails, answer_quantiles, row};
use crate::measure::drive::{Limit, drive};
use crate::measure::median::{Quantiles, median};
use crate::measure::open_loop::{self, Arrivals, Latencies};
use crate::measure::random::Random;
use crate::measure::row::Unit;
use crate::measure::sample::{Sample, Summary};
use crate::measure::stages;
use crate::progress::Steps;
use crate::scale::child;
use crate::scale::part::Part;
use anyhow::{Error, Result};
use extentdb::Metrics;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Share of the capacity at which puts arrive.
const LOAD: f64 = 0.7;
/// How often a quiet slice is repeated that a checkpoint disturbed.
const ATTEMPTS: usize = 3;
/// Fewer puts than this show no tail.
const ENOUGH: u64 = 100;

/// Summaries of the rounds.
#[derive(Debug, Default)]
struct Rounds {
    /// Puts a second of a lone raw writer, and of all writers in a closed loop.
    raw: Vec<f64>,
    capacity: Vec<f64>,
    quiet: Kind,
    called: Kind,
    automatic: Kind,
}

/// Slices of one kind.
#[derive(Debug, Default)]
struct Kind {
    puts: Vec<Summary>,
    /// What the store did, all of each slice.
    metrics: Vec<Metrics>,
}

impl Kind {
    fn push(&mut self, (puts, metrics): (Summary, Metrics)) {
        self.puts.push(puts);
        self.metrics.push(metrics);
    }
}

impl Tails<'_> {
    /// Slices in turn, and rows. Each round has its own capacity, as what else the machine does
    /// changes from one to the next.
    pub(super) fn puts(&self) -> Result<()> {
        let mut rounds = Rounds::default();
        let steps = Steps::new(u64::from(self.args.rounds) * 4);
        for round in 0..u64::from(self.args.rounds) {
            steps.begin("capacity");
            let capacity = self.capacity(round, &mut rounds)?;
            let arrivals = Arrivals { rate: LOAD * capacity, time: self.slice, seed: 1000 + round };
            steps.begin("puts");
            rounds.quiet.push(self.quiet(arrivals)?);
            steps.begin("puts beside checkpoints that are called for");
            let (latencies, metrics) = self.watched(|| self.beside_called(arrivals))?;
            rounds.called.push((latencies.beside.summary(1), metrics));
            steps.begin("puts beside a checkpoint that was due");
            self.settle()?;
            self.provoke()?;
            let (latencies, metrics) = self.watched(|| self.beside_automatic(arrivals))?;
            if latencies.beside.ops() >= ENOUGH {
                rounds.automatic.push((latencies.beside.summary(1), metrics));
            }
        }
        steps.finish();
        rounds.answer(self.args.writers.into())
    }

    /// Puts a second where each begins when the one before has ended.
    fn capacity(&self, round: u64, rounds: &mut Rounds) -> Result<f64> {
        let limit = Limit::time(self.slice);
        self.settle()?;
        rounds.raw.push(self.scratch.writes(PAGE, 1, limit)?.summary(PAGE).ops_per_s);
        let threads = usize::from(self.args.writers);
        let capacity = self.closed_loop(threads, limit, round)?.summary(1).ops_per_s;
        rounds.capacity.push(capacity);
        Ok(capacity)
    }

    fn closed_loop(&self, threads: usize, limit: Limit, round: u64) -> Result<Sample> {
        drive(threads, limit, |thread| {
            let mut random = Random::new((2000 + round) << 32 | thread as u64);
            let (mut key, mut value) = (Vec::new(), Vec::new());
            Ok(move |_| self.put(&mut random, &mut key, &mut value))
        })
    }

    fn arrive(&self, arrivals: Arrivals, is_beside: &AtomicBool) -> Result<Latencies> {
        open_loop::run(open_loop::threads(self.args.writers), arrivals, is_beside, |thread| {
            let mut random = Random::new(arrivals.seed << 32 | thread as u64);
            let (mut key, mut value) = (Vec::new(), Vec::new());
            move || self.put(&mut random, &mut key, &mut value)
        })
    }

    /// No checkpoint is under way; where one becomes due, once more.
    fn quiet(&self, arrivals: Arrivals) -> Result<(Summary, Metrics)> {
        let mut attempt = 1;
        loop {
            self.settle()?;
            let (latencies, metrics) =
                self.watched(|| self.arrive(arrivals, &AtomicBool::new(false)))?;
            if metrics.written.checkpoint == 0 || attempt == ATTEMPTS {
                return Ok((latencies.quiet.summary(1), metrics));
            }
            attempt += 1;
        }
    }

    /// What `measure` gives, and what the store did meanwhile.
    fn watched<T>(&self, measure: impl FnOnce() -> Result<T>) -> Result<(T, Metrics)> {
        let before = self.db.metrics();
        let measured = measure()?;
        Ok((measured, self.db.metrics().since(&before)))
    }

    /// One checkpoint after the other is called for.
    fn beside_called(&self, arrivals: Arrivals) -> Result<Latencies> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let caller = scope.spawn(|| -> Result<()> {
                while !is_over.load(Ordering::Relaxed) {
                    self.db.checkpoint()?;
                }
                Ok(())
            });
            let latencies = self.arrive(arrivals, &AtomicBool::new(true));
            is_over.store(true, Ordering::Relaxed);
            caller.join().unwrap_or_else(|_| Err(Error::msg("a thread panicked")))?;
            latencies
        })
    }

    /// A checkpoint has begun by itself.
    fn beside_automatic(&self, arrivals: Arrivals) -> Result<Latencies> {
        let (is_beside, is_over) = (AtomicBool::new(true), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| self.watch(&is_beside, &is_over));
            let latencies = self.arrive(arrivals, &is_beside);
            is_over.store(true, Ordering::Relaxed);
            latencies
        })
    }
}

impl Rounds {
    fn answer(&self, threads: usize) -> Result<()> {
        let capacity = median(self.capacity.clone());
        let name = format!("durable puts, closed loop of {threads}");
        let closed = row(name, capacity, Unit::PerSecond);
        child::answer(&closed.beside("1 raw writer", median(self.raw.clone())))?;
        let arrivals = row("  arrivals, open loop", LOAD * capacity, Unit::PerSecond);
        child::answer(&arrivals.beside("closed loop", capacity))?;
        for (quantile, seconds) in Quantiles::of(&self.quiet.puts).named() {
            child::answer(&row(format!("put at 70 %, {quantile}"), seconds, Unit::Seconds))?;
        }
        let kinds = [("checkpoint()", &self.called), ("one that was due", &self.automatic)];
        kinds.into_iter().try_for_each(|(name, kind)| {
            let name = format!("put at 70 %, {name}");
            answer_quantiles(&name, &kind.puts, "without", &self.quiet.puts)?;
            let stages =
                stages::rows(Part::Tails.name(), &kind.metrics, "without", &self.quiet.metrics);
            stages.iter().try_for_each(child::answer)
        })
    }
}
