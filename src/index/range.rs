//! Walking a snapshot from both ends.

use super::cursor::Cursor;
use super::key::Key;
use super::node::Node;
use crate::format::location::Location;
use crate::sync::Arc;
use std::iter::FusedIterator;
use std::ops::Bound;

/// The entries of a [`View`](super::View) between two bounds, in order from either end. Owns what
/// it walks.
pub(crate) struct Range {
    /// Never in a later leaf than `back`; in the same leaf, what lies between is still to come.
    front: Cursor,
    back: Cursor,
}

impl Range {
    pub(super) fn new(root: &Node, lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> Self {
        let front = match lower {
            Bound::Unbounded => Cursor::first(root),
            Bound::Included(key) => Cursor::before(root, key),
            Bound::Excluded(key) => Cursor::after(root, key),
        };
        let back = match upper {
            _ if is_inverted(lower, upper) => front.clone(),
            Bound::Unbounded => Cursor::last(root),
            Bound::Included(key) => Cursor::after(root, key),
            Bound::Excluded(key) => Cursor::before(root, key),
        };
        Self { front, back }
    }

    fn has_met(&self) -> bool {
        Arc::ptr_eq(&self.front.leaf, &self.back.leaf)
    }
}

impl Iterator for Range {
    type Item = (Key, Location);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let met = self.has_met();
            let end = if met { self.back.at } else { self.front.leaf.len() };
            if self.front.at < end {
                self.front.at += 1;
                return Some(self.front.leaf.entry(self.front.at - 1));
            }
            if met || !self.front.next_leaf() {
                return None;
            }
        }
    }
}

impl DoubleEndedIterator for Range {
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            let met = self.has_met();
            let start = if met { self.front.at } else { 0 };
            if self.back.at > start {
                self.back.at -= 1;
                return Some(self.back.leaf.entry(self.back.at));
            }
            if met || !self.back.previous_leaf() {
                return None;
            }
        }
    }
}

impl FusedIterator for Range {}

fn is_inverted(lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> bool {
    use Bound::{Excluded, Included};
    match (lower, upper) {
        (Included(lower) | Excluded(lower), Included(upper) | Excluded(upper)) => lower > upper,
        _ => false,
    }
}
