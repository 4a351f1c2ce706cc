//! The phases: puts, gets, scans and overwrites of values of 1 KiB and 1 MiB.

use super::budget::Budget;
use super::phase::{self, Runner};
use super::session::Session;
use super::store::Store;
use super::table::Table;
use crate::measure::json;
use crate::progress::Steps;
use anyhow::{Context, Result};
use extentdb::Db;

/// Runs all phases. The table grows as they end.
pub(super) fn measure(session: &mut Session<'_>, db: &Db) -> Result<()> {
    let mut table = Table::new(!session.args.json.as_deref().is_some_and(json::is_stdout));
    table.header()?;
    let phases = phase::all();
    let budget = Budget::new(&session.plan, &phases, &db.info());
    let mut runner = Runner::new(Store::new(db.clone()), session, budget);
    let steps = Steps::new(phases.len() as u64);
    for phase in phases {
        steps.begin(&phase.to_string());
        let row = runner.run(phase).with_context(|| phase.to_string())?;
        steps.aside(|| table.row(&row))?;
        runner.answer(row);
    }
    steps.finish();
    session.report.finish(&db.metrics());
    table.line(&session.report.foot())?;
    Ok(())
}
