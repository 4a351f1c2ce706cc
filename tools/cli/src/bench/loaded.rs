//! A store that begins with keys.

use crate::measure::shape::Shape;
use extentdb::Db;
use std::sync::atomic::{AtomicU64, Ordering};

const KEY_BYTES: usize = 16;

/// A store, and what its keys and values look like.
#[derive(Debug)]
pub(super) struct Loaded<'d> {
    pub(super) db: &'d Db,
    pub(super) shape: Shape,
    pub(super) keys: u64,
    /// Gives each slice, and each of its threads, choices of its own.
    slices: AtomicU64,
}

impl<'d> Loaded<'d> {
    /// `db`, which is to have `keys` keys.
    pub(super) fn new(db: &'d Db, value_bytes: u64, keys: u64) -> Self {
        let value_bytes = value_bytes as usize;
        let shape = Shape::new(KEY_BYTES, 0, value_bytes, value_bytes);
        Self { db, shape, keys, slices: AtomicU64::new(1) }
    }

    /// What the seeds of a slice's threads begin with.
    pub(super) fn seed(&self) -> u64 {
        self.slices.fetch_add(1, Ordering::Relaxed) << 32
    }
}
