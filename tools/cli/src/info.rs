//! `extentdb info`: what a volume is, what opening it found, and the space in use.

use crate::Outcome;
use crate::args::InfoArgs;
use crate::{size, volume};
use anyhow::Result;
use extentdb::{Metrics, OpenReport};
use std::io::{self, Write};

/// Writes it all, a line per fact.
pub(crate) fn run(args: &InfoArgs) -> Result<Outcome> {
    let db = volume::open_existing(&args.volume, &args.open)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", db.info())?;
    section(&mut out, "open", &report_facts(db.open_report()))?;
    section(&mut out, "space", &space_facts(&db.metrics()))?;
    out.flush()?;
    db.close()?;
    Ok(Outcome::Done)
}

type Fact = (&'static str, String);

fn section(out: &mut impl Write, title: &str, facts: &[Fact]) -> io::Result<()> {
    writeln!(out, "\n{title}")?;
    facts.iter().try_for_each(|(name, fact)| writeln!(out, "  {name:<19}{fact}"))
}

fn report_facts(report: &OpenReport) -> Vec<Fact> {
    let timings = report.timings;
    let tail = report.dropped_tail.map(|tail| {
        format!("{} pages of batch {} and later, from page {}", tail.pages, tail.batch, tail.page)
    });
    let mut facts = vec![
        ("keys", report.keys.to_string()),
        ("recovered batch", report.recovered_batch.to_string()),
        ("proved batch", report.proved_batch.to_string()),
        ("dropped tail", tail.unwrap_or_else(|| "none".to_owned())),
        ("log extents", report.log_extents.to_string()),
        ("walked extents", report.walked_extents.to_string()),
        ("lock", format!("{:.1?}", timings.lock)),
        ("replay", format!("{:.1?}", timings.replay)),
        ("load", format!("{:.1?}", timings.load)),
        ("begin", format!("{:.1?}", timings.begin)),
    ];
    facts.extend(report.repaired.iter().map(|what| ("repaired", what.clone())));
    facts.extend(report.warnings.iter().map(|what| ("warning", what.clone())));
    facts
}

/// What is 0 is left out.
fn space_facts(metrics: &Metrics) -> Vec<Fact> {
    let facts = [
        ("volume", metrics.volume_bytes),
        ("volume at most", metrics.max_bytes),
        ("log", metrics.log_bytes),
        ("large values", metrics.large_bytes),
        ("checkpoints", metrics.image_bytes),
        ("live", metrics.live_bytes),
        ("free", metrics.free_bytes),
    ];
    let taken = facts.into_iter().filter(|&(_, bytes)| bytes > 0);
    taken.map(|(name, bytes)| (name, size::show(bytes))).collect()
}
