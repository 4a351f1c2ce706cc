//! Reports as JSON.

use anyhow::{Context, Result};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Whether `path` stands for stdout.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Writes a report to `path`, or to stdout where that is `-`.
pub(crate) fn write(report: &impl Serialize, path: &Path) -> Result<()> {
    write_to(report, path).with_context(|| path.display().to_string())
}

fn write_to(report: &impl Serialize, path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    let mut out: Box<dyn Write> =
        if is_stdout(path) { Box::new(io::stdout()) } else { Box::new(File::create(path)?) };
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}
