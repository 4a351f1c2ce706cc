//! A consistent snapshot of the index.

use super::range::Range;
use super::tree::Tree;
use crate::format::location::Location;
use std::ops::Bound;

/// The index as it was at one moment. Owns what it shows: edits do not wait for it, and letting
/// go of it takes no lock.
#[derive(Clone)]
pub(crate) struct View {
    pub(super) tree: Tree,
}

impl View {
    pub(super) fn new(tree: Tree) -> Self {
        Self { tree }
    }

    /// Where the value of `key` was.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Location> {
        self.tree.get(key)
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> u64 {
        self.tree.len()
    }

    /// The keys between two bounds, in order; none if the bounds are inverted.
    pub(crate) fn range(&self, lower: Bound<Vec<u8>>, upper: Bound<Vec<u8>>) -> Range {
        let lower = lower.as_ref().map(Vec::as_slice);
        let upper = upper.as_ref().map(Vec::as_slice);
        Range::new(&self.tree.root, lower, upper)
    }
}
