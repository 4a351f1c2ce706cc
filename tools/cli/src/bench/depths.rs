//! How much is under way at once, from 1 to many: writers, puts in flight, reads in flight.
//!
//! New keys are put, so that there is no garbage to collect. Reads are multi-gets of random keys,
//! with no cache, beside as many raw reads through io_uring.

use super::budget::Budget;
use super::client::RawClient;
use super::part::Part;
use super::phase::raw_bytes;
use super::report::PartReport;
use super::rounds::Names;
use super::session::{Cell, Session};
use super::store::Store;
use crate::measure::drive::{Limit, drive};
use crate::measure::random::Random;
use crate::measure::raw::Scratch;
use crate::measure::row::{Row, Unit};
use crate::measure::sample::Sample;
use anyhow::{Result, ensure};
use extentdb::Db;

const PART: &str = "depths";
const WRITERS: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const IN_FLIGHT: [usize; 9] = WRITERS;
/// Threads that keep puts in flight.
const STARTERS: usize = 2;
const READS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

/// All depths, on one volume.
pub(super) fn measure(session: &mut Session<'_>, db: &Db) -> Result<()> {
    let value_bytes = session.args.value_bytes;
    let value = Some(value_bytes);
    session.part(PartReport { value_bytes: value, ..PartReport::new(Part::Depths, 0) })?;
    let slices = session.plan.rounds as usize * (WRITERS.len() + IN_FLIGHT.len());
    let budget = Budget::even(&session.plan, &[value_bytes], slices as u64, &db.info());
    let mut depths = Depths { store: Store::new(db.clone()), budget, value_bytes };
    for depth in WRITERS {
        depths.writers(session, depth)?;
    }
    for depth in IN_FLIGHT {
        depths.in_flight(session, depth)?;
    }
    let keys = Row::new(PART, "keys by now", db.metrics().keys as f64, Unit::Count);
    session.answer([keys])?;
    for depth in READS {
        depths.reads(session, depth)?;
    }
    Ok(())
}

struct Depths {
    store: Store,
    budget: Budget,
    value_bytes: u64,
}

impl Depths {
    fn writers(&mut self, session: &mut Session<'_>, depth: usize) -> Result<()> {
        let name = if depth == 1 { "1 writer".to_owned() } else { format!("{depth} writers") };
        self.puts(session, &name, depth, |store, value_bytes, limit| {
            store.puts(value_bytes, depth, limit)
        })
    }

    fn in_flight(&mut self, session: &mut Session<'_>, depth: usize) -> Result<()> {
        let threads = depth.min(STARTERS);
        self.puts(session, &format!("{depth} in flight"), depth, |store, value_bytes, limit| {
            store.puts_of_tasks(value_bytes, threads, depth / threads, limit)
        })
    }

    fn puts(
        &mut self,
        session: &mut Session<'_>,
        name: &str,
        depth: usize,
        put: impl Fn(&mut Store, u64, Limit) -> Result<Sample>,
    ) -> Result<()> {
        let Self { store, budget, value_bytes } = self;
        let rounds = session.measure(
            Cell { part: PART, name, kinds: &[""] },
            |_, limit| {
                let ops = budget.take(*value_bytes, depth, &store.db().metrics());
                ensure!(ops > 0, "there is no room for it; give more --bytes");
                Ok(vec![put(store, *value_bytes, Limit { ops, ..limit })?])
            },
            |scratch, limit| Ok(vec![scratch.writes(raw_bytes(*value_bytes), depth, limit)?]),
        )?;
        let raw = format!("raw write and flush, {depth} threads");
        let names = Names { part: PART, what: name, raw: &raw };
        session.answer(rounds.iter().map(|rounds| rounds.rate(names, 1.0)))?;
        session.answer(rounds.iter().flat_map(|rounds| rounds.latencies(names)))
    }

    fn reads(&self, session: &mut Session<'_>, depth: usize) -> Result<()> {
        let name = format!("{depth} reads in flight");
        let (store, value_bytes) = (&self.store, self.value_bytes);
        let mut keys = Random::new(depth as u64).order(store.keys(value_bytes));
        let rounds = session.measure(
            Cell { part: PART, name: &name, kinds: &[""] },
            |_, limit| {
                let sample = store.multi_gets(value_bytes, depth, &keys, limit)?;
                let done = sample.ops() * depth as u64 % keys.len() as u64;
                keys.rotate_left(done as usize);
                Ok(vec![sample])
            },
            |scratch, limit| Ok(vec![raw_reads(scratch, value_bytes, depth, limit)?]),
        )?;
        let raw = match session.scratch.has_ring() {
            true => "raw reads through io_uring",
            false => "raw preads, one by one",
        };
        let names = Names { part: PART, what: &name, raw };
        let in_all = format!("{name}, values");
        let values = Names { what: &in_all, ..names };
        session.answer(rounds.iter().map(|rounds| rounds.rate(values, depth as f64)))?;
        session.answer(rounds.iter().flat_map(|rounds| rounds.latencies(names)))
    }
}

/// Reads of `depth` places together, again and again.
fn raw_reads(scratch: &Scratch, value_bytes: u64, depth: usize, limit: Limit) -> Result<Sample> {
    drive(1, limit, |_| {
        let mut client = RawClient::new(scratch, value_bytes, depth, depth as u64)?;
        Ok(move |_| client.scan(depth as u64))
    })
}
