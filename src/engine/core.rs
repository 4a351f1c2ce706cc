//! What the write path, the read path and recovery share.

use super::apply::apply;
use super::bell::Bell;
use crate::device::{BufferPool, Purpose, Volume};
use crate::error::{Error, Result};
use crate::extent::{Readers, Space, bytes_of};
use crate::format::ids::{ExtentNo, Incarnation, StoreId};
use crate::index::Index;
use crate::options::FatalCallback;
use crate::sync::{Arc, AtomicU64, Ordering};
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
    /// Who may be reading what the index referred to.
    pub(crate) readers: Readers,
    /// What replay had to do at open, and what has been applied since.
    replayed_bytes: AtomicU64,
    records: AtomicU64,
}

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
            readers: Readers::default(),
            replayed_bytes: AtomicU64::new(0),
            records: AtomicU64::new(0),
        }
    }

    /// Counts what was replayed at open.
    pub(super) fn count_replayed(&self, replayed: Backlog) {
        self.records.fetch_add(replayed.records, Ordering::Relaxed);
        self.replayed_bytes.fetch_add(replayed.log_bytes, Ordering::Relaxed);
    }

    /// About the bytes of an image of the index as it is.
    pub(super) fn image_bytes(&self) -> u64 {
        self.index.memory_bytes()
    }

    /// Leaves the next image its share of the free extents.
    pub(super) fn keep_for_image(&self) {
        let extent_bytes = bytes_of(u64::from(self.space.extent_pages()));
        // A tenth more for what comes meanwhile, and one for where it ends and the root.
        let extents = (self.image_bytes() * 11 / 10).div_ceil(extent_bytes) + 1;
        self.space.keep_for_image(extents as usize);
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
        let applied = apply(&self.index, &self.space, entries)
            .expect("L1: entries that this process made are sound");
        self.records.fetch_add(applied.records, Ordering::Relaxed);
        applied.answers
    }

    fn reserve_extent(&self, for_puts: bool) -> Result<ExtentNo> {
        self.space.reserve_extent(for_puts)
    }

    fn return_extent(&self, extent: ExtentNo) {
        self.space.return_extent(extent);
    }

    fn is_prepared(&self, extent: ExtentNo) -> bool {
        self.space.is_prepared(extent)
    }

    fn prepare(&self, extent: ExtentNo) -> Result<()> {
        self.space.prepare(extent)
    }

    fn open_log_extent(&self, extent: ExtentNo) -> Incarnation {
        self.space.open_log_extent(extent)
    }

    fn rotated(&self) {
        self.keep_for_image();
        self.bell.ring();
        self.garbage_bell.ring();
    }

    fn poisoned(&self, cause: &Error) {
        if let Some(on_fatal) = &self.on_fatal {
            on_fatal(cause);
        }
    }
}
