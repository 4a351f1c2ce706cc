//! A device with a name: its errors say what was being done, and what was written is counted.

use super::{Device, DeviceWrites, Part, ReadDone, ReadRequest};
use crate::error::{Error, Result};
use crate::events::{Event, Events};
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::seeded::{Bug, seeded};
use crate::sync::{self, Arc, AtomicBool, AtomicU64, Duration, Mutex, Ordering};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A transfer that takes longer is worth a word.
const SLOW: Duration = Duration::from_millis(500);

/// What bytes are written for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Pages of batches and epoch headers.
    Log,
    /// Large values.
    Large,
    /// Zeros, ahead of the log.
    Preparation,
    /// Checkpoint images.
    Checkpoint,
    /// Live records that the collector moves.
    Collection,
    /// Footers, evidence pages and superblocks.
    Upkeep,
}

/// Bytes and operations so far.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    written: [AtomicU64; 6],
    pub(crate) writes: AtomicU64,
    pub(crate) barriers: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) read_bytes: AtomicU64,
}

impl Traffic {
    /// Bytes written for `purpose`.
    pub(crate) fn written(&self, purpose: Purpose) -> u64 {
        self.written[purpose as usize].load(Ordering::Relaxed)
    }
}

/// The volume as the engine uses it.
#[derive(Debug)]
pub(crate) struct Volume {
    device: Arc<dyn Device>,
    path: Arc<PathBuf>,
    /// Whether barriers may overlap. Through the page cache the kernel tells of a lost write
    /// once per open file: of two barriers at once, one would hear of the other's.
    barriers_overlap: bool,
    one_barrier: Mutex<()>,
    /// A barrier failed: what a later one says proves nothing (E1p).
    barrier_failed: AtomicBool,
    /// Pages whose existence is durable: no superblock may name more (F3c).
    pages: AtomicU64,
    pub(crate) traffic: Traffic,
    /// Who is told of what happens on the volume.
    pub(crate) events: Events,
}

impl Volume {
    /// `direct` says whether transfers bypass the page cache.
    pub(crate) fn new(
        device: Arc<dyn Device>,
        path: Arc<PathBuf>,
        direct: bool,
        events: Events,
    ) -> Self {
        Self {
            pages: AtomicU64::new(device.len_pages()),
            device,
            path,
            barriers_overlap: direct,
            one_barrier: Mutex::new(()),
            barrier_failed: AtomicBool::new(false),
            traffic: Traffic::default(),
            events,
        }
    }

    pub(crate) fn path(&self) -> &Arc<PathBuf> {
        &self.path
    }

    pub(crate) fn len_pages(&self) -> u64 {
        self.pages.load(Ordering::Acquire)
    }

    pub(crate) fn read(&self, page: PageNo, buf: &mut [u8]) -> Result<()> {
        self.traffic.reads.fetch_add(1, Ordering::Relaxed);
        self.traffic.read_bytes.fetch_add(buf.len() as u64, Ordering::Relaxed);
        let read = self.timed("read", || self.device.read(page, buf));
        read.map_err(|e| self.error("read", page, e))
    }

    /// As [`Device::read_many`].
    pub(crate) fn read_many(
        &self,
        requests: &mut dyn Iterator<Item = ReadRequest>,
        done: &mut ReadDone<'_, Error>,
    ) {
        self.device.read_many(requests, &mut |request, outcome| {
            self.traffic.reads.fetch_add(1, Ordering::Relaxed);
            self.traffic.read_bytes.fetch_add(request.buf.len() as u64, Ordering::Relaxed);
            let page = request.page;
            done(request, outcome.map_err(|cause| self.error("read", page, cause)));
        });
    }

    pub(crate) fn write(&self, purpose: Purpose, page: PageNo, buf: &[u8]) -> Result<()> {
        assert!(buf.len().is_multiple_of(PAGE_BYTES), "only whole pages are written");
        self.traffic.writes.fetch_add(1, Ordering::Relaxed);
        self.traffic.written[purpose as usize].fetch_add(buf.len() as u64, Ordering::Relaxed);
        if seeded(Bug::Canary) {
            return Ok(());
        }
        let written = self.timed("write", || self.device.write(page, buf));
        written.map_err(|e| self.error("write", page, e))
    }

