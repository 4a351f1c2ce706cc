//! A node of the tree, shared with the views that show it.

use super::inner::Inner;
use super::key::{Key, Probe};
use super::keys::Cut;
use super::leaf::Leaf;
use super::load::Load;
use crate::format::location::Location;
use crate::sync::Arc;

/// Changes go through `Arc::make_mut`: in place when no view shares the node, else to a copy,
/// which shares all children.
#[derive(Clone)]
pub(super) enum Node {
    Leaf(Arc<Leaf>),
    Inner(Arc<Inner>),
}

impl Node {
    pub(super) fn load(&self) -> Load {
        match self {
            Self::Leaf(leaf) => leaf.keys.load(),
            Self::Inner(inner) => inner.separators.load(),
        }
    }

    pub(super) fn insert(
        &mut self,
        probe: Probe<'_>,
        location: Location,
        edge: bool,
    ) -> Option<Location> {
        match self {
            Self::Leaf(leaf) => Arc::make_mut(leaf).insert(probe, location),
            Self::Inner(inner) => Arc::make_mut(inner).insert(probe, location, edge),
        }
    }

    pub(super) fn remove(&mut self, probe: Probe<'_>) -> Option<Location> {
        match self {
            Self::Leaf(leaf) => Arc::make_mut(leaf).remove(probe),
            Self::Inner(inner) => Arc::make_mut(inner).remove(probe),
        }
    }

    pub(super) fn split(&mut self, cut: Cut) -> (Key, Node) {
        match self {
            Self::Leaf(leaf) => {
                let (between, right) = Arc::make_mut(leaf).split(cut);
                (between, Self::Leaf(Arc::new(right)))
            }
            Self::Inner(inner) => {
                let (between, right) = Arc::make_mut(inner).split(cut);
                (between, Self::Inner(Arc::new(right)))
            }
        }
    }

    /// Takes over what `right`, the next node of the level, holds.
    pub(super) fn append(&mut self, between: Key, right: Node) {
        match (self, right) {
            (Self::Leaf(left), Self::Leaf(right)) => {
                Arc::make_mut(left).append(Arc::unwrap_or_clone(right));
            }
            (Self::Inner(left), Self::Inner(right)) => {
                Arc::make_mut(left).append(between, Arc::unwrap_or_clone(right));
            }
            _ => unreachable!("neighbours are of one level"),
        }
    }
}
