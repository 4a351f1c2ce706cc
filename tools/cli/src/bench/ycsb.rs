//! The workloads of YCSB, each beside the raw device with the same mix of operations.
//!
//! The keys are loaded first, by durable puts of one key each. The workloads follow on the same
//! store. The raw device reads the pages of a value where the store gets one, writes and flushes them
//! where it puts one, and reads as many random places at once as a scan has records. It has no cache.

use super::client::{Client, RawClient};
use super::loaded::Loaded;
use super::part::Part;
use super::report::PartReport;
use super::rounds::Names;
use super::session::{Cell, Session};
use crate::measure::drive::{Limit, drive, drive_kinds};
use crate::measure::median::median;
use crate::measure::raw::Scratch;
use crate::measure::row::{Row, Unit};
use crate::measure::sample::{Sample, Summary};
use crate::progress::Steps;
use anyhow::Result;
use extentdb::Db;
use extentdb_measure::ycsb::{Mix, Operation, SCAN_RECORDS, Workload};
use std::time::Duration;

/// How operations are called, by their kinds.
const KINDS: [&str; 5] = ["read", "update", "insert", "scan", "read-modify-write"];
/// Part of a slice for which a workload runs before it is measured.
const WARM_PART: u32 = 4;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Loads the keys, and runs all workloads.
pub(super) fn measure(session: &mut Session<'_>, db: &Db) -> Result<()> {
    let (value_bytes, threads) = (session.args.value_bytes, session.args.threads);
    let loaded = Loaded::new(db, value_bytes, session.plan.keys);
    session.part(PartReport {
        value_bytes: Some(value_bytes),
        threads: Some(threads),
        ..PartReport::new(Part::Ycsb, loaded.keys)
    })?;
    load(session, &loaded)?;
    let mut first = loaded.keys;
    for mix in Mix::ALL {
        let workload = Workload::new(mix, loaded.keys, first);
        run(session, &loaded, mix, &workload)?;
        // The next one inserts others.
        first += workload.inserts();
    }
    let keys = Row::new("YCSB", "keys at the end", db.metrics().keys as f64, Unit::Count);
    session.answer([keys])
}

/// Puts all keys, once.
fn load(session: &mut Session<'_>, loaded: &Loaded<'_>) -> Result<()> {
    let threads = session.args.threads.into();
    let steps = Steps::new(1);
    steps.begin("YCSB load");
    let raw = session.scratch.writes(
        super::phase::raw_bytes(session.args.value_bytes),
        threads,
        Limit::time(session.plan.phase_time / session.plan.rounds),
    )?;
    let seed = loaded.seed();
    let limit = Limit { time: DAY, ops: loaded.keys };
    let sample = drive(threads, limit, |thread| {
        let mut client = Client::new(loaded.db, &loaded.shape, seed | thread as u64);
        Ok(move |number| client.put(number))
    })?;
    steps.finish();
    session.tracks.note(["YCSB load", "insert", ""], "raw", &raw);
    session.tracks.note(["YCSB load", "insert", ""], "store", &sample);
    session.answer(load_rows(&sample.summary(1), &raw.summary(1)))
}

fn load_rows(store: &Summary, raw: &Summary) -> Vec<Row> {
    let row = |name, unit, figure: fn(&Summary) -> f64| {
        Row::new("YCSB load", name, figure(store), unit).beside("raw", figure(raw))
    };
    vec![
        row("insert", Unit::PerSecond, |s| s.ops_per_s),
        row("insert, p50", Unit::Seconds, |s| s.p50_ns as f64 / 1e9),
        row("insert, p99", Unit::Seconds, |s| s.p99_ns as f64 / 1e9),
        row("insert, p99.9", Unit::Seconds, |s| s.p999_ns as f64 / 1e9),
        row("insert, longest", Unit::Seconds, |s| s.max_ns as f64 / 1e9),
    ]
}

