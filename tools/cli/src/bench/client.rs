//! One thread that works with a store, or with the raw device in its place.

use super::phase::raw_bytes;
use crate::measure::random::Random;
use crate::measure::raw::Scratch;
use crate::measure::ring::Ring;
use crate::measure::shape::Shape;
use anyhow::{Context, Result, ensure};
use extentdb::{AlignedBuf, Db};

/// Values of a key have versions below this.
const VERSIONS: u64 = 1 << 32;

/// A thread of the store's, and the memory that it uses again.
pub(super) struct Client<'a> {
    db: &'a Db,
    shape: &'a Shape,
    pub(super) random: Random,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<'a> Client<'a> {
    /// Each `seed` makes other choices.
    pub(super) fn new(db: &'a Db, shape: &'a Shape, seed: u64) -> Self {
        Self { db, shape, random: Random::new(seed), key: Vec::new(), value: Vec::new() }
    }

    /// A durable put of key number `number`.
    pub(super) fn put(&mut self, number: u64) -> Result<()> {
        let version = self.random.below(VERSIONS);
        let len = self.shape.value_bytes;
        let value = self.shape.value((number, version), len, &mut self.random, &mut self.value);
        Ok(self.db.put(self.shape.key(number, &mut self.key), value)?)
    }

    /// A get of key number `number`, which is there.
    pub(super) fn get(&mut self, number: u64) -> Result<()> {
        let value = self.db.get(self.shape.key(number, &mut self.key))?;
        let value = value.context("a key that was put is absent")?;
        let is_its = Shape::version(number, &value).is_some_and(|version| version < VERSIONS);
        ensure!(is_its && value.len() == self.shape.value_bytes, "the value of another key");
        Ok(())
    }

    /// Reads up to `records` records from key number `first` on, in order.
    pub(super) fn scan(&mut self, first: u64, records: u64) -> Result<()> {
        let first = self.shape.key(first, &mut self.key);
        for entry in self.db.range(first..).take(records as usize) {
            let value = entry?.value()?;
            ensure!(value.len() == self.shape.value_bytes, "a value has another length");
        }
        Ok(())
    }
}

/// A thread of the raw device's.
pub(super) struct RawClient<'a> {
    scratch: &'a Scratch,
    pub(super) random: Random,
    buf: AlignedBuf,
    slots: u64,
    /// `None` where there is no io_uring: then reads follow each other.
    ring: Option<Ring>,
    places: Vec<(u64, usize)>,
}

impl<'a> RawClient<'a> {
    /// Writes and reads the pages that a value of `value_bytes` bytes takes; up to `depth` of them
    /// are read together.
    pub(super) fn new(
        scratch: &'a Scratch,
        value_bytes: u64,
        depth: usize,
        seed: u64,
    ) -> Result<Self> {
        let bytes = raw_bytes(value_bytes);
        let mut buf = AlignedBuf::new(bytes as usize)?;
        let mut random = Random::new(seed);
        random.fill(&mut buf);
        let ring = if depth > 0 { scratch.ring(depth, buf.len()).ok() } else { None };
        let slots = scratch.slots(bytes)?;
        Ok(Self { scratch, random, buf, slots, ring, places: Vec::new() })
    }

    /// A write and a flush.
    pub(super) fn put(&mut self) -> Result<()> {
        self.scratch.write(&mut self.buf)
    }

    /// A read of some place.
    pub(super) fn get(&mut self) -> Result<()> {
        self.scratch.read(self.random.below(self.slots), &mut self.buf)
    }

    /// Reads of `records` places, together.
    pub(super) fn scan(&mut self, records: u64) -> Result<()> {
        let Some(ring) = &mut self.ring else {
            return (0..records).try_for_each(|_| self.get());
        };
        let len = self.buf.len();
        self.places.clear();
        for _ in 0..records {
            self.places.push((self.random.below(self.slots) * len as u64, len));
        }
        ring.read_all(&self.places)
    }
}
