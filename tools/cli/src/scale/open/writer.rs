//! The process that fills the volume and is killed.

use super::{PROBE_VERSION, PROBES, row};
use crate::args::ScaleArgs;
use crate::measure::load::{Change, Load};
use crate::measure::row::Unit;
use crate::progress::{self, Progress};
use crate::scale::child;
use crate::scale::store;
use anyhow::{Result, ensure};
use extentdb::{Db, Metrics};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// The store begins a checkpoint once it expects replay to take 2 s, at 0.4 us a record, or the
/// log to be 10 times as long as the image, but not before 64 MiB of log. This is 95 % of it.
const DUE_RECORDS: u64 = 4_750_000;
const DUE_LOG_PER_IMAGE: f64 = 9.5;
const DUE_LOG_BYTES: u64 = 61 << 20;
/// Looks at the log on the way there.
const LOOKS: u64 = 100;

/// What was written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Written {
    load_s: f64,
    checkpoint_s: f64,
    image_bytes: u64,
    /// Since the checkpoint.
    records: u64,
    log_bytes: u64,
    /// Whether another checkpoint has begun.
    overdue: bool,
}

impl Written {
    /// Answers with rows.
    pub(super) fn answer(&self, keys: u64) -> Result<()> {
        if self.overdue {
            progress::say("extentdb: a checkpoint has begun before the writer was killed");
        }
        child::answer(&row("load", keys as f64 / self.load_s, Unit::PerSecond))?;
        child::answer(&row("checkpoint", self.checkpoint_s, Unit::Seconds))?;
        let image = row("  image", self.image_bytes as f64, Unit::Bytes);
        child::answer(&image)?;
        child::answer(&row("records since it", self.records as f64, Unit::Count))?;
        child::answer(&row("log since it", self.log_bytes as f64, Unit::Bytes))
    }
}

/// Most records that are written after the checkpoint, where the log is not given.
pub(super) fn most_records(args: &ScaleArgs) -> u64 {
    if args.log_since.is_some() { 0 } else { DUE_RECORDS + DUE_RECORDS / LOOKS }
}

/// Fills the volume, answers, and waits.
pub(in crate::scale) fn run(args: &ScaleArgs) -> Result<()> {
    let db = store::options(args).create_new(true).open(&args.volume)?;
    let load = store::load(args, &db);
    let begun = Instant::now();
    load.insert(0..args.keys)?;
    let load_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let before = db.metrics().written.checkpoint;
    db.checkpoint()?;
    let checkpoint_s = begun.elapsed().as_secs_f64();
    let at = db.metrics();
    let image_bytes = at.written.checkpoint - before;
    let (records, log_bytes) = fill(args, &db, &load, &at, image_bytes)?;
    let overdue = db.metrics().written.checkpoint > at.written.checkpoint;
    child::answer(&Written { load_s, checkpoint_s, image_bytes, records, log_bytes, overdue })?;
    child::wait_to_go_on()
}

/// Overwrites until a checkpoint is almost due; returns the records and the bytes of log since.
fn fill(
    args: &ScaleArgs,
    db: &Db,
    load: &Load,
    at: &Metrics,
    image_bytes: u64,
) -> Result<(u64, u64)> {
    let log_since = |now: &Metrics| now.written.log - at.written.log;
    let target = args
        .log_since
        .unwrap_or(((image_bytes as f64 * DUE_LOG_PER_IMAGE) as u64).max(DUE_LOG_BYTES));
    let records = if args.log_since.is_some() { u64::MAX } else { DUE_RECORDS };
    let progress = Progress::bytes("writing log,", target);
    let mut done = 0;
    loop {
        let log = log_since(&db.metrics());
        progress.set(log);
        if log >= target || (done >= records && log >= DUE_LOG_BYTES) {
            break;
        }
        // Where little has reached the device yet, more is on its way.
        let record = log.checked_div(done).unwrap_or(0).max(load.record_bytes());
        let step = (target / record).min(records) / LOOKS + 1;
        load.overwrite_quietly(step, args.keys, 1)?;
        done += step;
    }
    progress.finish();
    let bytes = load.shape.value_bytes;
    let probes = PROBES.min(args.keys);
    load.run(probes, None, |_, number| Change::Put { number, version: PROBE_VERSION, bytes })?;
    db.sync()?;
    ensure!(db.len() == args.keys, "{} keys where there are to be {}", db.len(), args.keys);
    Ok((done + probes, log_since(&db.metrics())))
}
