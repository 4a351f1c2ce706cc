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
mod keys;
mod phase;
mod report;
mod setup;
mod store;
mod table;

use crate::Outcome;
use crate::args::BenchArgs;
use crate::measure::json;
use crate::measure::raw::Scratch;
use crate::progress::{Progress, Steps};
use anyhow::{Context, Result};
use budget::Budget;
use phase::Runner;
use report::Report;
use setup::Plan;
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
        json::write(&report, path)?;
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
    let mut table = Table::new(!args.json.as_deref().is_some_and(json::is_stdout));
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
