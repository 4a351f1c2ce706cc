//! Tails: of cold gets beside a durable writer, and of puts beside checkpoints; and what
//! checkpoints add to what is written.

mod checkpoints;
mod gets;
mod natural;
mod open_loop;
mod puts;
mod schedule;

use super::child;
use super::load::Load;
use super::median::Quantiles;
use super::part::Part;
use super::row::{Row, Unit};
use super::store::{self, Needs};
use crate::args::ScaleArgs;
use crate::bench::random::Random;
use crate::bench::raw::Scratch;
use crate::bench::sample::Summary;
use crate::progress::Progress;
use anyhow::{Context, Result};
use extentdb::{Db, DirectState};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Length of the scratch file.
const SCRATCH_BYTES: u64 = 512 << 20;
const PAGE: u64 = 4096;

/// A store and a scratch file under measurement.
struct Tails<'a> {
    args: &'a ScaleArgs,
    db: Db,
    load: Load,
    scratch: Scratch,
    /// Time of one slice.
    slice: Duration,
}

/// Measures, and answers with rows.
pub(super) fn run(args: &ScaleArgs) -> Result<()> {
    let bytes = SCRATCH_BYTES + 8 * natural::cycle_bytes(args) + slices_bytes(args);
    store::check_room(args, Needs { records: args.keys, bytes })?;
    schedule::sharpen_timers();
    let db = store::create(args)?;
    let load = Load::new(args, &db);
    load.insert(0..args.keys)?;
    db.sync()?;
    let scratch = scratch(args, &db)?;
    let slice = Duration::from_secs_f64(args.seconds);
    let tails = Tails { args, db, load, scratch, slice };
    tails.gets()?;
    tails.puts()?;
    tails.natural()?;
    let Tails { db, load, .. } = tails;
    drop(load);
    Ok(db.close()?)
}

/// About what the slices of durable puts write: there are 4 kinds.
fn slices_bytes(args: &ScaleArgs) -> u64 {
    (args.seconds * f64::from(args.rounds) * 4.0 * 256e6) as u64
}

fn scratch(args: &ScaleArgs, db: &Db) -> Result<Scratch> {
    let mut path = OsString::from(&args.volume);
    path.push(".scratch");
    let path = PathBuf::from(path);
    let direct = db.info().device.direct == DirectState::Active;
    let progress = Progress::bytes("preparing the scratch file,", SCRATCH_BYTES);
    let scratch = Scratch::create(&path, SCRATCH_BYTES, direct, &progress);
    progress.finish();
    scratch.with_context(|| format!("scratch file {}", path.display()))
}

impl Tails<'_> {
    /// A durable put of `--put-bytes` to a random key.
    fn put(&self, random: &mut Random, key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<()> {
        let shape = &self.load.shape;
        let number = random.below(self.args.keys);
        let bytes = self.args.put_bytes as usize;
        Ok(self.db.put(shape.key(number, key), shape.value((number, 1), bytes, random, value))?)
    }
}

/// A row for each quantile of `rounds`, beside the same of another kind of slice.
fn answer_quantiles(name: &str, rounds: &[Summary], what: &str, beside: &[Summary]) -> Result<()> {
    let beside = Quantiles::of(beside).named();
    for ((quantile, seconds), (_, other)) in Quantiles::of(rounds).named().into_iter().zip(beside) {
        let row = row(format!("{name}, {quantile}"), seconds, Unit::Seconds);
        child::answer(&row.beside(what, other))?;
    }
    Ok(())
}

fn row(name: impl Into<String>, figure: f64, unit: Unit) -> Row {
    Row::new(Part::Tails, name, figure, unit)
}
