//! Changing the index.

use super::in_order::InOrder;
use super::state::State;
use crate::format::location::Location;

/// What a key had, and what becomes of that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Replaced {
    /// Where the value was.
    pub(crate) before: Option<Location>,
    /// Whether it is kept for views, from now on until
    /// [`take_released`](super::Index::take_released) returns it. True if a view shows it, and
    /// maybe if none does while another thread drops a view. If false, nothing refers to it.
    pub(crate) kept: bool,
}

/// Exclusive access to the index, for the time of one edit.
pub(crate) struct Edit<'a> {
    state: &'a mut State,
}

impl<'a> Edit<'a> {
    pub(super) fn new(state: &'a mut State) -> Self {
        Self { state }
    }

    /// Where the value of `key` is, changes of this edit included.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Location> {
        self.state.get(key)
    }

    /// Number of keys, changes of this edit included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> u64 {
        self.state.tree.len
    }

    /// Sets where the value of `key` is, or forgets the key.
    ///
    /// # Panics
    ///
    /// If `key` is set and longer than [`MAX_KEY_BYTES`](super::MAX_KEY_BYTES).
    pub(crate) fn replace(&mut self, key: &[u8], location: Option<Location>) -> Replaced {
        self.state.replace(key, location)
    }

    /// Sets where the value of `key` is; returns where it was.
    ///
    /// # Panics
    ///
    /// If `key` is longer than [`MAX_KEY_BYTES`](super::MAX_KEY_BYTES).
    #[cfg(test)]
    pub(crate) fn insert(&mut self, key: &[u8], location: Location) -> Option<Location> {
        self.replace(key, Some(location)).before
    }

    /// Changes to many keys, one after the other.
    pub(crate) fn in_order(&mut self) -> InOrder<'_> {
        InOrder::new(self.state)
    }

    /// Forgets `key`; returns where its value was.
    #[cfg(test)]
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Location> {
        self.replace(key, None).before
    }
}
