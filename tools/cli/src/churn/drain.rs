//! What is left of a store when all keys are deleted.

use super::store::Store;
use crate::measure::row::{Row, Unit};
use anyhow::{Context, Result, ensure};

/// How often garbage is collected before what is left is taken to stay.
const COLLECTIONS: usize = 4;

/// Deletes all keys, has the garbage collected, and checks the volume.
pub(super) fn drain(part: &str, store: &mut Store) -> Result<Vec<Row>> {
    store.delete_all()?;
    let used = collect(store).context("while collecting what is left")?;
    let extent = store.db.info().extent_bytes;
    let extents = |bytes: u64| bytes as f64 / extent as f64;
    let row = Row::new(part, "extents used when all is deleted", extents(used), Unit::Count);
    let volume = extents(store.plan.volume_bytes);
    Ok(vec![row.beside("of the volume", volume), check(part, store)?])
}

/// Collects until that gives nothing any more; returns what is used then.
pub(super) fn collect(store: &Store) -> Result<u64> {
    let mut used = u64::MAX;
    for _ in 0..COLLECTIONS {
        store.db.collect_garbage()?;
        let now = store.db.metrics().used_bytes;
        if now >= used {
            break;
        }
        used = now;
    }
    Ok(used)
}

/// Reads and verifies everything, which must be sound.
pub(super) fn check(part: &str, store: &Store) -> Result<Row> {
    let report = store.db.check()?;
    if let Some(problem) = report.problems.first() {
        ensure!(report.is_clean(), "the check finds {} problems: {problem}", report.problems.len());
    }
    let row = Row::new(part, "problems that a check finds", 0.0, Unit::Count);
    Ok(row.at_most(0.0))
}
