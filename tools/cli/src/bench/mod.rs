//! `extentdb bench`: measures a new volume beside the raw device.
//!
//! 1. A new volume and a scratch file beside it are made; the scratch file is written once, so
//!    that the raw writes overwrite in place as the log does.
//! 2. Each phase runs in rounds: the raw device, the store, the raw device again, so that a
//!    device that drifts does so for both. The raw side has as many threads as the store; phases
//!    of several writers measure a lone raw writer too, as their rate is compared to that.
//! 3. Every operation is timed. Every phase ends with its time, its share of the space, or when
//!    it has no keys left.

mod budget;
pub(crate) mod drive;
mod keys;
mod phase;
pub(crate) mod random;
pub(crate) mod raw;
mod report;
pub(crate) mod sample;
mod setup;
mod store;
pub(crate) mod table;

use crate::Outcome;
use crate::args::BenchArgs;
use crate::progress::{Progress, Steps};
use anyhow::{Context, Result};
use budget::Budget;
use phase::Runner;
use raw::Scratch;
use report::Report;
use serde::Serialize;
use setup::Plan;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use store::Store;
use table::Table;

/// Measures, and shows the results.
pub(crate) fn run(args: &BenchArgs) -> Result<Outcome> {
    let plan = Plan::of(args);
    let db = setup::create(args, &plan)?;
    let scratch = scratch(args, &plan, &db)?;
    let report = measure(args, &plan, Store::new(db.clone()), scratch)?;
    db.close()?;
    if let Some(path) = &args.json {
        write_json(&report, path).with_context(|| path.display().to_string())?;
    }
    Ok(Outcome::Done)
}

fn scratch(args: &BenchArgs, plan: &Plan, db: &extentdb::Db) -> Result<Scratch> {
    let path = setup::scratch_path(args, &db.info());
    let direct = db.info().device.direct == extentdb::DirectState::Active;
    let progress = Progress::bytes("preparing the scratch file,", plan.scratch_bytes);
    let scratch = Scratch::create(&path, plan.scratch_bytes, direct, &progress);
    progress.finish();
    scratch.with_context(|| format!("scratch file {}", path.display()))
}

/// Runs all phases. The table grows as they end.
fn measure(args: &BenchArgs, plan: &Plan, store: Store, scratch: Scratch) -> Result<Report> {
    let mut table = Table::new(args.json.as_deref() != Some(Path::new("-")));
    let mut report = Report::new(args, plan, &store.db().info(), &scratch);
    table.line(&report.head())?;
    table.header()?;
    let phases = phase::all();
    let budget = Budget::new(plan, &phases, &store.db().info());
    let mut runner = Runner::new(store, scratch, plan, budget);
    let steps = Steps::new(phases.len() as u64);
    for phase in phases {
        steps.begin(&phase.to_string());
        let row = runner.run(phase).with_context(|| phase.to_string())?;
        steps.aside(|| table.row(&row))?;
        report.rows.push(row);
    }
    steps.finish();
    report.finish(&runner.store().db().metrics());
    table.line(&report.foot())?;
    Ok(report)
}

/// Writes a report as JSON to `path`, or to stdout where that is `-`.
pub(crate) fn write_json(report: &impl Serialize, path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    let mut out: Box<dyn Write> = match path {
        path if path == Path::new("-") => Box::new(io::stdout()),
        path => Box::new(File::create(path)?),
    };
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}