    /// Begins to write what `page` is the first page of.
    pub(crate) fn begin_writes(&self, purpose: Purpose, page: PageNo) -> Writes<'_> {
        Writes { volume: self, purpose, page, device: self.device.begin_writes() }
    }

    pub(crate) fn barrier(&self) -> Result<()> {
        self.traffic.barriers.fetch_add(1, Ordering::Relaxed);
        let alone = !self.barriers_overlap && !seeded(Bug::BarriersOverlap);
        let _alone = alone.then(|| self.one_barrier.lock());
        if seeded(Bug::AckWithoutBarrier) {
            return Ok(());
        }
        let result = self.timed("barrier", || self.device.barrier());
        let result = result.map_err(|e| self.error("barrier", PageNo(0), e));
        if result.is_err() && seeded(Bug::BarrierRetried) {
            return self.device.barrier().map_err(|e| self.error("barrier", PageNo(0), e));
        }
        if result.is_err() {
            self.barrier_failed.store(true, Ordering::SeqCst);
        } else if self.barrier_failed.load(Ordering::SeqCst) {
            let cause = io::Error::other("an earlier barrier failed");
            return Err(self.error("barrier", PageNo(0), cause));
        }
        result
    }

    /// Makes `pages` pages exist and their existence durable.
    pub(crate) fn grow(&self, pages: u64) -> Result<()> {
        let start = PageNo(self.len_pages());
        match self.device.grow(pages) {
            Ok(()) => {
                if seeded(Bug::LengthBeforeBarrier) {
                    self.pages.fetch_max(pages, Ordering::AcqRel);
                }
                self.barrier()?;
                self.pages.fetch_max(pages, Ordering::AcqRel);
                Ok(())
            }
            Err(e) if is_out_of_space(&e) => Err(Error::Full { pinned_by: None }),
            Err(e) => Err(self.error("grow", start, e)),
        }
    }

    /// Makes all but the first `pages` pages not exist. Before, `write_superblocks` has both of them say
    /// so, durably (S2): an open refuses a volume that is shorter than its superblock says.
    pub(crate) fn shrink(
        &self,
        pages: u64,
        write_superblocks: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        self.pages.store(pages, Ordering::Release);
        if !seeded(Bug::CutBeforeSuperblocks) {
            write_superblocks()?;
        }
        // A file system that does not take them back leaves space at the end that nobody uses.
        let _ = self.device.shrink(pages);
        Ok(())
    }

    /// As [`Device::discard`].
    pub(crate) fn discard(&self, page: PageNo, count: u64) -> Result<()> {
        self.device.discard(page, count).map_err(|e| self.error("discard", page, e))
    }

    /// As [`Device::allocate`].
    pub(crate) fn allocate(&self, page: PageNo, count: u64) -> Result<()> {
        if seeded(Bug::HolesUsed) {
            return Ok(());
        }
        match self.device.allocate(page, count) {
            Err(e) if is_out_of_space(&e) => Err(Error::Full { pinned_by: None }),
            allocated => allocated.map_err(|e| self.error("grow", page, e)),
        }
    }

    pub(crate) fn close(&self) {
        self.device.close();
    }

    fn error(&self, op: &'static str, page: PageNo, source: io::Error) -> Error {
        // The device's own word, not the operating system's: that would be a failure.
        let own = source.raw_os_error().is_none() || seeded(Bug::SystemErrorIsClosed);
        if source.kind() == io::ErrorKind::NotConnected && own {
            return Error::Closed;
        }
        let (path, source) = (Arc::clone(&self.path), Arc::new(source));
        let error = Error::Io { op, page: page.0, path, source };
        self.events.tell(|| Event::DeviceFailed { error: error.clone() });
        error
    }

    /// Does `transfer`, and has the listener told if it takes long. Without one nobody looks at a clock.
    fn timed<T>(&self, op: &'static str, transfer: impl FnOnce() -> T) -> T {
        if !self.events.is_heard() {
            return transfer();
        }
        let begun = sync::now();
        let done = transfer();
        let took = begun.elapsed();
        if took > SLOW {
            self.events.tell(|| Event::DeviceSlow { op, took });
        }
        done
    }
}

/// Writes that are under way while their caller does something else. Dropped, they are waited for.
#[must_use]
pub(crate) struct Writes<'a> {
    volume: &'a Volume,
    purpose: Purpose,
    /// The first of all pages.
    page: PageNo,
    device: Box<dyn DeviceWrites + 'a>,
}

impl Writes<'_> {
    /// As [`DeviceWrites::push`].
    pub(crate) fn push(&mut self, page: PageNo, parts: Vec<Part>) {
        let len: usize = parts.iter().map(|part| part.as_slice().len()).sum();
        let traffic = &self.volume.traffic;
        traffic.writes.fetch_add(1, Ordering::Relaxed);
        traffic.written[self.purpose as usize].fetch_add(len as u64, Ordering::Relaxed);
        if !seeded(Bug::Canary) {
            self.device.push(page, parts);
        }
    }

    /// Waits until all that was pushed is written.
    pub(crate) fn wait(&mut self) -> Result<()> {
        let written = self.volume.timed("write", || self.device.wait());
        written.map_err(|cause| self.volume.error("write", self.page, cause))
    }
}

impl fmt::Debug for Writes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writes").field("page", &self.page).finish_non_exhaustive()
    }
}

fn is_out_of_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
