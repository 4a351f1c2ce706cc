//! Showing how far an open has come.

use super::core::Core;
use crate::format::ids::BatchNo;
use crate::options::ProgressCallback;
use crate::report::OpenProgress;
use crate::sync::Mutex;

/// What was shown so far. The log and the image may be read at the same time.
pub(super) struct Shown<'a>(Option<(&'a ProgressCallback, Mutex<OpenProgress>)>);

impl<'a> Shown<'a> {
    pub(super) fn new(callback: Option<&'a ProgressCallback>, core: &Core) -> Self {
        let extents = core.volume.len_pages() / u64::from(core.space.extent_pages());
        let begun =
            OpenProgress { batch: 0, log_extents: 0, extents, loaded_bytes: 0, image_bytes: 0 };
        Self(callback.map(|callback| (callback, Mutex::new(begun))))
    }

    /// The log was read up to `batch`, which is in the last of so many extents.
    pub(super) fn replayed(&self, batch: BatchNo, extents: usize) {
        self.show(|so_far| (so_far.batch, so_far.log_extents) = (batch.0, extents as u64));
    }

    /// So many bytes of the image were read, of `all`.
    pub(super) fn loaded(&self, bytes: u64, all: u64) {
        self.show(|so_far| (so_far.loaded_bytes, so_far.image_bytes) = (bytes, all));
    }

    /// Whoever is shown it hears of one step after the other.
    fn show(&self, change: impl FnOnce(&mut OpenProgress)) {
        if let Some((callback, so_far)) = &self.0 {
            let mut so_far = so_far.lock();
            change(&mut so_far);
            callback(&so_far);
        }
    }
}
