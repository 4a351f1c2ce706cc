//! Changing the index.

use super::tree::Tree;
use crate::format::location::Location;

/// Exclusive access to the index, for the time of one edit.
pub(crate) struct Edit<'a> {
    tree: &'a mut Tree,
}

impl<'a> Edit<'a> {
    pub(super) fn new(tree: &'a mut Tree) -> Self {
        Self { tree }
    }

    /// Where the value of `key` is, changes of this edit included.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Location> {
        self.tree.get(key)
    }

    /// Number of keys, changes of this edit included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> u64 {
        self.tree.len()
    }

    /// Sets where the value of `key` is; returns where it was.
    ///
    /// # Panics
    ///
    /// If `key` is longer than [`MAX_KEY_BYTES`](super::MAX_KEY_BYTES).
    pub(crate) fn insert(&mut self, key: &[u8], location: Location) -> Option<Location> {
        self.tree.insert(key, location)
    }

    /// Forgets `key`; returns where its value was.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Location> {
        self.tree.remove(key)
    }
}
