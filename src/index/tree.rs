//! The tree: a root and a count.

use super::MAX_KEY_BYTES;
use super::inner::Inner;
use super::key::Probe;
use super::keys::Cut;
use super::leaf::Leaf;
use super::node::Node;
use crate::format::location::Location;
use crate::sync::Arc;

/// A clone shares all nodes.
#[derive(Clone)]
pub(super) struct Tree {
    pub(super) root: Node,
    len: u64,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self { root: Node::Leaf(Arc::default()), len: 0 }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Location> {
        let probe = Probe::new(key);
        self.leaf_of(probe).get(probe)
    }

    pub(super) fn insert(&mut self, key: &[u8], location: Location) -> Option<Location> {
        assert!(key.len() <= MAX_KEY_BYTES, "a key of {} bytes", key.len());
        let old = self.root.insert(Probe::new(key), location, true);
        self.len += u64::from(old.is_none());
        self.raise(Cut::FullLeft);
        old
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Location> {
        // A miss must not copy nodes that a view shares.
        self.get(key)?;
        let old = self.root.remove(Probe::new(key));
        self.len -= 1;
        self.raise(Cut::Even);
        self.lower();
        old
    }

    fn leaf_of(&self, probe: Probe<'_>) -> &Leaf {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return leaf,
                Node::Inner(inner) => node = &inner.children[inner.route(probe)],
            }
        }
    }

    /// Puts a new root above one that must split. A remove can come to that too, when nodes are
    /// evened out around a longer separator.
    fn raise(&mut self, cut: Cut) {
        if self.root.load().is_over() {
            let mut root = Inner::above(self.root.clone());
            root.split_if_over(0, cut);
            self.root = Node::Inner(Arc::new(root));
        }
    }

    /// Drops a root that has nothing to separate.
    fn lower(&mut self) {
        if let Node::Inner(inner) = &self.root
            && let [only] = &inner.children[..]
        {
            self.root = only.clone();
        }
    }
}
