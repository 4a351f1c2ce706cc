//! Whether a tree is what it should be.

use super::Index;
use super::arena::NodeId;
use super::block::{Block, Payload};
use super::pin::{Pin, Released};
use super::state::located;
use super::tree::Tree;
use super::validate::validate;

impl Index {
    /// Panics if the structure is broken.
    pub(super) fn check(&self) {
        let state = self.shared.state.read();
        state.tree.check();
        state.tree.each(&mut |_, payload| assert!(located(payload).is_some(), "a location"));
        state.pins.iter().for_each(Pin::check);
        assert!(state.pins.iter().is_sorted_by(|older, newer| older.id < newer.id));
    }

    /// What the overlays of all pins hold.
    pub(super) fn kept(&self) -> Vec<Released> {
        let state = self.shared.state.read();
        let mut kept = Vec::new();
        for pin in &state.pins {
            pin.overlay.each_leaf(&mut |leaf| kept.extend(Released::all_of(leaf)));
        }
        kept
    }

    /// Leaves, and the bytes of their blocks.
    pub(super) fn leaves(&self) -> (usize, usize) {
        let state = self.shared.state.read();
        let mut found = (0, 0);
        state.tree.each_leaf(&mut |leaf| {
            found.0 += 1;
            found.1 += leaf.layout().bytes;
        });
        found
    }
}

impl Pin {
    fn check(&self) {
        self.overlay.check();
        let mut held_bytes = 0;
        self.overlay.each(&mut |key, payload| {
            if let Some(location) = located(payload) {
                held_bytes += key.len() as u64 + u64::from(location.value_len());
            }
        });
        assert_eq!(held_bytes, self.held_bytes, "bytes that the pin holds");
    }
}

/// What a node's place in the tree asks of it: `lower <= key < upper` of all keys below.
#[derive(Clone)]
struct Bounds {
    lower: Option<Vec<u8>>,
    upper: Option<Vec<u8>>,
}

impl Bounds {
    fn admits(&self, key: &[u8]) -> bool {
        self.lower.as_deref().is_none_or(|lower| lower <= key)
            && self.upper.as_deref().is_none_or(|upper| key < upper)
    }
}

#[derive(Default)]
struct Count {
    entries: u64,
    blocks: usize,
    bytes: usize,
}

impl Tree {
    pub(super) fn check(&self) {
        let mut count = Count::default();
        if let Some(root) = self.root {
            self.check_node(root, Bounds { lower: None, upper: None }, &mut count);
        }
        assert_eq!(count.entries, self.len, "exact len");
        assert_eq!(self.root.is_none(), self.len == 0, "an empty tree has no nodes");
        assert_eq!((count.blocks, count.bytes), self.arena.in_use(), "every block is reachable");
        assert!(count.bytes as u64 <= self.memory_bytes());
    }

    fn check_node(&self, node: NodeId, bounds: Bounds, count: &mut Count) {
        let block = self.block(node);
        count.blocks += 1;
        count.bytes += block.layout().bytes;
        check_block(&block, self.arena.get(node).len());
        let keys: Vec<_> = (0..block.len()).map(|at| block.key(at)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "keys ascend");
        assert!(keys.iter().all(|key| bounds.admits(key)), "keys within separators");
        if block.level() == 0 {
            count.entries += keys.len() as u64;
            return;
        }
        for rank in 0..=keys.len() {
            let child = block.child(rank);
            assert_eq!(self.block(child).level() + 1, block.level(), "even height");
            let lower = if rank == 0 { bounds.lower.clone() } else { Some(keys[rank - 1].clone()) };
            let upper = keys.get(rank).cloned().or_else(|| bounds.upper.clone());
            self.check_node(child, Bounds { lower, upper }, count);
        }
    }

    /// Calls `visit` with all entries in order.
    pub(super) fn each(&self, visit: &mut impl FnMut(&[u8], &Payload)) {
        self.each_leaf(&mut |leaf| {
            (0..leaf.len()).for_each(|at| visit(&leaf.key(at), leaf.payload(at)));
        });
    }
}

fn check_block(block: &Block<'_>, room: usize) {
    let layout = *block.layout();
    assert_eq!(layout.bytes, room, "a block knows its length");
    assert!(block.len() > 0, "no empty node");
    assert!(block.used() <= room, "entries fit");
    if block.level() == 0 {
        let mut compact = Vec::new();
        block.write_compact(&mut compact);
        let whole = (0..block.len()).all(|at| located(block.payload(at)).is_some());
        assert_eq!(validate(&compact), whole, "a leaf is what checkpoints store");
    }
}
