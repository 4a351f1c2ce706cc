//! A tree of blocks: get, insert, remove.

use super::MAX_KEY_BYTES;
use super::arena::{Arena, NodeId, STEP_BYTES};
use super::block::{Block, Layout, Payload};
use super::draft::{Draft, MAX_BYTES, MIN_SPLIT_ENTRIES, separator};
use super::in_place;
use super::prefetch::prefetch;
use std::ops::Range;

/// A node that holds fewer bytes than this joins a neighbour.
const MIN_BYTES: usize = MAX_BYTES / 4;

/// Most bytes of two nodes that join, so that they do not soon split again.
const JOINED_BYTES: usize = MAX_BYTES * 3 / 4;

/// A block with this much slack moves to a shorter one; less would make it move back and forth.
const MOST_SLACK: usize = 2 * STEP_BYTES;

/// Keys and payloads in order.
#[derive(Default)]
pub(crate) struct Tree {
    pub(super) arena: Arena,
    pub(super) root: Option<NodeId>,
    pub(super) len: u64,
    /// Blocks that an operation under way has replaced. They stay where they are until it ends,
    /// so that it can rely on where others are.
    garbage: Vec<NodeId>,
    draft: Draft,
    /// A block on its way to another.
    copied: Vec<u8>,
}

/// An inner node on the way down, and the child taken.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) node: NodeId,
    pub(super) rank: usize,
}

/// Nodes that replace one: the first, and the others with the keys they start from.
struct Nodes {
    first: NodeId,
    more: Vec<(Vec<u8>, NodeId)>,
}

