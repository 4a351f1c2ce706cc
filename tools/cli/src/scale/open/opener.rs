//! The process that opens the volume.

use super::{PROBE_VERSION, PROBES};
use crate::args::ScaleArgs;
use crate::measure::shape::Shape;
use crate::scale::child;
use crate::scale::{rss, store};
use anyhow::{Context, Result, ensure};
use extentdb::Db;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// What an open took.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Opened {
    pub(super) total_s: f64,
    pub(super) lock_s: f64,
    pub(super) replay_s: f64,
    pub(super) load_s: f64,
    pub(super) begin_s: f64,
    pub(super) keys: u64,
    pub(super) read_bytes: u64,
    pub(super) log_extents: u64,
    pub(super) walked_extents: u64,
    pub(super) rss_bytes: u64,
    pub(super) peak_bytes: u64,
    /// What was repaired, and what an operator should know.
    pub(super) remarks: Vec<String>,
}

/// Opens the volume, answers, and waits: to be killed, or to close it.
pub(in crate::scale) fn run(args: &ScaleArgs) -> Result<()> {
    let empty = rss::now()?;
    let begun = Instant::now();
    let db = store::options(args).create(false).open(&args.volume)?;
    let total_s = begun.elapsed().as_secs_f64();
    let read_bytes = db.metrics().read_bytes;
    let (now, peak) = (rss::now()?, rss::peak()?);
    check(args, &db)?;
    let report = db.open_report();
    child::answer(&Opened {
        total_s,
        lock_s: report.timings.lock.as_secs_f64(),
        replay_s: report.timings.replay.as_secs_f64(),
        load_s: report.timings.load.as_secs_f64(),
        begin_s: report.timings.begin.as_secs_f64(),
        keys: db.len(),
        read_bytes,
        log_extents: report.log_extents,
        walked_extents: report.walked_extents,
        rss_bytes: now.saturating_sub(empty),
        peak_bytes: peak.saturating_sub(empty),
        remarks: report.repaired.iter().chain(&report.warnings).cloned().collect(),
    })?;
    child::wait_to_go_on()?;
    Ok(db.close()?)
}

/// Looks whether the last durable writes are there, and some of the others.
fn check(args: &ScaleArgs, db: &Db) -> Result<()> {
    let shape = Shape::new(
        args.key_bytes as usize,
        args.shared_prefix as usize,
        args.value_bytes as usize,
        0,
    );
    let mut key = Vec::new();
    let others = (PROBES..args.keys).step_by((args.keys / PROBES).max(1) as usize);
    for number in (0..PROBES.min(args.keys)).chain(others) {
        let value = db.get(shape.key(number, &mut key))?.context("a key did not come back")?;
        let version = Shape::version(number, &value).context("a value is too short")?;
        let as_written = if number < PROBES { version == PROBE_VERSION } else { version <= 1 };
        ensure!(as_written, "key {number} came back in version {version}");
    }
    Ok(())
}
