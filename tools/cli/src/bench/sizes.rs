//! Values of many lengths: durable puts by one writer, and cold gets by one reader, each beside raw
//! transfers of the same whole pages.

use super::budget::Budget;
use super::part::Part;
use super::phase::raw_bytes;
use super::report::PartReport;
use super::rounds::Names;
use super::session::{Cell, Session};
use super::store::Store;
use crate::measure::drive::Limit;
use crate::measure::random::Random;
use crate::measure::row::{Row, Unit};
use crate::size;
use anyhow::{Result, ensure};
use extentdb::Db;

const PART: &str = "sizes";
const SIZES: [u64; 7] = [128, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// All sizes, on one volume.
pub(super) fn measure(session: &mut Session<'_>, db: &Db) -> Result<()> {
    session.part(PartReport { threads: Some(1), ..PartReport::new(Part::Sizes, 0) })?;
    let rounds = session.plan.rounds.into();
    let mut budget = Budget::even(&session.plan, &SIZES, rounds, &db.info());
    let mut store = Store::new(db.clone());
    for value_bytes in SIZES {
        puts(session, &mut store, &mut budget, value_bytes)?;
        gets(session, &store, value_bytes)?;
    }
    let keys = Row::new(PART, "keys at the end", db.metrics().keys as f64, Unit::Count);
    session.answer([keys])
}

fn puts(
    session: &mut Session<'_>,
    store: &mut Store,
    budget: &mut Budget,
    value_bytes: u64,
) -> Result<()> {
    let name = format!("put {}", size::show(value_bytes));
    let rounds = session.measure(
        Cell { part: PART, name: &name, kinds: &[""] },
        |_, limit| {
            let ops = budget.take(value_bytes, 1, &store.db().metrics());
            ensure!(ops > 0, "there is no room for it; give more --bytes");
            Ok(vec![store.puts(value_bytes, 1, Limit { ops, ..limit })?])
        },
        |scratch, limit| Ok(vec![scratch.writes(raw_bytes(value_bytes), 1, limit)?]),
    )?;
    let names = Names { part: PART, what: &name, raw: "raw write and flush" };
    session.answer(rounds.iter().map(|rounds| rounds.rate(names, 1.0)))?;
    session.answer(rounds.iter().flat_map(|rounds| rounds.latencies(names)))
}

/// Each key once.
fn gets(session: &mut Session<'_>, store: &Store, value_bytes: u64) -> Result<()> {
    let name = format!("cold get {}", size::show(value_bytes));
    let mut random = Random::new(value_bytes);
    let mut keys = random.order(store.keys(value_bytes));
    let mut places = random.order(session.scratch.slots(raw_bytes(value_bytes))?);
    let each = (keys.len() as u64).div_ceil(session.plan.rounds.into());
    let rounds = session.measure(
        Cell { part: PART, name: &name, kinds: &[""] },
        |_, limit| {
            let sample = store.gets(value_bytes, 1, &keys, Limit { ops: each, ..limit })?;
            keys.drain(..sample.ops() as usize);
            Ok(vec![sample])
        },
        |scratch, limit| {
            let sample = scratch.reads(raw_bytes(value_bytes), 1, &places, limit)?;
            let done = sample.ops() % places.len() as u64;
            places.rotate_left(done as usize);
            Ok(vec![sample])
        },
    )?;
    let names = Names { part: PART, what: &name, raw: "raw pread" };
    session.answer(rounds.iter().map(|rounds| rounds.rate(names, 1.0)))?;
    session.answer(rounds.iter().flat_map(|rounds| rounds.latencies(names)))
}
