//! Many writers that write as fast as they can: batches that are acknowledged from memory.

use super::random::Random;
use super::shape::Shape;
use crate::progress::Progress;
use anyhow::{Error, Result};
use extentdb::{Db, Durability, WriteBatch};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

/// What one record does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// Store the value of key number `number` in `version`, of `bytes` bytes.
    Put { number: u64, version: u64, bytes: usize },
    /// Remove key number `number`.
    Delete { number: u64 },
}

/// Writers of one store.
#[derive(Debug)]
pub(crate) struct Load {
    db: Db,
    pub(crate) shape: Shape,
    writers: u64,
    batch: u64,
    /// Gives each run, and each of its writers, a generator of its own.
    runs: AtomicU64,
}

/// Records under way, shared by the writers.
struct Run<'a, C> {
    load: &'a Load,
    ops: u64,
    choose: C,
    next: AtomicU64,
    stopped: AtomicBool,
    progress: Option<&'a Progress>,
}

impl Load {
    /// So many `writers` of `db`, each with batches of `batch` records.
    pub(crate) fn new(db: &Db, shape: Shape, writers: u16, batch: u16) -> Self {
        let db = db.with_durability(Durability::Buffered);
        let (writers, batch) = (writers.into(), batch.into());
        Self { db, shape, writers, batch, runs: AtomicU64::new(1) }
    }

    /// Stores the keys of `numbers`, in their version 0, and shows how far it is.
    pub(crate) fn insert(&self, numbers: Range<u64>) -> Result<()> {
        let bytes = self.shape.value_bytes;
        let put =
            |_: &mut Random, op| Change::Put { number: numbers.start + op, version: 0, bytes };
        self.show("loading,", numbers.end - numbers.start, put)
    }

    /// Overwrites `ops` random keys below `keys` by their `version`, and shows how far it is.
    pub(crate) fn overwrite(&self, ops: u64, keys: u64, version: u64) -> Result<()> {
        self.show("overwriting,", ops, self.random_put(keys, version))
    }

    /// As [`overwrite`](Self::overwrite), but says nothing.
    pub(crate) fn overwrite_quietly(&self, ops: u64, keys: u64, version: u64) -> Result<()> {
        self.run(ops, None, self.random_put(keys, version))
    }

    /// Deletes and puts in turn random keys below twice `keys`, of which half are there.
    pub(crate) fn churn(&self, ops: u64, keys: u64) -> Result<()> {
        let bytes = self.shape.value_bytes;
        self.show("churning,", ops, |random, op| {
            let number = random.below(2 * keys);
            match op % 2 {
                0 => Change::Delete { number },
                _ => Change::Put { number, version: 0, bytes },
            }
        })
    }

    /// Chooses random keys below `keys`.
    pub(crate) fn random_put(
        &self,
        keys: u64,
        version: u64,
    ) -> impl Fn(&mut Random, u64) -> Change + Sync + use<> {
        let bytes = self.shape.value_bytes;
        move |random, _| Change::Put { number: random.below(keys), version, bytes }
    }

    fn show(
        &self,
        verb: &'static str,
        ops: u64,
        choose: impl Fn(&mut Random, u64) -> Change + Sync,
    ) -> Result<()> {
        let progress = Progress::bytes(verb, ops * self.record_bytes());
        let done = self.run(ops, Some(&progress), choose);
        progress.finish();
        done
    }

    /// Key and value of a record.
    pub(crate) fn record_bytes(&self) -> u64 {
        (self.shape.key_bytes + self.shape.value_bytes) as u64
    }

    /// Writes a batch on this thread every so often, until `done`.
    pub(crate) fn trickle(
        &self,
        every: Duration,
        done: &AtomicBool,
        choose: impl Fn(&mut Random, u64) -> Change,
    ) -> Result<()> {
        let mut random = Random::new(self.runs.fetch_add(1, Ordering::Relaxed) << 32);
        let mut writer = Writer::new(self);
        while !done.load(Ordering::Relaxed) {
            writer.write(0..self.batch, &mut random, &choose)?;
            thread::sleep(every);
        }
        Ok(())
    }

    /// Has `choose` say what each of `ops` records does, and writes them all.
    pub(crate) fn run(
        &self,
        ops: u64,
        progress: Option<&Progress>,
        choose: impl Fn(&mut Random, u64) -> Change + Sync,
    ) -> Result<()> {
        let seed = self.runs.fetch_add(1, Ordering::Relaxed) << 32;
        let (next, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
        let run = &Run { load: self, ops, choose, next, stopped, progress };
        thread::scope(|scope| {
            let spawn = |n| scope.spawn(move || run.writer(Random::new(seed | n)));
            let writers: Vec<_> = (0..self.writers).map(spawn).collect();
            let done: Vec<_> = writers.into_iter().map(ScopedJoinHandle::join).collect();
            done.into_iter().try_for_each(|writer| {
                writer.unwrap_or_else(|_| Err(Error::msg("a writer panicked")))
            })
        })
    }
}

impl<C: Fn(&mut Random, u64) -> Change> Run<'_, C> {
    fn writer(&self, mut random: Random) -> Result<()> {
        let done = self.write(&mut random);
        if done.is_err() {
            self.stopped.store(true, Ordering::Relaxed);
        }
        done
    }

    fn write(&self, random: &mut Random) -> Result<()> {
        let mut writer = Writer::new(self.load);
        while !self.stopped.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(self.load.batch, Ordering::Relaxed);
            let ops = first..self.ops.min(first + self.load.batch);
            if ops.is_empty() {
                break;
            }
            let records = ops.end - ops.start;
            writer.write(ops, random, &self.choose)?;
            if let Some(progress) = self.progress {
                progress.advance(records * self.load.record_bytes());
            }
        }
        Ok(())
    }
}

/// One writer, and the memory that it uses again.
struct Writer<'a> {
    load: &'a Load,
    batch: WriteBatch,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(load: &'a Load) -> Self {
        Self { load, batch: WriteBatch::new(), key: Vec::new(), value: Vec::new() }
    }

    /// Writes `ops` as one batch.
    fn write(
        &mut self,
        ops: Range<u64>,
        random: &mut Random,
        choose: impl Fn(&mut Random, u64) -> Change,
    ) -> Result<()> {
        let shape = &self.load.shape;
        self.batch.clear();
        for op in ops {
            match choose(random, op) {
                Change::Put { number, version, bytes } => self.batch.put(
                    shape.key(number, &mut self.key),
                    shape.value((number, version), bytes, random, &mut self.value),
                ),
                Change::Delete { number } => self.batch.delete(shape.key(number, &mut self.key)),
            }
        }
        Ok(self.load.db.write(&self.batch)?)
    }
}
