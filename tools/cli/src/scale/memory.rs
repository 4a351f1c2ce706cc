//! Memory per key: loaded, through checkpoints, and after churn; beside std's `BTreeMap`.
//!
//! Everything is counted from an empty open store. What the store keeps whatever the number of
//! its keys, such as idle I/O buffers, is part of it; a row says how much of it there is.

use super::btree::{self, Filled};
use super::child;
use super::own;
use super::part::Part;
use super::rss;
use super::store::{self, Needs};
use crate::args::ScaleArgs;
use crate::measure::load::Load;
use crate::measure::row::{Row, Unit};
use anyhow::{Error, Result, ensure};
use extentdb::Db;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Checkpoints that are called for.
const CHECKPOINTS: usize = 3;
/// Writers beside a checkpoint, and the time from one of their batches to the next.
const WRITERS_BESIDE: usize = 4;
const BATCH_EVERY: Duration = Duration::from_millis(10);
/// Batches of each writer that show what the store keeps however few keys there are.
const WARM_BATCHES: u64 = 64;

/// Measures, and answers with rows.
pub(super) fn run(args: &ScaleArgs) -> Result<()> {
    let churn = u64::from(args.churn) * args.keys;
    store::check_room(args, Needs { records: args.keys + churn, bytes: 0 })?;
    let btree = btree::measure()?;
    let db = store::create(args)?;
    let load = store::load(args, &db);
    let empty = rss::now()?;
    let memory = Memory { keys: args.keys, empty, btree, db, load };
    memory.warm(args)?;
    memory.loaded()?;
    memory.checkpoints()?;
    if churn > 0 {
        memory.churned(churn)?;
    }
    memory.own()?;
    drop(memory.load);
    Ok(memory.db.close()?)
}

/// A store that is measured.
struct Memory {
    keys: u64,
    /// Resident memory while it was empty.
    empty: u64,
    btree: Filled,
    db: Db,
    load: Load,
}

impl Memory {
    /// What does not depend on the number of keys.
    fn warm(&self, args: &ScaleArgs) -> Result<()> {
        let ops = WARM_BATCHES * u64::from(args.writers) * u64::from(args.batch);
        let ops = ops.min(self.keys);
        self.load.overwrite_quietly(ops, 1, 0)?;
        self.db.sync()?;
        child::answer(&row("growth by overwriting one key", self.grown(rss::now()?), Unit::Bytes))
    }

    fn loaded(&self) -> Result<()> {
        rss::forget_peak()?;
        let begun = Instant::now();
        self.load.insert(0..self.keys)?;
        self.db.sync()?;
        let seconds = begun.elapsed().as_secs_f64();
        ensure!(
            self.db.len() == self.keys,
            "{} keys where there are to be {}",
            self.db.len(),
            self.keys
        );
        let rate = row("load", self.keys as f64 / seconds, Unit::PerSecond);
        child::answer(&rate.beside("BTreeMap, one thread", self.btree.per_second))?;
        self.per_key("RSS per key, loaded", rss::now()?)?;
        self.per_key("  peak while it is loaded", rss::peak()?)
    }

    /// Checkpoints beside writers.
    fn checkpoints(&self) -> Result<()> {
        let before = rss::now()?;
        let (mut highest, mut seconds, mut image) = (0, 0.0, 0);
        for version in 1..=CHECKPOINTS as u64 {
            rss::forget_peak()?;
            let begun = Instant::now();
            let written = self.db.metrics().written.checkpoint;
            self.beside_writers(version, || Ok(self.db.checkpoint()?))?;
            seconds += begun.elapsed().as_secs_f64() / CHECKPOINTS as f64;
            image = self.db.metrics().written.checkpoint - written;
            highest = highest.max(rss::peak()?);
        }
        self.per_key("RSS per key, after 3 checkpoints", rss::now()?)?;
        let peak = self.grown(highest) / self.keys as f64;
        let quiet = self.grown(before) / self.keys as f64;
        let peak = row("  peak during a checkpoint", peak, Unit::BytesPerKey);
        child::answer(&peak.beside("before them", quiet))?;
        child::answer(&row("  a checkpoint takes", seconds, Unit::Seconds))?;
        let per_key = image as f64 / self.keys as f64;
        child::answer(&row("  it writes", per_key, Unit::BytesPerKey))
    }

    /// Does `work` while a few writers overwrite at a moderate rate.
    fn beside_writers(&self, version: u64, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let writer = |_| {
                let (load, done) = (&self.load, &done);
                let choose = load.random_put(self.keys, version);
                scope.spawn(move || load.trickle(BATCH_EVERY, done, choose))
            };
            let writers: Vec<_> = (0..WRITERS_BESIDE).map(writer).collect();
            let worked = work();
            done.store(true, Ordering::Relaxed);
            let written = writers.into_iter().map(ScopedJoinHandle::join).try_for_each(|writer| {
                writer.unwrap_or_else(|_| Err(Error::msg("a writer panicked")))
            });
            worked.and(written)
        })
    }

    fn churned(&self, ops: u64) -> Result<()> {
        rss::forget_peak()?;
        let begun = Instant::now();
        self.load.churn(ops, self.keys)?;
        self.db.sync()?;
        let rate = ops as f64 / begun.elapsed().as_secs_f64();
        child::answer(&row("churn, deletes and puts", rate, Unit::PerSecond))?;
        let now = self.grown(rss::now()?) / self.db.len() as f64;
        let name = format!("RSS per key, after {} N deletes and puts", ops / self.keys);
        child::answer(&self.beside_btree(&name, now))?;
        let peak = self.grown(rss::peak()?) / self.db.len() as f64;
        child::answer(&self.beside_btree("  peak while it churns", peak))?;
        child::answer(&row("  keys then", self.db.len() as f64, Unit::Count))
    }

    fn own(&self) -> Result<()> {
        own::figures(&self.db.metrics())
            .into_iter()
            .try_for_each(|(name, figure, unit)| child::answer(&row(name, figure, unit)))
    }

    fn per_key(&self, name: &str, resident: u64) -> Result<()> {
        child::answer(&self.beside_btree(name, self.grown(resident) / self.keys as f64))
    }

    fn beside_btree(&self, name: &str, per_key: f64) -> Row {
        row(name, per_key, Unit::BytesPerKey)
            .beside("BTreeMap<[u8; 16], u64>", self.btree.bytes_per_key)
    }

    /// Bytes beyond the empty store.
    fn grown(&self, resident: u64) -> f64 {
        resident as f64 - self.empty as f64
    }
}

fn row(name: impl Into<String>, figure: f64, unit: Unit) -> Row {
    Row::new(Part::Memory.name(), name, figure, unit)
}
