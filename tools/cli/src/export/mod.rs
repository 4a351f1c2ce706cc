//! `extentdb export`: writes the values to a directory tree, with their keys as paths.
//!
//! Keys that are no path within the directory are refused. Every file appears whole or not at
//! all; all are durable when the export is done.

mod path;
mod tree;
mod write;

use crate::Outcome;
use crate::args::ExportArgs;
use crate::progress::Progress;
use crate::{size, volume};
use anyhow::{Context, Result};
use extentdb::Snapshot;
use std::io::{self, Write};
use tree::TargetTree;
use write::{Exporter, Totals};

/// Exports everything as it is at the start.
pub(crate) fn run(args: &ExportArgs) -> Result<Outcome> {
    let db = volume::open_existing(&args.volume, &args.open)?;
    let snapshot = db.snapshot();
    let directory = &args.directory;
    let tree = TargetTree::at(directory).with_context(|| directory.display().to_string())?;
    let progress = Progress::bytes("exported", total_bytes(&snapshot)?);
    let totals = Exporter::new(&snapshot, &tree, &progress).run(usize::from(args.threads));
    progress.finish();
    let totals = totals?;
    tree.sync().with_context(|| directory.display().to_string())?;
    drop(snapshot);
    db.close()?;
    summarise(&totals, &progress)?;
    Ok(if totals.failed == 0 { Outcome::Done } else { Outcome::Partial })
}

fn total_bytes(snapshot: &Snapshot) -> extentdb::Result<u64> {
    snapshot.iter().map(|entry| entry.map(|entry| entry.value_len())).sum()
}

fn summarise(totals: &Totals, progress: &Progress) -> io::Result<()> {
    writeln!(
        io::stdout(),
        "exported {} files ({}), {} failed, in {:.1} s",
        totals.written,
        size::show(totals.written_bytes),
        totals.failed,
        progress.elapsed().as_secs_f64(),
    )
}
