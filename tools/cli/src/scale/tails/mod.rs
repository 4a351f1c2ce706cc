//! Tails: of cold gets beside a durable writer, and of puts beside checkpoints; and what
//! checkpoints add to what is written.

mod checkpoints;
mod gets;
mod natural;
mod puts;

use super::child;
use super::part::Part;
use super::store::{self, Needs};
use crate::args::ScaleArgs;
use crate::measure::load::Load;
use crate::measure::median::Quantiles;
use crate::measure::random::Random;
use crate::measure::raw::Scratch;
use crate::measure::row::{Row, Unit};
use crate::measure::sample::Summary;
use crate::measure::schedule;
use anyhow::Result;
use extentdb::{Db, Options};
use std::time::Duration;

/// Length of the scratch file.
const SCRATCH_BYTES: u64 = 512 << 20;
const PAGE: u64 = 4096;
/// Garbage for each live byte with which none is collected.
const ALL_GARBAGE: f64 = 100.0;

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
    let tails = Tails::loaded(args, store::options(args))?;
    tails.gets()?;
    tails.natural()?;
    tails.close()?;
    // What is to be seen is what checkpoints do, and short slices do not show what is kept up with for long.
    let tails = Tails::loaded(args, store::options(args).garbage_ratio(ALL_GARBAGE))?;
    tails.puts()?;
    tails.close()
}

/// About what the slices of durable puts write: there are 4 kinds.
fn slices_bytes(args: &ScaleArgs) -> u64 {
    (args.seconds * f64::from(args.rounds) * 4.0 * 256e6) as u64
}

impl<'a> Tails<'a> {
    /// A store with all keys in it.
    fn loaded(args: &'a ScaleArgs, options: Options) -> Result<Self> {
        let db = store::create_with(args, options)?;
        let load = store::load(args, &db);
        load.insert(0..args.keys)?;
        db.sync()?;
        let scratch = Scratch::beside(&args.volume, SCRATCH_BYTES, &db)?;
        Ok(Self { args, db, load, scratch, slice: Duration::from_secs_f64(args.seconds) })
    }

    fn close(self) -> Result<()> {
        drop(self.load);
        Ok(self.db.close()?)
    }

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
    Row::new(Part::Tails.name(), name, figure, unit)
}
