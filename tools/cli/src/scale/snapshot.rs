//! What a snapshot costs that is held while keys are overwritten.

use super::child;
use super::own;
use super::part::Part;
use super::rss;
use super::store::{self, Needs};
use crate::args::ScaleArgs;
use crate::measure::load::Load;
use crate::measure::row::{Row, Unit};
use crate::measure::shape::Shape;
use anyhow::{Context, Result, ensure};
use extentdb::{Db, Snapshot};
use std::time::Instant;

/// Keys that are read through the snapshot to see that it stands still.
const PROBES: u64 = 1000;

/// As many overwrites go before those that are measured, so often.
const WARM_ROUNDS: u64 = 3;

/// Measures, and answers with rows.
pub(super) fn run(args: &ScaleArgs) -> Result<()> {
    store::check_room(
        args,
        Needs { records: args.keys + (WARM_ROUNDS + 3) * args.overwrites, bytes: 0 },
    )?;
    let db = store::create(args)?;
    let load = store::load(args, &db);
    load.insert(0..args.keys)?;
    // What the first overwrites bring with them counts for neither side.
    for _ in 0..WARM_ROUNDS {
        load.overwrite(args.overwrites, args.keys, 1)?;
    }
    db.sync()?;
    let rounds = Rounds { args, db: &db, load: &load };
    let (free_bytes, free_rate) = rounds.overwrite(2)?;
    let snapshot = db.snapshot();
    let versions = rounds.versions(&snapshot)?;
    let (held_bytes, held_rate) = rounds.overwrite(3)?;
    let bytes = row("growth of RSS, snapshot held", held_bytes, Unit::Bytes);
    child::answer(&bytes.beside("as many overwrites before", free_bytes))?;
    let each = held_bytes / args.overwrites as f64;
    child::answer(&row("  for each overwrite", each, Unit::BytesPerKey))?;
    let rate = row("overwrites, snapshot held", held_rate, Unit::PerSecond);
    child::answer(&rate.beside("without", free_rate))?;
    for (name, figure, unit) in own::figures(&db.metrics()) {
        child::answer(&row(name, figure, unit))?;
    }
    let unmoved = rounds.versions(&snapshot)? == versions && snapshot.len() == args.keys;
    ensure!(unmoved, "the snapshot shows what was written after it");
    let before = rss::now()?;
    drop(snapshot);
    let begun = Instant::now();
    load.overwrite(args.overwrites / 10, args.keys, 4)?;
    let freed = before as f64 - rss::now()? as f64;
    let freed = row("given back after it is dropped", freed, Unit::Bytes);
    child::answer(&freed.beside("growth while it was held", held_bytes))?;
    let rate = (args.overwrites / 10) as f64 / begun.elapsed().as_secs_f64();
    let rate = row("overwrites after it is dropped", rate, Unit::PerSecond);
    child::answer(&rate.beside("before it", free_rate))?;
    drop(load);
    Ok(db.close()?)
}

struct Rounds<'a> {
    args: &'a ScaleArgs,
    db: &'a Db,
    load: &'a Load,
}

impl Rounds<'_> {
    /// Overwrites random keys; returns by how much the memory grew, and the rate.
    fn overwrite(&self, version: u64) -> Result<(f64, f64)> {
        let (before, begun) = (rss::now()?, Instant::now());
        self.load.overwrite(self.args.overwrites, self.args.keys, version)?;
        let seconds = begun.elapsed().as_secs_f64();
        self.db.sync()?;
        let grown = rss::now()? as f64 - before as f64;
        Ok((grown, self.args.overwrites as f64 / seconds))
    }

    /// The versions of some keys as `snapshot` has them.
    fn versions(&self, snapshot: &Snapshot) -> Result<Vec<u64>> {
        let mut key = Vec::new();
        let step = (self.args.keys / PROBES).max(1);
        let numbers = (0..self.args.keys).step_by(step as usize);
        numbers
            .map(|number| {
                let value = snapshot.get(self.load.shape.key(number, &mut key))?;
                let value = value.context("a key is absent from the snapshot")?;
                Shape::version(number, &value).context("a value is too short")
            })
            .collect()
    }
}

fn row(name: impl Into<String>, figure: f64, unit: Unit) -> Row {
    Row::new(Part::Snapshot.name(), name, figure, unit)
}
