//! std's `BTreeMap`, for comparison: the same keys, in memory alone.

use super::child::{self, Child};
use super::part::Role;
use super::rss;
use crate::args::ScaleArgs;
use crate::measure::shape::Shape;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;

/// Most keys that it is filled with.
const MOST: u64 = 10_000_000;

/// What the map showed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Filled {
    /// Growth of the resident memory for each key.
    pub(super) bytes_per_key: f64,
    /// Inserts of one thread.
    pub(super) per_second: f64,
}

/// Fills a map in a process of its own.
pub(super) fn measure() -> Result<Filled> {
    let mut child = Child::spawn(Role::Btree)?;
    let filled = child.expect()?;
    child.finish()?;
    Ok(filled)
}

/// Fills a map with 16-byte keys in random order, and answers.
pub(super) fn run(args: &ScaleArgs) -> Result<()> {
    let keys = args.keys.min(MOST);
    let shape = Shape::new(16, 0, 8, 8);
    let mut key = Vec::with_capacity(16);
    let mut map: BTreeMap<[u8; 16], u64> = BTreeMap::new();
    let before = rss::now()?;
    let begun = Instant::now();
    for number in 0..keys {
        let key = shape.key(number, &mut key).first_chunk().context("keys are of 16 bytes")?;
        map.insert(*key, number);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let grown = rss::now()? as f64 - before as f64;
    let len = map.len() as f64;
    child::answer(&Filled { bytes_per_key: grown / len, per_second: len / seconds })
}
