//! The phases of a run, each beside the raw device.

use super::budget::Budget;
use super::keys::KEY_BYTES;
use super::part::Part;
use super::report::Row;
use super::session::Session;
use super::store::Store;
use crate::measure::drive::Limit;
use crate::measure::random::Random;
use crate::measure::sample::Sample;
use anyhow::{Result, ensure};
use extentdb::Metrics;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

const PAGE: u64 = 4096;

/// What a phase does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Durable puts of new keys.
    Put,
    /// The same by tasks: so many are under way in all.
    PutTasks(usize),
    /// Gets of random keys, each key once.
    Get,
    /// A scan in key order, with values.
    Scan,
    /// A scan in key order of keys alone.
    ScanKeys,
    /// Durable puts of random keys that exist.
    Overwrite,
}

impl Kind {
    /// Whether it takes space.
    pub(super) fn writes(self) -> bool {
        matches!(self, Self::Put | Self::PutTasks(_) | Self::Overwrite)
    }
}

/// One phase.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phase {
    pub(super) kind: Kind,
    pub(super) value_bytes: u64,
    pub(super) threads: usize,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Put => "put",
            Kind::PutTasks(_) => "put_async",
            Kind::Get => "get",
            Kind::Scan => "scan",
            Kind::ScanKeys => "scan keys",
            Kind::Overwrite => "overwrite",
        };
        let size = if self.value_bytes < 1 << 20 { "1 KiB" } else { "1 MiB" };
        match self.kind {
            Kind::Scan | Kind::ScanKeys => write!(f, "{kind} {size}"),
            Kind::PutTasks(tasks) => write!(f, "{kind} {size} {tasks}/{}", self.threads),
            _ => write!(f, "{kind} {size} x{}", self.threads),
        }
    }
}

/// All phases, in their order: values are put before they are read.
pub(super) fn all() -> Vec<Phase> {
    let phases = [
        (Kind::Put, 1),
        (Kind::Put, 16),
        (Kind::Put, 64),
        (Kind::Get, 1),
        (Kind::Get, 16),
        (Kind::Scan, 1),
        (Kind::ScanKeys, 1),
        (Kind::Overwrite, 16),
    ];
    // Of large values so many at once would be of the machine's memory.
    let of_many = [(Kind::Put, 256), (Kind::PutTasks(256), 2)];
    let of_size = |value_bytes| {
        let many = of_many.into_iter().filter(move |_| value_bytes < 1 << 20);
        let (puts, others) = phases.split_at(3);
        let all = puts.iter().copied().chain(many).chain(others.iter().copied());
        all.map(move |(kind, threads)| Phase { kind, value_bytes, threads })
    };
    [1 << 10, 1 << 20].into_iter().flat_map(of_size).collect()
}

/// Runs phases, one after the other.
#[derive(Debug)]
pub(super) struct Runner<'s, 'a> {
    store: Store,
    session: &'s mut Session<'a>,
    budget: Budget,
    rounds: u32,
    /// Time of the store in one round.
    slice: Duration,
    random: Random,
}

/// What a phase has measured so far.
struct Measured {
    store: Sample,
    raw: Sample,
    /// A lone raw writer, in phases of several.
    lone: Sample,
}

/// Where the reads of one phase go, and how far they have come.
#[derive(Default)]
struct Orders {
    store: Vec<u32>,
    raw: Vec<u32>,
}

impl<'s, 'a> Runner<'s, 'a> {
    pub(super) fn new(store: Store, session: &'s mut Session<'a>, budget: Budget) -> Self {
        let rounds = session.plan.rounds;
        let slice = session.plan.phase_time / rounds;
        Self { store, session, budget, rounds, slice, random: Random::new(3) }
    }

    /// Keeps what a phase has shown.
    pub(super) fn answer(&mut self, row: Row) {
        self.session.report.rows.push(row);
    }

    /// Measures one phase.
    pub(super) fn run(&mut self, phase: Phase) -> Result<Row> {
        let mut measured =
            Measured { store: Sample::new(), raw: Sample::new(), lone: Sample::new() };
        let before = self.store.db().metrics();
        let mut orders = self.orders(phase)?;
        for round in 0..self.rounds {
            self.raw(phase, &mut orders, &mut measured)?;
            let sample = self.slice_of_store(phase, &mut orders, self.rounds - round)?;
            self.note(phase, "store", &sample);
            measured.store.add(&sample);
            self.raw(phase, &mut orders, &mut measured)?;
        }
        ensure!(measured.store.ops() > 0, "there is no room for it; give more --bytes");
        Ok(measured.row(phase, &before, &self.store.db().metrics()))
    }

    /// A random order of the keys, and one of as many places of the scratch file as there are.
    fn orders(&mut self, phase: Phase) -> Result<Orders> {
        if phase.kind != Kind::Get {
            return Ok(Orders::default());
        }
        let slots = self.session.scratch.slots(raw_bytes(phase.value_bytes))?;
        Ok(Orders {
            store: self.random.order(self.store.keys(phase.value_bytes)),
            raw: self.random.order(slots),
        })
    }

