//! Operations that arrive at given rates, whether or not the store keeps up.
//!
//! A closed loop says what the store can take; what arrives is a share of that, or a given rate. Each
//! latency counts from when its operation was due. The raw device takes the same rate, or the same share
//! of what it can take where that is less.

use super::client::{Client, RawClient};
use super::loaded::Loaded;
use super::part::Part;
use super::report::PartReport;
use super::rounds::Names;
use super::session::{Cell, Session};
use crate::measure::drive::{Limit, drive};
use crate::measure::load::Load;
use crate::measure::open_loop::{self, Arrivals};
use crate::measure::raw::Scratch;
use crate::measure::row::{Row, Unit};
use crate::measure::sample::Sample;
use crate::measure::shape::Shape;
use anyhow::{Error, Result};
use extentdb::Db;
use std::sync::atomic::AtomicBool;

const PART: &str = "open loop";
/// Threads and records of a batch that load the keys.
const LOADERS: u16 = 8;
const BATCH: u16 = 64;
/// The most of its capacity, in percent, that the raw device is given where a rate was asked for.
const MOST_LOAD: f64 = 90.0;

/// What arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Put,
    Get,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
        }
    }
}

/// Loads the keys; then puts and gets arrive.
pub(super) fn measure(session: &mut Session<'_>, db: &Db) -> Result<()> {
    let (value_bytes, threads) = (session.args.value_bytes, session.args.threads);
    let loaded = Loaded::new(db, value_bytes, session.plan.keys);
    session.part(PartReport {
        value_bytes: Some(value_bytes),
        threads: Some(threads),
        ..PartReport::new(Part::OpenLoop, loaded.keys)
    })?;
    let shape = Shape::new(loaded.shape.key_bytes, 0, loaded.shape.value_bytes, 0);
    Load::new(db, shape, LOADERS, BATCH).insert(0..loaded.keys)?;
    db.sync()?;
    let sides = Sides { loaded: &loaded, value_bytes, threads: threads.into() };
    for kind in [Kind::Put, Kind::Get] {
        arrive(session, &sides, kind)?;
    }
    Ok(())
}

fn arrive(session: &mut Session<'_>, sides: &Sides<'_>, kind: Kind) -> Result<()> {
    let [store, raw] = capacity(session, sides, kind)?;
    match session.args.rate {
        Some(rate) => {
            let name = format!("{} at {rate}/s", kind.name());
            at_rate(session, sides, (kind, &name), [rate, rate.min(MOST_LOAD / 100.0 * raw)])
        }
        None => session.args.load.iter().try_for_each(|&percent| {
            let (name, share) =
                (format!("{} at {percent} %", kind.name()), f64::from(percent) / 100.0);
            let rate = share * store;
            at_rate(session, sides, (kind, &name), [rate, rate.min(share * raw)])
        }),
    }
}

/// What the store and the raw device can take: each operation begins when the one before has ended.
fn capacity(session: &mut Session<'_>, sides: &Sides<'_>, kind: Kind) -> Result<[f64; 2]> {
    let name = format!("{}, closed loop", kind.name());
    let rounds = session.measure(
        Cell { part: PART, name: &name, kinds: &[""] },
        |_, limit| Ok(vec![sides.store_closed(kind, limit)?]),
        |scratch, limit| Ok(vec![sides.raw_closed(scratch, kind, limit)?]),
    )?;
    let names = Names { part: PART, what: &name, raw: "raw, closed loop" };
    let rates: Vec<Row> = rounds.iter().map(|rounds| rounds.rate(names, 1.0)).collect();
    let found = rates.first().map_or([1.0, 1.0], |row| {
        [row.figure, row.beside.as_ref().map_or(row.figure, |raw| raw.figure)]
    });
    session.answer(rates)?;
    Ok(found.map(|rate| rate.max(1.0)))
}

fn at_rate(
    session: &mut Session<'_>,
    sides: &Sides<'_>,
    (kind, name): (Kind, &str),
    [store, raw]: [f64; 2],
) -> Result<()> {
    let rounds = session.measure(
        Cell { part: PART, name, kinds: &[""] },
        |_, limit| Ok(vec![sides.store_open(kind, store, limit)?]),
        |scratch, limit| Ok(vec![sides.raw_open(scratch, kind, raw, limit)?]),
    )?;
    let raw_name = format!("raw at {raw:.0}/s");
    let names = Names { part: PART, what: name, raw: &raw_name };
    let due = Row::new(PART, format!("{name}, due"), store, Unit::PerSecond);
    session.answer([due])?;
    session.answer(rounds.iter().map(|rounds| rounds.rate(names, 1.0)))?;
    session.answer(rounds.iter().flat_map(|rounds| rounds.latencies(names)))
}

/// What takes what arrives.
struct Sides<'a> {
    loaded: &'a Loaded<'a>,
    value_bytes: u64,
    threads: usize,
}

impl Sides<'_> {
    fn store_closed(&self, kind: Kind, limit: Limit) -> Result<Sample> {
        let seed = self.loaded.seed();
        drive(self.threads, limit, |thread| {
            let mut operate = self.on_store(kind, seed | thread as u64);
            Ok(move |_| operate())
        })
    }

    fn raw_closed(&self, scratch: &Scratch, kind: Kind, limit: Limit) -> Result<Sample> {
        let seed = self.loaded.seed();
        drive(self.threads, limit, |thread| {
            let mut operate = self.on_raw(scratch, kind, seed | thread as u64)?;
            Ok(move |_| operate())
        })
    }

    fn store_open(&self, kind: Kind, rate: f64, limit: Limit) -> Result<Sample> {
        let seed = self.loaded.seed();
        let (arrivals, never) = (Arrivals { rate, time: limit.time, seed }, AtomicBool::new(false));
        let latencies = open_loop::run(self.threads, arrivals, &never, |thread| {
            self.on_store(kind, seed | thread as u64)
        })?;
        Ok(latencies.quiet)
    }

    fn raw_open(&self, scratch: &Scratch, kind: Kind, rate: f64, limit: Limit) -> Result<Sample> {
        let seed = self.loaded.seed();
        let (arrivals, never) = (Arrivals { rate, time: limit.time, seed }, AtomicBool::new(false));
        let latencies = open_loop::run(self.threads, arrivals, &never, |thread| {
            // What it cannot have is said when it is first to work.
            let mut client = self.on_raw(scratch, kind, seed | thread as u64).map_err(Some);
            move || match &mut client {
                Ok(operate) => operate(),
                Err(error) => Err(error.take().unwrap_or_else(|| Error::msg("no memory"))),
            }
        })?;
        Ok(latencies.quiet)
    }

    fn on_store(&self, kind: Kind, seed: u64) -> impl FnMut() -> Result<()> + use<'_> {
        let (loaded, keys) = (self.loaded, self.loaded.keys);
        let mut client = Client::new(loaded.db, &loaded.shape, seed);
        move || {
            let number = client.random.below(keys);
            match kind {
                Kind::Put => client.put(number),
                Kind::Get => client.get(number),
            }
        }
    }

    fn on_raw<'s>(
        &self,
        scratch: &'s Scratch,
        kind: Kind,
        seed: u64,
    ) -> Result<impl FnMut() -> Result<()> + use<'s>> {
        let mut client = RawClient::new(scratch, self.value_bytes, 0, seed)?;
        Ok(move || match kind {
            Kind::Put => client.put(),
            Kind::Get => client.get(),
        })
    }
}
