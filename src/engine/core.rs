//! What the write path, the read path and recovery share.

use super::apply::apply;
use crate::device::{BufferPool, Volume};
use crate::error::{Error, Result};
use crate::extent::Space;
use crate::format::ids::{ExtentNo, Incarnation, StoreId};
use crate::index::Index;
use crate::options::FatalCallback;
use crate::sync::Arc;
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
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Host for Core {
    fn apply(&self, entries: &[u8]) -> Vec<bool> {
        apply(&self.index, &self.space, entries)
            .expect("L1: entries that this process made are sound")
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

    fn poisoned(&self, cause: &Error) {
        if let Some(on_fatal) = &self.on_fatal {
            on_fatal(cause);
        }
    }
}
