//! What the write path, the read path and recovery share.

use super::apply::apply;
use super::bell::Bell;
use super::governor::Governor;
use crate::device::{AlignedBuf, BufferPool, Purpose, Volume};
use crate::error::{Error, Result};
use crate::events::Event;
use crate::extent::{Claim, LiveChanges, Readers, Space, Usage, bytes_of};
use crate::format::ids::{ExtentNo, Incarnation, StoreId};
use crate::index::Index;
use crate::options::FatalCallback;
use crate::seeded::{Bug, seeded};
use crate::sync::{self, Arc, AtomicU64, Duration, Mutex, Ordering};
use crate::wal::Host;
use std::fmt;

/// The volume, and what is known of it in memory.
pub(crate) struct Core {
    pub(crate) volume: Arc<Volume>,
    pub(crate) store: StoreId,
    pub(crate) pool: BufferPool,
    pub(crate) space: Space,
    pub(crate) index: Index,
    pub(crate) on_fatal: Option<FatalCallback>,
    /// Rung when a checkpoint may be due.
    pub(super) bell: Bell,
    /// Rung when there may be garbage to collect, or space to free.
    pub(super) garbage_bell: Bell,
    pub(super) governor: Governor,
    /// Garbage allowed per live byte.
    garbage_ratio: f64,
    /// Who may be reading what the index referred to.
    pub(crate) readers: Readers,
    /// What replay had to do at open, and what has been applied since.
    replayed_bytes: AtomicU64,
    records: AtomicU64,
    /// Bytes that the collector read.
    collection_read_bytes: AtomicU64,
    /// What one pass over records changes; empty between two.
    changes: Mutex<LiveChanges>,
    /// Where the collector read an extent last, until it is at ease.
    pub(super) scanned: Mutex<Option<AlignedBuf>>,
}

/// Extents that the space contract allows beside what is live, and garbage in proportion: the
/// superblocks', three of the log, one that is appended to, two images that end within one, and
/// one on its way to being free.
const FIXED_EXTENTS: u64 = 8;

/// Records and bytes of log.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Backlog {
    pub(super) records: u64,
    pub(super) log_bytes: u64,
}

impl Backlog {
    /// What came after `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            records: self.records - earlier.records,
            log_bytes: self.log_bytes - earlier.log_bytes,
        }
    }
}

impl Core {
    pub(super) fn new(
        volume: Arc<Volume>,
        store: StoreId,
        pool: BufferPool,
        space: Space,
        garbage_ratio: f64,
        on_fatal: Option<FatalCallback>,
    ) -> Self {
        Self {
            volume,
            store,
            pool,
            space,
            index: Index::new(),
            on_fatal,
            bell: Bell::default(),
            garbage_bell: Bell::default(),
            governor: Governor::new(),
            garbage_ratio,
            readers: Readers::default(),
            replayed_bytes: AtomicU64::new(0),
            records: AtomicU64::new(0),
            collection_read_bytes: AtomicU64::new(0),
            changes: Mutex::default(),
            scanned: Mutex::default(),
        }
    }

    /// Counts what was replayed at open.
    pub(super) fn count_replayed(&self, replayed: Backlog) {
        self.records.fetch_add(replayed.records, Ordering::Relaxed);
        self.replayed_bytes.fetch_add(replayed.log_bytes, Ordering::Relaxed);
    }

    /// The collector read so many bytes.
    pub(super) fn count_collection_read(&self, bytes: usize) {
        self.collection_read_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that the collector read so far.
    pub(super) fn collection_read_bytes(&self) -> u64 {
        self.collection_read_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of an extent.
    pub(super) fn extent_bytes(&self) -> u64 {
        bytes_of(u64::from(self.space.extent_pages()))
    }

    /// Extents that the space contract allows.
    pub(super) fn allowed_extents(&self) -> u64 {
        // An image is about as long as the index that it is of.
        let live = self.space.live_bytes() + self.index.memory_bytes();
        let allowed = live as f64 * (1.0 + self.garbage_ratio);
        (allowed as u64).div_ceil(self.extent_bytes()) + FIXED_EXTENTS
    }

    /// Tells the governor how much room is left; returns how all of it is used.
    pub(super) fn take_stock(&self) -> Usage {
        let usage = self.space.usage();
        let of_contract = self.allowed_extents().saturating_sub(usage.used);
        let of_volume = self.space.spare_extents();
        let extents = bytes_of(self.space.max_pages()) / self.extent_bytes();
        self.governor.set_slack(of_contract.min(of_volume), extents);
        usage
    }

    /// Measures what the next image takes, so that others leave it that.
    pub(super) fn measure_image(&self) {
        self.space.measure_image(|| self.index.size());
    }

    /// Work that replay would have since the checkpoint that this open began with.
    pub(super) fn backlog(&self) -> Backlog {
        let written = self.volume.traffic.written(Purpose::Log);
        Backlog {
            records: self.records.load(Ordering::Relaxed),
            log_bytes: self.replayed_bytes.load(Ordering::Relaxed) + written,
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Host for Core {
    fn apply(&self, entries: &[u8]) -> Vec<bool> {
        let applied = apply(&self.index, &self.space, &mut self.changes.lock(), entries)
            .expect("L1: entries that this process made are sound");
        self.records.fetch_add(applied.records, Ordering::Relaxed);
        self.space.grow_image(applied.grown);
        applied.answers
    }

    fn admits_put(&self, growth: usize) -> bool {
        self.space.admits_put(growth as u64)
    }

    fn admit_put(&self, growth: usize) -> Result<()> {
        self.measure_image();
        self.space.admit_put(growth as u64)
    }

    fn reserve_extent(&self, for_puts: bool) -> Result<ExtentNo> {
        self.space.reserve_extent(if for_puts { Claim::Put } else { Claim::Barren })
    }

    fn return_extent(&self, extent: ExtentNo) {
        self.space.return_extent(extent);
    }

    fn is_prepared(&self, extent: ExtentNo) -> bool {
        self.space.is_prepared(extent)
    }

    fn prepare(&self, extent: ExtentNo, is_behind: &dyn Fn(f64) -> bool) -> Result<()> {
        self.space.prepare(extent, is_behind)
    }

    fn open_log_extent(&self, extent: ExtentNo) -> Incarnation {
        self.space.open_log_extent(extent)
    }

    fn rotated(&self) {
        self.measure_image();
        self.take_stock();
        self.bell.ring();
        self.garbage_bell.ring();
    }

    fn delay(&self, bytes: usize, fill: f64) -> Duration {
        self.governor.delay(bytes as u64, fill)
    }

    fn poisoned(&self, cause: &Arc<Error>) {
        self.volume.events.tell(|| Event::Poisoned { cause: Arc::clone(cause) });
        if let Some(on_fatal) = &self.on_fatal {
            // Whoever met it may hold locks that the engine's threads wait for, and `on_fatal` may close
            // the store. They end by themselves once he has let go.
            match seeded(Bug::CloseWaitsForItself) {
                true => on_fatal(cause),
                false => sync::without_joins(|| on_fatal(cause)),
            }
        }
    }
}
