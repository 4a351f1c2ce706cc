//! Writing values to files, several at a time.

use super::path;
use super::tree::TargetTree;
use crate::explain::explain;
use crate::new_file::NewFile;
use crate::progress::Progress;
use anyhow::{Context, Error, Result};
use extentdb::{Entry, Iter, Snapshot};
use std::io::{self, BufReader, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Values up to this length are read at once.
const SMALL: u64 = 1 << 20;
/// Bytes of longer ones that are written at a time.
const PIECE: usize = 256 << 10;

/// What became of the values.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) written: u64,
    pub(super) written_bytes: u64,
    pub(super) failed: u64,
}

/// An export under way, shared by its threads.
pub(super) struct Exporter<'a> {
    snapshot: &'a Snapshot,
    tree: &'a TargetTree,
    progress: &'a Progress,
    entries: Mutex<Iter>,
    written: AtomicU64,
    written_bytes: AtomicU64,
    failed: AtomicU64,
}

impl<'a> Exporter<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        tree: &'a TargetTree,
        progress: &'a Progress,
    ) -> Self {
        Self {
            snapshot,
            tree,
            progress,
            entries: Mutex::new(snapshot.iter()),
            written: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Writes everything with `threads` threads.
    pub(super) fn run(self, threads: usize) -> Result<Totals> {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| self.work())).collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err(Error::msg("a thread panicked")))
            })
        })?;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Ok(Totals {
            written: of(&self.written),
            written_bytes: of(&self.written_bytes),
            failed: of(&self.failed),
        })
    }

    fn work(&self) -> Result<()> {
        while let Some(entry) = self.next() {
            let entry = entry?;
            match self.export(&entry) {
                Ok(()) => {
                    self.written.fetch_add(1, Ordering::Relaxed);
                    self.written_bytes.fetch_add(entry.value_len(), Ordering::Relaxed);
                }
                Err(error) => self.report(&entry, &error),
            }
        }
        Ok(())
    }

    fn next(&self) -> Option<extentdb::Result<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    fn report(&self, entry: &Entry, error: &Error) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let key = entry.key().escape_ascii();
        self.progress.note(&format!("not exported: {key}: {}", explain(error)));
    }

    fn export(&self, entry: &Entry) -> Result<()> {
        let path = path::relative(entry.key()).map_err(Error::msg)?;
        let (directory, target) = self.tree.make_room(&path)?;
        let mut file = NewFile::create_in(&directory)?;
        if entry.value_len() <= SMALL {
            file.write_all(&entry.value()?)?;
            self.progress.advance(entry.value_len());
        } else {
            self.stream(entry, &mut file)?;
        }
        Ok(file.place(&target)?)
    }

    fn stream(&self, entry: &Entry, file: &mut NewFile) -> Result<()> {
        let value = self.snapshot.get_reader(entry.key())?.context("the snapshot lost a key")?;
        let value = self.progress.watch(value);
        io::copy(&mut BufReader::with_capacity(PIECE, value), file)?;
        Ok(())
    }
}
