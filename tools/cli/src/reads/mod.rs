//! `extentdb reads`: measures gets, multi-gets and scans beside raw reads of the same volume.
//!
//! 1. A volume is filled with random keys, so that what is next to each other in key order is not on
//!    the device.
//! 2. Each part runs in rounds: raw reads, the store, raw reads again. The raw side reads random
//!    places of the volume itself, one page or two in the same proportion as the store does, through
//!    a descriptor of its own. What is shown is the median of the rounds.

mod part;
mod places;
mod report;
mod store;

use crate::Outcome;
use crate::args::ReadsArgs;
use crate::measure::drive::Limit;
use crate::measure::json;
use crate::measure::median::median;
use crate::measure::row::{Row, Unit};
use crate::measure::sample::{Sample, Summary};
use crate::measure::show::Show;
use crate::measure::table::Table;
use crate::progress::Steps;
use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use places::Raw;
use report::Report;
use std::time::Duration;
use store::Store;

pub(crate) use part::Part;

/// What the rounds of a part measured.
#[derive(Debug, Default)]
struct Rounds {
    store: Vec<Round>,
    raw: Vec<Round>,
}

/// What one of them did.
#[derive(Debug)]
struct Round {
    shown: Summary,
    /// Processor time for each value, the kernel's included, in seconds.
    cpu: f64,
}

impl Round {
    fn of(sample: &Sample, cpu: f64) -> Self {
        Self { shown: sample.summary(1), cpu: cpu / sample.ops() as f64 }
    }
}

/// Measures, and shows the results.
pub(crate) fn run(args: &ReadsArgs) -> Result<Outcome> {
    let mut store = Store::create(args)?;
    let mut raw = Raw::open(args, &store)?;
    let mut report = Report::new(args, &store);
    let mut show = Show::beside(args.json.as_deref());
    show.text(&format!("{}\n", report.head()))?;
    let mut table = Table::default();
    let chosen = |part: &Part| args.only.is_empty() || args.only.contains(part);
    for part in Part::ALL.into_iter().filter(chosen) {
        let rounds = measure(args, part, &mut store, &mut raw).with_context(|| part.name())?;
        for row in rows(part, &rounds) {
            show.text(&table.lines(&row))?;
            report.rows.push(row);
        }
    }
    store.close()?;
    if let Some(path) = &args.json {
        json::write(&report, path)?;
    }
    Ok(Outcome::Done)
}

fn measure(args: &ReadsArgs, part: Part, store: &mut Store, raw: &mut Raw) -> Result<Rounds> {
    let mut rounds = Rounds::default();
    let slice = Limit::time(Duration::from_secs_f64(args.seconds));
    let half = Limit::time(Duration::from_secs_f64(args.seconds / 2.0));
    let steps = Steps::new(u64::from(args.rounds));
    store.warm_up(part)?;
    for _ in 0..args.rounds {
        steps.begin(part.name());
        let (before, cpu_before) = timed(|| raw.slice(part, half))?;
        let (sample, cpu) = timed(|| store.slice(part, slice))?;
        rounds.store.push(Round::of(&sample, cpu));
        let (after, cpu_after) = timed(|| raw.slice(part, half))?;
        if let (Some(mut sample), Some(after)) = (before, after) {
            sample.add(&after);
            rounds.raw.push(Round::of(&sample, cpu_before + cpu_after));
        }
    }
    steps.finish();
    Ok(rounds)
}

/// What `work` makes, and the processor time that this process spends meanwhile, in seconds.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let before = cpu_seconds()?;
    let made = work()?;
    Ok((made, cpu_seconds()? - before))
}

fn cpu_seconds() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// What is shown of a part.
fn rows(part: Part, rounds: &Rounds) -> Vec<Row> {
    let of = |rounds: &[Round], figure: fn(&Round) -> f64| median(rounds.iter().map(figure));
    let row = |name, unit, figure: fn(&Round) -> f64, beside| {
        let row = Row::new(part.name(), name, of(&rounds.store, figure), unit);
        if rounds.raw.is_empty() { row } else { row.beside(beside, of(&rounds.raw, figure)) }
    };
    let raw = match part {
        Part::Get | Part::Get16 => "raw pread",
        Part::MultiGet => "raw io_uring, 32 and wait",
        Part::Scan | Part::ScanBack => "raw io_uring, 64 under way",
        Part::Hot => "",
    };
    let rate = row("values", Unit::PerSecond, |round| round.shown.ops_per_s, raw);
    let cpu = row("processor time of a value", Unit::Seconds, |round| round.cpu, raw);
    let p50 = row("one get, p50", Unit::Seconds, |round| round.shown.p50_ns as f64 / 1e9, raw);
    let p99 = row("one get, p99", Unit::Seconds, |round| round.shown.p99_ns as f64 / 1e9, raw);
    match part {
        Part::Get => vec![p50.at_most(1.1), p99, rate, cpu],
        Part::Get16 => vec![rate.at_least(0.9), p50, p99, cpu],
        Part::MultiGet => vec![rate.at_least(0.9), cpu],
        Part::Scan | Part::ScanBack => vec![rate.at_least(0.8), cpu],
        Part::Hot => vec![rate.at_least(1e6), cpu],
    }
}
