//! Cold gets of one reader, with and without a lone durable writer, beside the raw device.

use super::{PAGE, Tails, answer_quantiles, row};
use crate::measure::drive::{Limit, drive};
use crate::measure::median::median;
use crate::measure::random::Random;
use crate::measure::row::Unit;
use crate::measure::sample::{Sample, Summary};
use crate::measure::shape::Shape;
use crate::progress::Steps;
use crate::scale::child;
use anyhow::{Context, Error, Result, ensure};
use std::thread;

/// What each round measures.
#[derive(Debug, Default)]
struct Rounds {
    get: Vec<Summary>,
    get_beside: Vec<Summary>,
    put: Vec<Summary>,
    read: Vec<Summary>,
    read_beside: Vec<Summary>,
    write: Vec<Summary>,
}

impl Tails<'_> {
    /// Slices in turn, and rows.
    pub(super) fn gets(&self) -> Result<()> {
        let mut rounds = Rounds::default();
        let steps = Steps::new(u64::from(self.args.rounds) * 4);
        let mut order = Random::new(11);
        let places = order.order(self.scratch.slots(PAGE)?);
        let reads = |limit| self.scratch.reads(PAGE, 1, &places, limit);
        let writes = |limit| self.scratch.writes(PAGE, 1, limit);
        for round in 0..u64::from(self.args.rounds) {
            steps.begin("raw reads");
            rounds.read.push(reads(self.limit())?.summary(PAGE));
            steps.begin("gets");
            rounds.get.push(self.get_slice(round)?.summary(PAGE));
            steps.begin("raw reads beside a raw writer");
            let (read, write) = self.both(reads, writes)?;
            rounds.read_beside.push(read);
            rounds.write.push(write);
            steps.begin("gets beside a durable writer");
            let (get, put) = self.both(|_| self.get_slice(round), |limit| self.put_slice(limit))?;
            rounds.get_beside.push(get);
            rounds.put.push(put);
        }
        steps.finish();
        rounds.answer()
    }

    fn limit(&self) -> Limit {
        Limit::time(self.slice)
    }

    /// Runs a slice of `read` and one of `write` at the same time.
    fn both(
        &self,
        read: impl FnOnce(Limit) -> Result<Sample>,
        write: impl FnOnce(Limit) -> Result<Sample> + Send,
    ) -> Result<(Summary, Summary)> {
        thread::scope(|scope| {
            let writer = scope.spawn(|| write(self.limit()));
            let read = read(self.limit());
            let written = writer.join().unwrap_or_else(|_| Err(Error::msg("a thread panicked")));
            Ok((read?.summary(PAGE), written?.summary(PAGE)))
        })
    }

    /// Gets of random keys by one thread.
    fn get_slice(&self, round: u64) -> Result<Sample> {
        let (db, shape, keys) = (&self.db, &self.load.shape, self.args.keys);
        drive(1, self.limit(), |_| {
            let (mut random, mut key) = (Random::new(100 + round), Vec::new());
            Ok(move |_| {
                let number = random.below(keys);
                let value = db.get(shape.key(number, &mut key))?;
                let value = value.context("a key that was put is absent")?;
                ensure!(Shape::version(number, &value).is_some_and(|v| v <= 1), "another's value");
                Ok(())
            })
        })
    }

    /// Durable puts by one thread.
    fn put_slice(&self, limit: Limit) -> Result<Sample> {
        drive(1, limit, |_| {
            let (mut random, mut key, mut value) = (Random::new(12), Vec::new(), Vec::new());
            Ok(move |_| self.put(&mut random, &mut key, &mut value))
        })
    }
}

impl Rounds {
    fn answer(&self) -> Result<()> {
        answer_quantiles("get", &self.get, "raw read", &self.read)?;
        answer_quantiles("get, 1 durable writer", &self.get_beside, "get", &self.get)?;
        answer_quantiles("raw read, 1 raw writer", &self.read_beside, "raw read", &self.read)?;
        let rate = |rounds: &[Summary]| median(rounds.iter().map(|round| round.ops_per_s));
        let rows = [
            ("  the durable writer", &self.put, "raw writer", &self.write),
            ("  gets beside it", &self.get_beside, "raw reads", &self.read_beside),
        ];
        rows.into_iter().try_for_each(|(name, store, what, raw)| {
            child::answer(&row(name, rate(store), Unit::PerSecond).beside(what, rate(raw)))
        })
    }
}
