//! The raw device: writes and reads of a file, without a store and without the page cache.

use super::drive::{Limit, drive};
use super::random::Random;
use super::ring::Ring;
use super::sample::Sample;
use crate::progress::Progress;
use anyhow::{Context, Result, ensure};
use extentdb::{AlignedBuf, Db, DirectState};
use nix::fcntl::OFlag;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that the scratch file is written with at a time.
const CHUNK: usize = 1 << 20;

/// A file that the raw measurements overwrite and read. Its name is gone as soon as it is open,
/// so nothing of it outlives the process.
#[derive(Debug)]
pub(crate) struct Scratch {
    file: File,
    len: u64,
    path: PathBuf,
    direct: bool,
    /// Where the next write goes, in writes.
    next_write: AtomicU64,
}

impl Scratch {
    /// Creates a file of `len` bytes at `path` and writes all of it, so that later writes find
    /// their blocks allocated and written, and flush nothing else.
    pub(crate) fn create(path: &Path, len: u64, direct: bool, progress: &Progress) -> Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        if direct {
            options.custom_flags(OFlag::O_DIRECT.bits());
        }
        let file = options.open(path)?;
        fs::remove_file(path)?;
        fill(&file, len, progress)?;
        let path = path.to_owned();
        Ok(Self { file, len, path, direct, next_write: AtomicU64::new(0) })
    }

    /// A file of `len` bytes beside `volume`, which is direct where `db` is.
    pub(crate) fn beside(volume: &Path, len: u64, db: &Db) -> Result<Self> {
        let mut path = volume.as_os_str().to_owned();
        path.push(".scratch");
        let direct = db.info().device.direct == DirectState::Active;
        let progress = Progress::bytes("preparing the scratch file,", len);
        let scratch = Self::create(path.as_ref(), len, direct, &progress);
        progress.finish();
        scratch.with_context(|| format!("scratch file {}", Path::new(&path).display()))
    }

    /// Where it is, or was.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it bypasses the page cache.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct
    }

    /// Writes of `bytes` bytes, each followed by its own flush, by `threads` threads. They go
    /// round the file in order, as a log does.
    pub(crate) fn writes(&self, bytes: u64, threads: usize, limit: Limit) -> Result<Sample> {
        drive(threads, limit, |thread| {
            let mut buf = AlignedBuf::new(bytes as usize)?;
            Random::new(thread as u64).fill(&mut buf);
            Ok(move |_| self.write(&mut buf))
        })
    }

    /// Writes `buf`, changed a little, to the place after that of the last write, and flushes.
    pub(crate) fn write(&self, buf: &mut AlignedBuf) -> Result<()> {
        let slots = self.slots(buf.len() as u64)?;
        let number = self.next_write.fetch_add(1, Ordering::Relaxed);
        buf[..8].copy_from_slice(&number.to_le_bytes());
        let offset = number % slots * buf.len() as u64;
        self.file.write_all_at(buf, offset).context("raw write")?;
        self.file.sync_data().context("raw flush")
    }

    /// Reads one of the places of as many bytes as `buf` has.
    pub(crate) fn read(&self, slot: u64, buf: &mut AlignedBuf) -> Result<()> {
        let offset = slot * buf.len() as u64;
        self.file.read_exact_at(buf, offset).context("raw read")
    }

    /// Whether there is io_uring here.
    pub(crate) fn has_ring(&self) -> bool {
        self.ring(1, CHUNK).is_ok()
    }

    /// A ring over the file, for `depth` reads of at most `longest` bytes at once.
    pub(crate) fn ring(&self, depth: usize, longest: usize) -> Result<Ring> {
        Ring::new(&self.file, depth, longest)
    }

    /// Reads of `bytes` bytes by `threads` threads, at the places that `order` lists.
    pub(crate) fn reads(
        &self,
        bytes: u64,
        threads: usize,
        order: &[u32],
        limit: Limit,
    ) -> Result<Sample> {
        drive(threads, limit, |_| {
            let mut buf = AlignedBuf::new(bytes as usize)?;
            Ok(move |number: u64| {
                let slot = order[(number % order.len() as u64) as usize];
                self.read(slot.into(), &mut buf)
            })
        })
    }

    /// Places of `bytes` bytes in the file.
    pub(crate) fn slots(&self, bytes: u64) -> Result<u64> {
        ensure!(self.len >= bytes, "the scratch file is too small");
        Ok(self.len / bytes)
    }
}

fn fill(file: &File, len: u64, progress: &Progress) -> Result<()> {
    let mut chunk = AlignedBuf::new(CHUNK)?;
    let mut random = Random::new(2);
    for offset in (0..len).step_by(CHUNK) {
        random.fill(&mut chunk);
        let bytes = chunk.len().min((len - offset) as usize);
        file.write_all_at(&chunk[..bytes], offset)?;
        progress.advance(bytes as u64);
    }
    file.sync_all().context("cannot make it durable")
}
