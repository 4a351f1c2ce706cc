//! Tails of gets and puts while garbage is collected, beside a store with so much room that none
//! is.
//!
//! Puts arrive at a share of what the tight store can take beside the same gets, whether or not it
//! keeps up; one thread gets keys, one after the other, from the device. The two stores take turns,
//! with the same keys and the same arrivals. The space of the roomy one has been written before, as that of the tight
//! one has: a log that goes where none was before writes everything twice.

mod rounds;
mod slice;

use super::choice::Choice;
use super::client::Client;
use super::drain::{check, collect};
use super::overwrite::overwrite;
use super::report::RunReport;
use super::run::filled;
use super::session::Session;
use super::skewed::UTILIZATION;
use super::store::{Live, Plan, Store};
use crate::args::ChurnArgs;
use crate::measure::drive::{Limit, drive};
use crate::measure::open_loop::Arrivals;
use crate::measure::row::{Row, Unit};
use crate::progress::Steps;
use anyhow::{Context, Result};
use rounds::Rounds;
use std::time::Duration;

const PART: &str = "tails";
/// How much larger the roomy volume is.
pub(super) const ROOMY: u64 = 4;
/// Bytes that a key takes beside its value, its share of images included.
const OVERHEAD_BYTES: u64 = 256;
/// Garbage that it allows for each live byte: more than it has room for.
const ALL_GARBAGE: f64 = 100.0;
/// Share of the capacity at which puts arrive.
const LOAD: f64 = 0.7;

/// Two stores that take turns.
pub(super) fn measure(session: &mut Session<'_>) -> Result<()> {
    session.attempt(PART, run)
}

fn run(session: &mut Session<'_>) -> Result<()> {
    let args = session.args;
    let tight = churned(session)?;
    let choice = Choice::Uniform(tight.keys);
    let capacity = capacity(&tight, &choice, args)?;
    let rate = LOAD * capacity;
    let roomy = roomy(args, tight.keys, rate)?;
    session.answer([
        Row::new(PART, "durable puts, closed loop, churning", capacity, Unit::PerSecond),
        Row::new(PART, "  arrivals, open loop", rate, Unit::PerSecond)
            .beside("closed loop", capacity),
    ])?;
    let rounds = rounds(args, rate, [&tight, &roomy], &choice)?;
    session.answer(rounds.rows())?;
    rounds.check()?;
    for store in [tight, roomy] {
        session.answer([check(PART, &store)?])?;
        store.close()?;
    }
    Ok(())
}

/// A store that has been churning for long enough.
fn churned(session: &mut Session<'_>) -> Result<Store> {
    let args = session.args;
    let mut store = Store::create(args, Plan::of(args))?;
    store.fill(Live::OfRoom { share: UTILIZATION, bytes: args.bytes })?;
    session.answer(filled(PART, &store))?;
    let bytes = (args.times.min(1.0) * args.bytes as f64) as u64;
    let (churned, puts) = overwrite(&store, &Choice::Uniform(store.keys), bytes, 1);
    session.report.runs.push(RunReport::new(PART, Some(UTILIZATION), &store, &churned));
    puts.context("while churning")?;
    Ok(store)
}

/// Puts a second where each begins when the one before has ended, beside the gets of the slices.
fn capacity(store: &Store, choice: &Choice, args: &ChurnArgs) -> Result<f64> {
    let time = Duration::from_secs_f64(args.seconds);
    let (_, puts) = slice::beside_gets(store, choice, (2, time), || {
        drive(args.writers.into(), Limit::time(time), |thread| {
            let mut client = Client::new(store, choice, 2 << 32 | thread as u64);
            Ok(move |_| client.put())
        })
    })?;
    Ok(puts.summary(1).ops_per_s)
}

/// A store of `keys` in which nothing needs to be collected while puts arrive at `rate`.
fn roomy(args: &ChurnArgs, keys: u64, rate: f64) -> Result<Store> {
    let plan = Plan::of(args);
    let puts = rate * args.seconds * f64::from(args.rounds);
    // The space that both take, and half as much again, is written and given back.
    let inserted = (keys as f64 * 1.5 + puts * 2.0) as u64;
    let room = (inserted * (plan.value_bytes + OVERHEAD_BYTES)).next_multiple_of(plan.volume_bytes);
    let volume_bytes = room.max(ROOMY * plan.volume_bytes);
    let plan = Plan { volume_bytes, garbage_ratio: Some(ALL_GARBAGE), ..plan };
    let mut store = Store::create(args, plan)?;
    store.insert(inserted)?;
    store.delete_all()?;
    collect(&store)?;
    store.insert(keys)?;
    Ok(store)
}

/// The slices, in turn.
fn rounds(args: &ChurnArgs, rate: f64, stores: [&Store; 2], choice: &Choice) -> Result<Rounds> {
    let time = Duration::from_secs_f64(args.seconds);
    let steps = Steps::new(u64::from(args.rounds) * 2);
    let mut rounds = Rounds::default();
    for round in 0..u64::from(args.rounds) {
        let arrivals = Arrivals { rate, time, seed: 1000 + round };
        let [tight, roomy] = stores;
        steps.begin("puts and gets, tight");
        rounds.tight.push(slice::measure_collecting(tight, choice, arrivals)?);
        steps.begin("puts and gets, roomy");
        rounds.roomy.push(slice::measure(roomy, choice, arrivals)?);
    }
    steps.finish();
    Ok(rounds)
}