    fn slice_of_store(
        &mut self,
        phase: Phase,
        orders: &mut Orders,
        rounds_left: u32,
    ) -> Result<Sample> {
        let Phase { kind, value_bytes, threads } = phase;
        let limit = Limit::time(self.slice);
        match kind {
            Kind::Put | Kind::PutTasks(_) | Kind::Overwrite => {
                let ops = self.budget.take(value_bytes, threads, &self.store.db().metrics());
                let limit = Limit { ops, ..limit };
                match kind {
                    Kind::Put => self.store.puts(value_bytes, threads, limit),
                    Kind::PutTasks(tasks) => {
                        self.store.puts_of_tasks(value_bytes, threads, tasks / threads, limit)
                    }
                    _ => self.store.overwrites(value_bytes, threads, limit),
                }
            }
            Kind::Get => {
                // No round takes the keys of those to come.
                let ops = (orders.store.len() as u64).div_ceil(u64::from(rounds_left));
                let limit = Limit { ops, ..limit };
                let sample = self.store.gets(value_bytes, threads, &orders.store, limit)?;
                orders.store.drain(..sample.ops() as usize);
                Ok(sample)
            }
            Kind::Scan => self.store.scan(value_bytes, limit),
            Kind::ScanKeys => self.store.scan_keys(value_bytes, limit),
        }
    }

    /// The raw device, for half as long as the store.
    fn raw(&mut self, phase: Phase, orders: &mut Orders, measured: &mut Measured) -> Result<()> {
        let bytes = raw_bytes(phase.value_bytes);
        let half = Limit::time(self.slice / 2);
        let quarter = Limit::time(self.slice / 4);
        match phase.kind {
            Kind::Put | Kind::PutTasks(_) | Kind::Overwrite if phase.threads > 1 => {
                let lone = self.session.scratch.writes(bytes, 1, quarter)?;
                self.note(phase, "raw x1", &lone);
                measured.lone.add(&lone);
                let sample = self.session.scratch.writes(bytes, phase.threads, quarter)?;
                self.note(phase, "raw", &sample);
                measured.raw.add(&sample);
            }
            Kind::Put | Kind::PutTasks(_) | Kind::Overwrite => {
                let sample = self.session.scratch.writes(bytes, 1, half)?;
                self.note(phase, "raw", &sample);
                measured.raw.add(&sample);
            }
            Kind::Get => {
                let order = &mut orders.raw;
                let sample = self.session.scratch.reads(bytes, phase.threads, order, half)?;
                let done = sample.ops() % order.len() as u64;
                order.rotate_left(done as usize);
                self.note(phase, "raw", &sample);
                measured.raw.add(&sample);
            }
            Kind::Scan => {
                let in_order: Vec<u32> = (0..self.session.scratch.slots(bytes)? as u32).collect();
                let sample = self.session.scratch.reads(bytes, 1, &in_order, half)?;
                self.note(phase, "raw", &sample);
                measured.raw.add(&sample);
            }
            Kind::ScanKeys => {}
        }
        Ok(())
    }

    fn note(&mut self, phase: Phase, side: &'static str, sample: &Sample) {
        self.session.tracks.note([Part::Phases.name(), &phase.to_string(), ""], side, sample);
    }
}

impl Measured {
    fn row(&self, phase: Phase, before: &Metrics, after: &Metrics) -> Row {
        let Phase { kind, value_bytes, threads } = phase;
        let bytes = if kind == Kind::ScanKeys { KEY_BYTES as u64 } else { value_bytes };
        let raw_bytes = raw_bytes(value_bytes);
        let summary = |sample: &Sample, bytes| (sample.ops() > 0).then(|| sample.summary(bytes));
        let written = |metrics: &Metrics| metrics.written.log + metrics.written.large;
        let given = self.store.ops() * (KEY_BYTES as u64 + value_bytes);
        let flushes = after.barriers - before.barriers;
        let (store, raw) = (self.store.summary(bytes), summary(&self.raw, raw_bytes));
        let lone = summary(&self.lone, raw_bytes);
        let p50_ratio = raw.as_ref().map(|raw| store.p50_ns as f64 / raw.p50_ns as f64);
        let beside = lone.as_ref().or(raw.as_ref());
        let rate_ratio = beside.map(|raw| store.ops_per_s / raw.ops_per_s);
        Row {
            name: phase.to_string(),
            phase: kind,
            value_bytes,
            threads,
            store,
            raw,
            raw_lone: lone,
            p50_ratio,
            rate_ratio,
            write_amplification: kind
                .writes()
                .then(|| (written(after) - written(before)) as f64 / given as f64),
            records_per_flush: (kind.writes() && flushes > 0)
                .then(|| self.store.ops() as f64 / flushes as f64),
        }
    }
}

/// Bytes of the raw transfer that a value is compared to: whole pages.
pub(super) fn raw_bytes(value_bytes: u64) -> u64 {
    value_bytes.next_multiple_of(PAGE)
}
