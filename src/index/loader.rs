//! Building a tree from entries in order.

use super::MAX_KEY_BYTES;
use super::arena::NodeId;
use super::block::Payload;
use super::draft::{Draft, MAX_BYTES, MIN_SPLIT_ENTRIES, separator};
use super::in_place;
use super::slice::CompactLeaf;
use super::tree::Tree;
use crate::format::location::Location;

/// Nodes are left with room, so that the first inserts do not split all of them.
const FULL_BYTES: usize = MAX_BYTES * 3 / 4;

/// A leaf shorter than this is not worth a node of its own.
const LEAST_BYTES: usize = MAX_BYTES / 4;

/// An entry does not come after the one before, or its key is too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Disorder;

/// Builds a tree bottom up.
#[derive(Default)]
pub(crate) struct Loader {
    tree: Tree,
    /// Entries that are not in a leaf yet.
    pending: Draft,
    /// Bytes of those entries, shared prefixes counted every time.
    pending_bytes: usize,
    /// How many of those bytes may make a whole leaf.
    leaf_bytes: usize,
    /// The last key of all, once there is one.
    last: Option<Vec<u8>>,
    /// The last key that is in a leaf.
    placed: Vec<u8>,
    levels: Vec<Level>,
}

/// An inner node under construction.
struct Level {
    /// The key it starts from, unless it is the first of its level.
    key: Vec<u8>,
    children: Draft,
}

impl Loader {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an entry above all others.
    ///
    /// # Errors
    ///
    /// If it is not above them.
    pub(crate) fn push(&mut self, key: &[u8], location: Location) -> Result<(), Disorder> {
        self.ascend_to(key)?;
        self.add(key, &location.pack());
        self.set_last(key);
        Ok(())
    }

    /// Adds a leaf above all entries, without looking at its own where possible.
    ///
    /// # Errors
    ///
    /// If it is not above them.
    pub(crate) fn push_leaf(&mut self, leaf: &CompactLeaf<'_>) -> Result<(), Disorder> {
        let first = leaf.first_key();
        self.ascend_to(&first)?;
        let block = leaf.block();
        let few_pending = !self.pending.is_empty() && self.pending_bytes < LEAST_BYTES;
        if few_pending || !is_worth_a_node(leaf) {
            (0..block.len()).for_each(|at| self.add(&block.key(at), block.payload(at)));
            if few_pending && self.pending_bytes >= LEAST_BYTES {
                self.place_pending();
            }
        } else {
            self.place_pending();
            let node = self.tree.arena.allocate(leaf.bytes().len());
            in_place::copy(leaf.bytes(), self.tree.arena.get_mut(node));
            self.place(&first, node);
            self.placed = leaf.last_key();
            self.tree.len += leaf.len() as u64;
        }
        self.set_last(&leaf.last_key());
        Ok(())
    }

    /// The tree of all that was added.
    pub(crate) fn finish(mut self) -> Tree {
        self.place_pending();
        for level in 0.. {
            let Some(Level { key, children }) = self.levels.get_mut(level) else { break };
            let (key, children) = (std::mem::take(key), std::mem::take(children));
            if children.is_empty() {
                self.tree.root = children.first_child;
                break;
            }
            let all = 0..children.len();
            let node = children.store(all, children.first_child, &mut self.tree.arena);
            self.attach(level + 1, key, node);
        }
        self.tree
    }

    fn ascend_to(&self, key: &[u8]) -> Result<(), Disorder> {
        let above = self.last.as_ref().is_none_or(|last| last.as_slice() < key);
        if above && key.len() <= MAX_KEY_BYTES { Ok(()) } else { Err(Disorder) }
    }

    fn set_last(&mut self, key: &[u8]) {
        let last = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(key);
    }

    fn add(&mut self, key: &[u8], payload: &Payload) {
        self.pending.push(key, payload);
        self.pending_bytes += key.len() + payload.len();
        if self.pending_bytes > self.leaf_bytes.max(FULL_BYTES) {
            let room = FULL_BYTES.saturating_sub(self.pending.bytes(0..self.pending.len()));
            if room == 0 && self.pending.len() >= MIN_SPLIT_ENTRIES {
                self.place_pending();
            } else {
                self.leaf_bytes = self.pending_bytes + room.max(FULL_BYTES / 8);
            }
        }
    }

    /// Makes leaves of the pending entries.
    fn place_pending(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            for part in pending.parts(false) {
                let (first, last) = (pending.key(part.start), pending.key(part.end - 1));
                let node = pending.store(part.clone(), None, &mut self.tree.arena);
                self.place(first, node);
                self.placed = last.to_vec();
            }
            self.tree.len += pending.len() as u64;
        }
        self.pending = pending;
        self.pending.clear(0);
        (self.pending_bytes, self.leaf_bytes) = (0, 0);
    }

    /// Adds a leaf whose first key is `first`.
    fn place(&mut self, first: &[u8], leaf: NodeId) {
        let key = if self.levels.is_empty() {
            Vec::new()
        } else {
            separator(&self.placed, first).to_vec()
        };
        self.attach(0, key, leaf);
    }

    /// Adds a node to the inner node under construction above it; starts another if that is full.
    fn attach(&mut self, level: usize, key: Vec<u8>, node: NodeId) {
        let Some(Level { key: start, children }) = self.levels.get_mut(level) else {
            let mut children = Draft::default();
            children.clear(level as u8 + 1);
            children.first_child = Some(node);
            return self.levels.push(Level { key, children });
        };
        children.push(&key, &node.to_bytes());
        let count = children.len();
        if count < MIN_SPLIT_ENTRIES || children.bytes(0..count) < FULL_BYTES {
            return;
        }
        // The last child stays, so that the next node separates something even if it is the last.
        let full = children.store(0..count - 2, children.first_child, &mut self.tree.arena);
        let lifted = children.key(count - 2).to_vec();
        children.first_child = Some(children.child(count - 2));
        children.drain(count - 1);
        let key = std::mem::replace(start, lifted);
        self.attach(level + 1, key, full);
    }
}

fn is_worth_a_node(leaf: &CompactLeaf<'_>) -> bool {
    let bytes = leaf.bytes().len();
    bytes >= LEAST_BYTES && (bytes <= MAX_BYTES || leaf.len() < MIN_SPLIT_ENTRIES)
}
