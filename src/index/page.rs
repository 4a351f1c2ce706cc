//! Entries copied out of the index.

use super::draft::Draft;
use crate::format::location::Location;
use crate::sync::Arc;
use std::ops::Range;

/// A leaf's worth of entries that no lock protects.
pub(super) type Page = Draft;

/// An entry on a page, cheap to clone.
#[derive(Clone)]
pub(crate) struct Found {
    page: Arc<Page>,
    at: usize,
}

impl Found {
    pub(super) fn new(page: Arc<Page>, at: usize) -> Self {
        Self { page, at }
    }

    /// The key.
    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        self.page.key(self.at)
    }

    /// Where its value is.
    #[inline]
    pub(crate) fn location(&self) -> Location {
        self.page.location(self.at)
    }
}

impl Page {
    /// Where the value of key `at` of a page is.
    #[inline]
    pub(super) fn location(&self, at: usize) -> Location {
        let packed = self.payload(at).first_chunk().expect("a leaf's payload");
        Location::unpack(packed).expect("a page holds locations")
    }

    /// Calls `visit` with `entries` in order.
    pub(super) fn visit(&self, entries: Range<usize>, visit: &mut impl FnMut(&[u8], Location)) {
        entries.for_each(|at| visit(self.key(at), self.location(at)));
    }
}
