//! Leaves in order, found by key each time: nothing has to stay in place between two steps.

use super::arena::NodeId;
use super::block::Block;
use super::prefetch::prefetch;
use super::tree::Tree;

/// Which leaf to go to.
#[derive(Clone, Copy)]
pub(super) enum Seek<'a> {
    /// The one that `key` belongs to.
    At(&'a [u8]),
    /// The one that the keys right below `key` belong to.
    Below(&'a [u8]),
    Last,
}

/// A leaf, and the separators around it: `lower <= key < upper` of all keys that belong to it.
pub(super) struct Place<'a> {
    pub(super) node: NodeId,
    pub(super) leaf: Block<'a>,
    lower: Option<(Block<'a>, usize)>,
    upper: Option<(Block<'a>, usize)>,
    parent: Option<(Block<'a>, usize)>,
}

impl Place<'_> {
    /// The separator to the leaf before; `None` if there is none.
    pub(super) fn lower(&self) -> Option<Vec<u8>> {
        self.lower.map(|(block, at)| block.key(at))
    }

    /// The separator to the leaf after; `None` if there is none.
    pub(super) fn upper(&self) -> Option<Vec<u8>> {
        self.upper.map(|(block, at)| block.key(at))
    }
}

impl Tree {
    pub(super) fn seek(&self, to: Seek<'_>) -> Option<Place<'_>> {
        let (mut lower, mut upper, mut parent) = (None, None, None);
        let mut node = self.root?;
        let mut block = self.block(node);
        while block.level() > 0 {
            let rank = match to {
                Seek::At(key) => block.route(key),
                Seek::Below(key) => block.locate(key).unwrap_or_else(|at| at),
                Seek::Last => block.len(),
            };
            if rank > 0 {
                lower = Some((block, rank - 1));
            }
            if rank < block.len() {
                upper = Some((block, rank));
            }
            parent = Some((block, rank));
            node = block.child(rank);
            block = self.block(node);
        }
        Some(Place { node, leaf: block, lower, upper, parent })
    }

    /// Calls `visit` with every leaf in order.
    pub(super) fn each_leaf(&self, visit: &mut impl FnMut(&Block<'_>)) {
        if let Some(root) = self.root {
            self.each_leaf_below(root, visit);
        }
    }

    fn each_leaf_below(&self, node: NodeId, visit: &mut impl FnMut(&Block<'_>)) {
        let block = self.block(node);
        if block.level() == 0 {
            return visit(&block);
        }
        (0..=block.len()).for_each(|rank| self.each_leaf_below(block.child(rank), visit));
    }

    /// The leaf after `place`, if its parent leads to it as well; else nothing.
    pub(super) fn after(&self, place: &Place<'_>) -> &[u8] {
        match place.parent {
            Some((parent, rank)) if rank < parent.len() => self.arena.get(parent.child(rank + 1)),
            _ => &[],
        }
    }

    /// Starts to fetch that leaf into the cache, all of it at once, where reading it in order
    /// would wait for one part after another.
    pub(super) fn prefetch_after(&self, place: &Place<'_>) {
        prefetch(self.after(place));
    }
}
