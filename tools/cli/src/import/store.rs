//! Storing the files of a tree, several at a time.

use super::walk::SourceFile;
use crate::exact::ExactFile;
use crate::explain::explain;
use crate::progress::Progress;
use anyhow::{Error, Result};
use extentdb::{Db, ValueReader};
use nix::fcntl::OFlag;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Files up to this length are read whole and written at once.
const SMALL: u64 = 1 << 20;
/// Bytes that are compared at a time.
const PIECE: usize = 128 << 10;

/// What became of the files.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) stored: u64,
    pub(super) stored_bytes: u64,
    pub(super) unchanged: u64,
    pub(super) failed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    stored: AtomicU64,
    stored_bytes: AtomicU64,
    unchanged: AtomicU64,
    failed: AtomicU64,
}

/// An import under way, shared by its threads.
pub(super) struct Importer<'a> {
    db: &'a Db,
    root: &'a Path,
    files: &'a [SourceFile],
    progress: &'a Progress,
    /// The next file to take.
    next: AtomicUsize,
    stopped: AtomicBool,
    /// The failure of the store that stopped everything.
    fatal: Mutex<Option<extentdb::Error>>,
    counters: Counters,
}

/// Why a file was not stored.
enum Failure {
    /// The file's own trouble; others may fare better.
    OfFile(Error),
    /// The store's: no file would fare better.
    OfStore(extentdb::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::OfFile(error.into())
    }
}

impl From<extentdb::Error> for Failure {
    fn from(error: extentdb::Error) -> Self {
        use extentdb::Error::{KeyTooLong, Source, ValueTooLong};
        match error {
            Source { source } => Self::OfFile(Error::msg(source.to_string())),
            KeyTooLong { .. } | ValueTooLong { .. } => Self::OfFile(error.into()),
            error => Self::OfStore(error),
        }
    }
}

impl<'a> Importer<'a> {
    pub(super) fn new(
        db: &'a Db,
        root: &'a Path,
        files: &'a [SourceFile],
        progress: &'a Progress,
    ) -> Self {
        Self {
            db,
            root,
            files,
            progress,
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            fatal: Mutex::new(None),
            counters: Counters::default(),
        }
    }

    /// Stores all files with `threads` threads.
    pub(super) fn run(self, threads: usize) -> extentdb::Result<Totals> {
        thread::scope(|scope| {
            for _ in 0..threads.min(self.files.len()) {
                scope.spawn(|| self.work());
            }
        });
        match self.fatal.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(self.counters.totals()),
        }
    }

    fn work(&self) {
        while !self.stopped.load(Ordering::Relaxed) {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = self.files.get(next) else { return };
            match self.import(file) {
                Ok(()) => {}
                Err(Failure::OfFile(error)) => self.report(file, &error),
                Err(Failure::OfStore(error)) => return self.stop(error),
            }
        }
    }

    fn report(&self, file: &SourceFile, error: &Error) {
        self.counters.failed.fetch_add(1, Ordering::Relaxed);
        let path = self.path_of(file);
        self.progress.note(&format!("not stored: {}: {}", path.display(), explain(error)));
    }

    /// Stops all threads; the first failure is the one that is told.
    fn stop(&self, error: extentdb::Error) {
        self.stopped.store(true, Ordering::Relaxed);
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn import(&self, file: &SourceFile) -> Result<(), Failure> {
        if self.is_stored(file)? {
            self.counters.unchanged.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let source = self.open(file)?;
        let len = source.len();
        if len <= SMALL {
            self.db.put(&file.key, source.read_whole()?)?;
            self.progress.advance(file.len);
        } else {
            self.db.put_reader(&file.key, len, self.progress.watch(source))?;
        }
        self.counters.stored.fetch_add(1, Ordering::Relaxed);
        self.counters.stored_bytes.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the key has exactly what the file has.
    fn is_stored(&self, file: &SourceFile) -> Result<bool, Failure> {
        if self.db.value_len(&file.key)? != Some(file.len) {
            return Ok(false);
        }
        let stored = match self.db.get_reader(&file.key) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(false),
            Err(error @ extentdb::Error::Corrupt { .. }) => return Ok(self.is_damaged(&error)),
            Err(error) => return Err(error.into()),
        };
        self.is_same(stored, self.open(file)?)
    }

    /// Compares piece by piece. What the progress counted is taken back where they differ.
    fn is_same(&self, mut stored: ValueReader, source: ExactFile) -> Result<bool, Failure> {
        let (mut left, len) = (stored.len(), source.len());
        let mut source = self.progress.watch(source);
        let mut pieces = [vec![0; PIECE], vec![0; PIECE]];
        let mut same = left == len;
        while same && left > 0 {
            let wanted = left.min(PIECE as u64) as usize;
            let [ours, theirs] = &mut pieces;
            let (ours, theirs) = (&mut ours[..wanted], &mut theirs[..wanted]);
            source.read_exact(theirs)?;
            left -= wanted as u64;
            same = match stored.read_exact(ours) {
                Ok(()) => ours == theirs,
                Err(error) => self.is_damaged(&error),
            };
        }
        if !same {
            self.progress.retract(len - left);
        }
        Ok(same)
    }

    /// Says that a stored value is damaged; it is not the same as anything, so it is replaced.
    fn is_damaged(&self, error: &dyn std::error::Error) -> bool {
        self.progress.note(&format!("stored again: {error}"));
        false
    }

    /// Opens a file that may have been replaced since it was found: by a link, which is not
    /// followed, or by a pipe, which is not waited for.
    fn open(&self, file: &SourceFile) -> io::Result<ExactFile> {
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
        let opened = File::options().read(true).custom_flags(flags).open(self.path_of(file))?;
        ExactFile::of(opened)
    }

    fn path_of(&self, file: &SourceFile) -> PathBuf {
        self.root.join(OsStr::from_bytes(&file.key))
    }
}

impl Counters {
    fn totals(&self) -> Totals {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            stored: of(&self.stored),
            stored_bytes: of(&self.stored_bytes),
            unchanged: of(&self.unchanged),
            failed: of(&self.failed),
        }
    }
}
