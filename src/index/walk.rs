//! Looking at entries where they are.

use super::block::Block;
use super::seek::Seek;
use super::state::State;
use crate::format::location::Location;
use std::ops::Range;

/// An entry of a leaf.
pub(crate) struct Stored<'a> {
    leaf: &'a Block<'a>,
    at: usize,
}

impl Stored<'_> {
    pub(crate) fn key_len(&self) -> usize {
        self.leaf.key_bytes(self.at)
    }

    /// Appends its key to `out`.
    pub(crate) fn push_key(&self, out: &mut Vec<u8>) {
        self.leaf.push_key(self.at, out);
    }

    #[cfg(test)]
    pub(crate) fn key(&self) -> Vec<u8> {
        self.leaf.key(self.at)
    }

    /// Where its value is.
    pub(crate) fn location(&self) -> Location {
        Location::unpack(self.leaf.payload(self.at)).expect("a leaf holds locations")
    }
}

/// Calls `visit` with `entries` of `leaf` in order.
pub(super) fn each_of(leaf: &Block<'_>, entries: Range<usize>, mut visit: impl FnMut(Stored<'_>)) {
    entries.for_each(|at| visit(Stored { leaf, at }));
}

impl State {
    /// Calls `visit` with every entry in order whose key is in `from..until`.
    pub(super) fn walk(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        mut visit: impl FnMut(Stored<'_>),
    ) {
        let mut at = Some(from.to_vec());
        while let Some(key) = at.filter(|key| until.is_none_or(|until| *key.as_slice() < *until))
            && let Some(place) = self.tree.seek(Seek::At(&key))
        {
            self.tree.prefetch_after(&place);
            each_of(&place.leaf, place.leaf.span(Some(&key), until), &mut visit);
            at = place.upper();
        }
    }
}
