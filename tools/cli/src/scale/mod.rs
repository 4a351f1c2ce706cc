//! `extentdb scale`: measures memory, snapshots, opening and tails at many keys.
//!
//! Each part runs in a process of its own, this program in another role, on a volume of its own:
//! nothing that one leaves in memory or on the device is there for the next. It answers with
//! rows, which this process shows and collects.

mod btree;
mod child;
pub(crate) mod count;
mod memory;
mod open;
mod own;
mod part;
mod report;
mod rss;
mod snapshot;
mod store;
mod tails;

use crate::Outcome;
use crate::args::ScaleArgs;
use crate::measure::json;
use crate::measure::row::Row;
use crate::measure::shape::UNIQUE_BYTES;
use crate::measure::show::Show;
use crate::measure::table::Table;
use anyhow::{Context, Result, bail};
use child::Child;
use report::Report;

pub(crate) use part::{Part, Role};

/// Measures, and shows the results; or does what another process wants done.
pub(crate) fn run(args: &ScaleArgs) -> Result<Outcome> {
    if args.role.is_some() {
        child::end_with_parent()?;
    }
    match args.role {
        None => conduct(args)?,
        Some(Role::Memory) => memory::run(args)?,
        Some(Role::Snapshot) => snapshot::run(args)?,
        Some(Role::Open) => open::run(args)?,
        Some(Role::Tails) => tails::run(args)?,
        Some(Role::Btree) => btree::run(args)?,
        Some(Role::Writer) => open::run_writer(args)?,
        Some(Role::Opener) => open::run_opener(args)?,
    }
    Ok(Outcome::Done)
}

fn conduct(args: &ScaleArgs) -> Result<()> {
    check(args)?;
    let mut report = Report::new(args);
    let mut show = Show::beside(args.json.as_deref());
    show.text(&format!("{}\n", report.head()))?;
    let mut table = Table::default();
    let chosen = |part: &Part| args.only.is_empty() || args.only.contains(part);
    for part in Part::ALL.into_iter().filter(chosen) {
        let mut child = Child::spawn(part.role())?;
        while let Some(row) = child.next::<Row>().with_context(|| part.name())? {
            show.text(&table.lines(&row))?;
            report.rows.push(row);
        }
        child.finish().with_context(|| part.name())?;
    }
    match &args.json {
        Some(path) => json::write(&report, path),
        None => Ok(()),
    }
}

/// Refuses what cannot be.
fn check(args: &ScaleArgs) -> Result<()> {
    if usize::from(args.key_bytes) < usize::from(args.shared_prefix) + UNIQUE_BYTES {
        bail!("keys need {} bytes of their own beside what they share", UNIQUE_BYTES);
    }
    if args.keep && args.only.len() != 1 {
        bail!("--keep leaves one volume: choose one part with --only");
    }
    if args.volume.exists() {
        bail!("{} exists; give a path where nothing is", args.volume.display());
    }
    Ok(())
}
