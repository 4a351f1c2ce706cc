//! A consistent snapshot of the index.

use super::range::Range;
use super::shared::{Handle, Shared};
use crate::format::location::Location;
use crate::sync::Arc;
use std::ops::Bound;

/// The index as it was at one moment. Owns what it shows; costs memory for what changes while it
/// is held.
#[derive(Clone)]
pub(crate) struct View {
    pub(super) pin: Arc<Handle>,
}

impl View {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { pin: shared.pin() }
    }

    /// Where the value of `key` was.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Location> {
        self.pin.shared.state.read().get_at(self.pin.id, key)
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> u64 {
        self.pin.len
    }

    /// The keys between two bounds, in order; none if the bounds are inverted.
    pub(crate) fn range(&self, lower: Bound<Vec<u8>>, upper: Bound<Vec<u8>>) -> Range {
        Range::new(self.clone(), lower, upper)
    }
}