impl Tree {
    pub(super) fn block(&self, node: NodeId) -> Block<'_> {
        Block::new(self.arena.get(node))
    }

    /// The leaf that `key` belongs to. Does not look at the leaf itself.
    #[inline]
    fn leaf_of(&self, key: &[u8]) -> Option<NodeId> {
        let mut node = self.root?;
        for _ in 0..self.block(node).level() {
            let block = self.block(node);
            node = block.child(block.route(key));
        }
        Some(node)
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Payload> {
        let leaf = self.block(self.leaf_of(key)?);
        leaf.locate(key).ok().map(|at| *leaf.payload(at))
    }

    /// Sets what `key` maps to; returns what it did.
    pub(super) fn insert(&mut self, key: &[u8], payload: &Payload) -> Option<Payload> {
        self.alter(key, |_| Some(*payload))
    }

    /// Inserts only where nothing is; whether it did.
    pub(super) fn insert_new(&mut self, key: &[u8], payload: &Payload) -> bool {
        self.alter(key, |old| old.is_none().then_some(*payload)).is_none()
    }

    /// Maps `key` to what `decide` makes of what it maps to, `None` to leave it; returns what it mapped to.
    #[inline]
    pub(super) fn alter(
        &mut self,
        key: &[u8],
        decide: impl FnOnce(Option<&Payload>) -> Option<Payload>,
    ) -> Option<Payload> {
        assert!(key.len() <= MAX_KEY_BYTES, "a key of {} bytes", key.len());
        let Some(leaf) = self.leaf_of(key) else {
            self.plant(key, &decide(None)?);
            return None;
        };
        // Inserting moves half of it.
        prefetch(self.arena.get(leaf));
        self.alter_in(leaf, key, decide).0
    }

    /// As [`alter`](Self::alter), where `key` belongs to `leaf`; and whether all leaves stay where they are.
    #[inline]
    pub(super) fn alter_in(
        &mut self,
        leaf: NodeId,
        key: &[u8],
        decide: impl FnOnce(Option<&Payload>) -> Option<Payload>,
    ) -> (Option<Payload>, bool) {
        let block = self.arena.get_mut(leaf);
        match Block::new(block).locate(key) {
            Ok(at) => {
                let old = *Block::new(block).payload(at);
                if let Some(payload) = decide(Some(&old)) {
                    in_place::replace(block, at, &payload);
                }
                (Some(old), true)
            }
            Err(at) => {
                let Some(payload) = decide(None) else { return (None, true) };
                self.len += 1;
                let stays = in_place::insert(block, at, key, &payload);
                if !stays {
                    self.insert_in_other_block(leaf, at, key, &payload);
                }
                (None, stays)
            }
        }
    }

    fn plant(&mut self, key: &[u8], payload: &Payload) {
        self.draft.clear(0);
        self.draft.push(key, payload);
        self.root = Some(self.store(0..1, None));
        self.len = 1;
    }

    /// Forgets `key`; returns what it mapped to.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Payload> {
        let leaf = self.leaf_of(key)?;
        let block = self.arena.get_mut(leaf);
        let at = Block::new(block).locate(key).ok()?;
        let old = *Block::new(block).payload(at);
        in_place::remove(block, at);
        self.len -= 1;
        if Fill::of(self.block(leaf)) != Fill::Good {
            let path = self.path_to(key);
            self.settle(&path, leaf);
            self.collect();
        }
        Some(old)
    }

    /// The inner nodes above the leaf that `key` belongs to.
    fn path_to(&self, key: &[u8]) -> Vec<Step> {
        let mut path = Vec::with_capacity(8);
        let Some(mut node) = self.root else { return path };
        loop {
            let block = self.block(node);
            if block.level() == 0 {
                return path;
            }
            let rank = block.route(key);
            path.push(Step { node, rank });
            node = block.child(rank);
        }
    }

    /// Whether a new last entry of the node below `path` is the last of the tree.
    fn is_right_edge(&self, path: &[Step]) -> bool {
        path.iter().all(|step| step.rank == self.block(step.node).len())
    }

    /// Inserts where the leaf has no room, or has it only for keys more like its own.
    fn insert_in_other_block(&mut self, leaf: NodeId, at: usize, key: &[u8], payload: &Payload) {
        let path = self.path_to(key);
        let nodes = match self.grow(leaf, at, key, payload) {
            Some(grown) => Nodes { first: grown, more: Vec::new() },
            None => {
                let block = Block::new(self.arena.get(leaf));
                let full_left = at == block.len() && self.is_right_edge(&path);
                self.draft.clear(0);
                self.draft.push_entries(&block, 0..at);
                self.draft.push(key, payload);
                self.draft.push_entries(&block, at..block.len());
                self.store_parts(full_left)
            }
        };
        self.garbage.push(leaf);
        self.replace(&path, nodes);
        self.collect();
    }

    /// Copies `node` to a longer block and inserts there, if that is all it takes.
    fn grow(&mut self, node: NodeId, at: usize, key: &[u8], payload: &[u8]) -> Option<NodeId> {
        let bytes = in_place::bytes_with(self.arena.get(node), key)?;
        if bytes > MAX_BYTES {
            return None;
        }
        let grown = self.copy(node, bytes);
        let inserted = in_place::insert(self.arena.get_mut(grown), at, key, payload);
        debug_assert!(inserted, "the longer block has room");
        Some(grown)
    }

    /// A copy of `node` in a block for `bytes`.
    fn copy(&mut self, node: NodeId, bytes: usize) -> NodeId {
        let copy = self.arena.allocate(bytes);
        self.copied.clear();
        self.copied.extend_from_slice(self.arena.get(node));
        in_place::copy(&self.copied, self.arena.get_mut(copy));
        self.copied.shrink_to(MAX_BYTES);
        copy
    }

    /// Makes a node of `entries` of the draft.
    fn store(&mut self, entries: Range<usize>, first_child: Option<NodeId>) -> NodeId {
        self.draft.store(entries, first_child, &mut self.arena)
    }

    /// Makes as many nodes as it takes of the draft.
    fn store_parts(&mut self, full_left: bool) -> Nodes {
        let parts = self.draft.parts(full_left);
        self.store_as(&parts)
    }

    fn store_as(&mut self, parts: &[Range<usize>]) -> Nodes {
        let first = self.store(parts[0].clone(), self.draft.first_child);
        let mut more = Vec::new();
        for part in &parts[1..] {
            let lifted = part.start - 1;
            let (key, first_child) = if self.draft.level == 0 {
                (separator(self.draft.key(lifted), self.draft.key(part.start)), None)
            } else {
                (self.draft.key(lifted), Some(self.draft.child(lifted)))
            };
            let key = key.to_vec();
            more.push((key, self.store(part.clone(), first_child)));
        }
        Nodes { first, more }
    }

    /// Puts `nodes` where the path ends, in place of what is there. New nodes after the first
    /// may make those above it split.
    fn replace(&mut self, path: &[Step], mut nodes: Nodes) {
        for &Step { node, rank } in path.iter().rev() {
            in_place::set_child(self.arena.get_mut(node), rank, nodes.first);
            match self.insert_children(node, rank, nodes.more) {
                None => return,
                Some(replacement) => nodes = replacement,
            }
            self.garbage.push(node);
        }
        while !nodes.more.is_empty() {
            self.draft.clear(self.block(nodes.first).level() + 1);
            self.draft.first_child = Some(nodes.first);
            for (key, child) in &nodes.more {
                self.draft.push(key, &child.to_bytes());
            }
            nodes = self.store_parts(false);
        }
        self.root = Some(nodes.first);
    }

    /// Adds children after child `rank` of `node`; returns what it must be replaced by, if it
    /// must.
    fn insert_children(
        &mut self,
        node: NodeId,
        rank: usize,
        children: Vec<(Vec<u8>, NodeId)>,
    ) -> Option<Nodes> {
        if children.is_empty() {
            return None;
        }
        if let [(key, child)] = &children[..] {
            if in_place::insert(self.arena.get_mut(node), rank, key, &child.to_bytes()) {
                return None;
            }
            if let Some(first) = self.grow(node, rank, key, &child.to_bytes()) {
                return Some(Nodes { first, more: Vec::new() });
            }
        }
        let block = Block::new(self.arena.get(node));
        let ascending = rank == block.len();
        self.draft.clear(block.level());
        self.draft.first_child = Some(block.child(0));
        self.draft.push_entries(&block, 0..rank);
        for (key, child) in &children {
            self.draft.push(key, &child.to_bytes());
        }
        self.draft.push_entries(&block, rank..block.len());
        Some(self.store_parts(ascending))
    }

    /// Brings a node that lost an entry back within the rules, and those above it.
    fn settle(&mut self, path: &[Step], node: NodeId) {
        let Some((&parent, above)) = path.split_last() else {
            return self.settle_root(node);
        };
        let block = self.block(node);
        match Fill::of(block) {
            Fill::Good => {}
            Fill::Slack => {
                let bytes = block.used();
                let shorter = self.copy(node, bytes);
                self.garbage.push(node);
                in_place::set_child(self.arena.get_mut(parent.node), parent.rank, shorter);
            }
            Fill::Low => self.join(parent, above),
        }
    }

    fn settle_root(&mut self, node: NodeId) {
        let block = self.block(node);
        if block.len() == 0 {
            self.root = (block.level() > 0).then(|| block.child(0));
            self.garbage.push(node);
        } else if block.layout().bytes - block.used() >= MOST_SLACK {
            let bytes = block.used();
            self.root = Some(self.copy(node, bytes));
            self.garbage.push(node);
        }
    }

    /// Joins the child that `parent` leads to with a neighbour, or evens the two out.
    fn join(&mut self, parent: Step, above: &[Step]) {
        let rank = parent.rank.max(1) - 1;
        let block = self.block(parent.node);
        let (left, right) = (block.child(rank), block.child(rank + 1));
        let between = block.key(rank);
        self.draft_both(left, &between, right);
        self.garbage.extend([left, right]);
        in_place::remove(self.arena.get_mut(parent.node), rank);
        let all = 0..self.draft.len();
        let joins = all.len() < MIN_SPLIT_ENTRIES || self.draft.bytes(all.clone()) <= JOINED_BYTES;
        if joins {
            let joined = self.store(all, self.draft.first_child);
            in_place::set_child(self.arena.get_mut(parent.node), rank, joined);
            self.settle(above, parent.node);
        } else {
            let (left, right) = self.draft.halves(all);
            let nodes = self.store_as(&[left, right]);
            let path = [above, &[Step { node: parent.node, rank }]].concat();
            self.replace(&path, nodes);
        }
    }

    /// Drafts a node of what two neighbours hold.
    fn draft_both(&mut self, left: NodeId, between: &[u8], right: NodeId) {
        let (left, right) = (Block::new(self.arena.get(left)), Block::new(self.arena.get(right)));
        self.draft.clear(left.level());
        if left.level() > 0 {
            self.draft.first_child = Some(left.child(0));
        }
        self.draft.push_entries(&left, 0..left.len());
        if left.level() > 0 {
            self.draft.push(between, &right.child(0).to_bytes());
        }
        self.draft.push_entries(&right, 0..right.len());
    }

    /// Frees what an operation replaced. From the last slot down, so that what moves into a hole
    /// is never garbage itself.
    fn collect(&mut self) {
        self.garbage.sort_unstable();
        while let Some(hole) = self.garbage.pop() {
            if let Some(moved) = self.arena.free(hole) {
                self.repoint(moved, hole);
            }
        }
    }

    /// Makes the parent of a node that moved `from` one place to another point there.
    fn repoint(&mut self, from: NodeId, to: NodeId) {
        if self.root == Some(from) {
            self.root = Some(to);
            return;
        }
        let key = self.block(to).key(0);
        let mut node = self.root.expect("a tree with nodes has a root");
        loop {
            let block = self.block(node);
            let rank = block.route(&key);
            let child = block.child(rank);
            if child == from {
                return in_place::set_child(self.arena.get_mut(node), rank, to);
            }
            assert!(block.level() > 1, "a node's first key leads to it");
            node = child;
        }
    }

    /// The most that slices of all of it take, their heads apart.
    pub(super) fn compact_bytes(&self) -> u64 {
        if self.arena.blocks().count() > COUNTED_ONE_BY_ONE {
            // Inner nodes, and what leaves have of slack, are little beside the whole.
            return self.arena.used_bytes() as u64;
        }
        let leaves = self.arena.blocks().map(Block::new).filter(|block| block.level() == 0);
        leaves.map(|leaf| leaf.used() as u64).sum()
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        (self.arena.memory_bytes() + size_of::<Self>()) as u64
    }
}

/// Blocks up to which it is worth looking at each to know what all of them hold.
const COUNTED_ONE_BY_ONE: usize = 256;

/// How well a node fills its block, and the tree.
#[derive(PartialEq, Eq)]
enum Fill {
    Good,
    /// The block could be shorter.
    Slack,
    /// The node holds too little.
    Low,
}

impl Fill {
    fn of(block: Block<'_>) -> Self {
        let used = block.used();
        let Layout { bytes: len, count, .. } = *block.layout();
        if count == 0 || used < MIN_BYTES {
            Self::Low
        } else if len - used >= MOST_SLACK {
            Self::Slack
        } else {
            Self::Good
        }
    }
}
