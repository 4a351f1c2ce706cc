//! `extentdb import`: stores a directory tree.
//!
//! 1. The tree is walked; what is not a regular file is passed over, and said to be.
//! 2. Threads take files from the list. A file that is stored already, byte for byte, is left
//!    alone, so an import that was killed goes on where it was.
//! 3. Small files are puts of their own: with many threads they share flushes. Large ones are
//!    streamed.

mod store;
mod walk;

use crate::Outcome;
use crate::args::ImportArgs;
use crate::progress::{self, Progress};
use crate::{size, volume};
use anyhow::{Context, Result};
use std::fs;
use std::io::{self, Write};
use store::{Importer, Totals};
use walk::{Remark, Tree};

/// Imports the tree; durable when this returns.
pub(crate) fn run(args: &ImportArgs) -> Result<Outcome> {
    let directory = &args.directory;
    fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let db = volume::open_or_create(&args.volume, &args.create)?;
    let tree = walk::walk(directory, &fs::metadata(&args.volume)?);
    tell(&tree.remarks);
    let progress = Progress::bytes("imported", tree.bytes);
    let importer = Importer::new(&db, directory, &tree.files, &progress);
    let totals = importer.run(usize::from(args.threads));
    progress.finish();
    let totals = totals?;
    db.close()?;
    summarise(&tree, &totals, &progress)?;
    let failed = totals.failed > 0 || tree.remarks.iter().any(Remark::is_failure);
    Ok(if failed { Outcome::Partial } else { Outcome::Done })
}

fn tell(remarks: &[Remark]) {
    for remark in remarks {
        progress::say(&remark.to_string());
    }
}

fn summarise(tree: &Tree, totals: &Totals, progress: &Progress) -> io::Result<()> {
    let seconds = progress.elapsed().as_secs_f64();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "stored {} files ({}), {} were there already, {} passed over, {} failed, in {seconds:.1} s",
        totals.stored,
        size::show(totals.stored_bytes),
        totals.unchanged,
        tree.remarks.iter().filter(|remark| !remark.is_failure()).count(),
        totals.failed + tree.remarks.iter().filter(|remark| remark.is_failure()).count() as u64,
    )
}
