//! `extentdb scale`: measures memory, snapshots, opening and tails at many keys.
//!
//! Each part runs in a process of its own, this program in another role, on a volume of its own:
//! nothing that one leaves in memory or on the device is there for the next. It answers with
//! rows, which this process shows and collects.

mod btree;
mod child;
pub(crate) mod count;
mod keys;
mod load;
mod median;
mod memory;
mod open;
mod own;
mod part;
mod report;
mod row;
mod rss;
mod snapshot;
mod store;
mod table;
mod tails;

use crate::Outcome;
use crate::args::ScaleArgs;
use crate::bench::write_json;
use anyhow::{Context, Result, bail};
use child::Child;
use report::Report;
use row::Row;
use std::io::{self, Write};
use std::path::Path;
use table::Table;

pub(crate) use part::{Part, Role};

/// Measures, and shows the results; or does what another process wants done.
pub(crate) fn run(args: &ScaleArgs) -> Result<Outcome> {
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
    let mut show = Show { is_shown: args.json.as_deref() != Some(Path::new("-")) };
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
        Some(path) => write_json(&report, path).with_context(|| path.display().to_string()),
        None => Ok(()),
    }
}

/// Refuses what cannot be.
fn check(args: &ScaleArgs) -> Result<()> {
    if usize::from(args.key_bytes) < usize::from(args.shared_prefix) + keys::UNIQUE_BYTES {
        bail!("keys need {} bytes of their own beside what they share", keys::UNIQUE_BYTES);
    }
    if args.keep && args.only.len() != 1 {
        bail!("--keep leaves one volume: choose one part with --only");
    }
    if args.volume.exists() {
        bail!("{} exists; give a path where nothing is", args.volume.display());
    }
    Ok(())
}

/// Where the table goes: to stdout, or nowhere.
struct Show {
    is_shown: bool,
}

impl Show {
    fn text(&mut self, text: &str) -> io::Result<()> {
        if self.is_shown { io::stdout().write_all(text.as_bytes()) } else { Ok(()) }
    }
}
