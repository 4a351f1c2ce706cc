//! How long the next image may become.

use crate::format::extent_state::ExtentState;
use crate::format::ids::{PAGE_BYTES, pages_for};
use crate::format::image::{HEADER_BYTES, RunLine};
use crate::sync::{AtomicU64, Ordering};

/// Pages that end slices of other kinds than keys, and the root.
const PAGES_BESIDE: u64 = 3;
/// Bytes of an image for each page that lists its extents, at the least.
const BYTES_PER_ROOT_PAGE: u64 = 8 << 20;
/// Bytes that a byte of a new key or of its record's head may add to an image: leaves have slack, and
/// large values are listed.
const GROWTH: u64 = 4;

/// What an image is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contents {
    pub(super) keys: u64,
    pub(super) index_bytes: u64,
    pub(super) extents: u64,
    pub(super) large_values: u64,
}

/// The most that the next image takes, as far as is known.
#[derive(Debug)]
pub(super) struct ImageSize {
    /// Bytes of leaves in a slice of keys.
    slice_bytes: u64,
    /// Bytes of the index that a slice holds of them at the least.
    slice_payload: AtomicU64,
    /// Bytes of the index, as they were measured, less what it had `grown` by then.
    measured: AtomicU64,
    /// What the index has grown by at most, ever.
    grown: AtomicU64,
    /// What a slice takes beside its part of the index.
    slice_head: AtomicU64,
    /// Pages beside the slices of keys.
    beside: AtomicU64,
}

impl ImageSize {
    /// Of an image whose slices of keys have `slice_bytes`.
    pub(super) fn new(slice_bytes: usize) -> Self {
        Self {
            slice_bytes: slice_bytes as u64,
            slice_payload: AtomicU64::new(slice_bytes.max(1) as u64),
            measured: AtomicU64::new(0),
            grown: AtomicU64::new(0),
            slice_head: AtomicU64::new(HEADER_BYTES as u64),
            beside: AtomicU64::new(PAGES_BESIDE),
        }
    }

    /// Keys and heads of so many bytes were applied that may be new.
    pub(super) fn grow(&self, bytes: u64) {
        self.grown.fetch_add(bytes * GROWTH, Ordering::SeqCst);
    }

    /// Measures what an image of now would be of.
    pub(super) fn measure(&self, look: impl FnOnce() -> Contents) {
        // What is applied meanwhile counts, if not twice.
        let grown = self.grown.load(Ordering::SeqCst);
        let Contents { keys, index_bytes, extents, large_values } = look();
        self.measured.store(index_bytes.wrapping_sub(grown), Ordering::SeqCst);
        // Every slice says with which key it begins. The last of its leaves may be a part of one, which
        // has a head, and no room for another key.
        let key = index_bytes.div_ceil(keys.max(1)).max(1);
        let payload = self.slice_bytes.saturating_sub(LEAF_HEAD_BYTES + key).max(key);
        self.slice_payload.store(payload, Ordering::Relaxed);
        self.slice_head.store(HEADER_BYTES as u64 + key + LEAF_HEAD_BYTES, Ordering::Relaxed);
        let lines = extents * LINE_BYTES + large_values * RunLine::BYTES as u64;
        self.beside.store(PAGES_BESIDE + lines / PAGE_BYTES as u64, Ordering::Relaxed);
    }

    /// Pages of an image of now.
    pub(super) fn now(&self) -> u64 {
        self.pages_of(self.index_bytes())
    }

    /// Pages of one after keys and heads of `more` bytes, and a tenth for what cannot be foreseen.
    pub(super) fn after(&self, more: u64) -> u64 {
        let index_bytes = self.index_bytes();
        self.pages_of(index_bytes + index_bytes / 10 + more * GROWTH)
    }

    fn index_bytes(&self) -> u64 {
        // In this order: what a measurement took off has grown by the time that it is seen.
        let measured = self.measured.load(Ordering::SeqCst);
        measured.wrapping_add(self.grown.load(Ordering::SeqCst))
    }

    fn pages_of(&self, index_bytes: u64) -> u64 {
        let slices = index_bytes / self.slice_payload.load(Ordering::Relaxed) + 1;
        let heads = slices * self.slice_head.load(Ordering::Relaxed);
        // Each is whole pages.
        let pages = pages_for(index_bytes + heads) + slices - 1;
        pages + self.beside.load(Ordering::Relaxed) + index_bytes / BYTES_PER_ROOT_PAGE
    }
}

/// Bytes of a leaf beside its keys and their places.
const LEAF_HEAD_BYTES: u64 = 16;
/// Bytes of a line of the extent table.
const LINE_BYTES: u64 = 4 + ExtentState::BYTES as u64;

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENTS: Contents = Contents { keys: 10, index_bytes: 500, extents: 0, large_values: 0 };

    #[test]
    fn a_small_index_takes_a_page_beside_the_others() {
        let size = ImageSize::new(32 << 10);
        size.measure(|| CONTENTS);
        assert_eq!(size.now(), 1 + PAGES_BESIDE);
    }

    #[test]
    fn what_is_applied_while_it_is_measured_counts() {
        let size = ImageSize::new(1000);
        size.grow(100_000);
        size.measure(|| CONTENTS);
        let measured = size.now();
        size.measure(|| {
            size.grow(PAGE_BYTES as u64);
            CONTENTS
        });
        assert!(size.now() >= measured + GROWTH);
        assert!(size.after(100_000) > size.now() + GROWTH * 100_000 / PAGE_BYTES as u64);
    }
}