fn run(
    session: &mut Session<'_>,
    loaded: &Loaded<'_>,
    mix: Mix,
    workload: &Workload,
) -> Result<()> {
    let part = format!("YCSB {}", mix.says());
    let (threads, value_bytes) = (session.args.threads.into(), session.args.value_bytes);
    let raw_workload = Workload::new(mix, loaded.keys, loaded.keys);
    let slice = session.plan.phase_time / session.plan.rounds;
    on_store(loaded, workload, threads, Limit::time(slice / WARM_PART))?;
    let (mut rates, mut raw_rates) = (Vec::new(), Vec::new());
    let rounds = session.measure(
        Cell { part: &format!("YCSB {mix:?}"), name: "", kinds: &KINDS },
        |_, limit| {
            let samples = on_store(loaded, workload, threads, limit)?;
            rates.push(rate_of_all(&samples));
            Ok(samples)
        },
        |scratch, limit| {
            let seed = loaded.seed();
            let samples = on_raw(scratch, &raw_workload, threads, value_bytes, seed, limit)?;
            raw_rates.push(rate_of_all(&samples));
            Ok(samples)
        },
    )?;
    let all = Row::new(&part, "all operations", median(rates), Unit::PerSecond);
    session.answer([all.beside("raw, the same mix", median(raw_rates))])?;
    for (kind, rounds) in KINDS.into_iter().zip(rounds) {
        if !rounds.is_empty() {
            let raw = raw_name(kind, session.scratch.has_ring());
            let names = Names { part: &part, what: kind, raw };
            session.answer([rounds.rate(names, 1.0)])?;
            session.answer(rounds.latencies(names))?;
        }
    }
    Ok(())
}

/// Operations a second, of all kinds.
fn rate_of_all(samples: &[Sample]) -> f64 {
    samples.iter().map(|sample| sample.summary(1).ops_per_s).sum()
}

/// What the raw device does for an operation of `kind`.
fn raw_name(kind: &str, has_ring: bool) -> &'static str {
    match kind {
        "read" => "raw pread",
        "scan" if has_ring => "raw reads through io_uring",
        "scan" => "raw preads, one by one",
        "read-modify-write" => "raw pread, write and flush",
        _ => "raw write and flush",
    }
}

fn kind_of(operation: Operation) -> usize {
    match operation {
        Operation::Read(_) => 0,
        Operation::Update(_) => 1,
        Operation::Insert(_) => 2,
        Operation::Scan { .. } => 3,
        Operation::ReadModifyWrite(_) => 4,
    }
}

fn on_store(
    loaded: &Loaded<'_>,
    workload: &Workload,
    threads: usize,
    limit: Limit,
) -> Result<Vec<Sample>> {
    let seed = loaded.seed();
    drive_kinds(threads, limit, KINDS.len(), |thread| {
        let mut client = Client::new(loaded.db, &loaded.shape, seed | thread as u64);
        Ok(move |_| {
            let operation = workload.next(&mut client.random);
            match operation {
                Operation::Read(number) => client.get(number)?,
                Operation::Update(number) => client.put(number)?,
                Operation::Insert(number) => {
                    client.put(number)?;
                    workload.inserted(number);
                }
                Operation::Scan { first, records } => client.scan(first, records)?,
                Operation::ReadModifyWrite(number) => {
                    client.get(number)?;
                    client.put(number)?;
                }
            }
            Ok(kind_of(operation))
        })
    })
}

fn on_raw(
    scratch: &Scratch,
    workload: &Workload,
    threads: usize,
    value_bytes: u64,
    seed: u64,
    limit: Limit,
) -> Result<Vec<Sample>> {
    let depth = if workload.scans() { SCAN_RECORDS as usize } else { 0 };
    drive_kinds(threads, limit, KINDS.len(), |thread| {
        let mut client = RawClient::new(scratch, value_bytes, depth, seed | thread as u64)?;
        Ok(move |_| {
            let operation = workload.next(&mut client.random);
            match operation {
                Operation::Read(_) => client.get()?,
                Operation::Update(_) => client.put()?,
                Operation::Insert(number) => {
                    client.put()?;
                    workload.inserted(number);
                }
                Operation::Scan { records, .. } => client.scan(records)?,
                Operation::ReadModifyWrite(_) => {
                    client.get()?;
                    client.put()?;
                }
            }
            Ok(kind_of(operation))
        })
    })
}
