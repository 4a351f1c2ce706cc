//! Whether a tree is what it should be.

use super::inner::Inner;
use super::leaf::Leaf;
use super::node::Node;
use super::tree::Tree;
use super::{Index, View};

impl Index {
    /// Panics if the structure is broken.
    pub(super) fn check(&self) {
        self.view().check();
    }
}

impl View {
    pub(super) fn check(&self) {
        self.tree.check();
    }
}

impl Tree {
    fn check(&self) {
        let entries =
            check_node(&self.root, Place { lower: None, upper: None, root: true }).entries;
        assert_eq!(entries, self.len(), "exact len");
    }
}

/// What a node's place in the tree asks of it: `lower <= key < upper` of all keys below.
#[derive(Clone, Copy)]
struct Place<'a> {
    lower: Option<&'a [u8]>,
    upper: Option<&'a [u8]>,
    root: bool,
}

impl Place<'_> {
    fn admits(&self, key: &[u8]) -> bool {
        self.lower.is_none_or(|lower| lower <= key) && self.upper.is_none_or(|upper| key < upper)
    }
}

#[derive(Clone, Copy)]
struct Found {
    height: usize,
    entries: u64,
}

fn check_node(node: &Node, place: Place<'_>) -> Found {
    assert!(!node.load().is_over(), "a node within its limits");
    match node {
        Node::Leaf(leaf) => check_leaf(leaf, place),
        Node::Inner(inner) => check_inner(inner, place),
    }
}

fn check_leaf(leaf: &Leaf, place: Place<'_>) -> Found {
    leaf.keys.check();
    assert_eq!(leaf.keys.len(), leaf.locations.len());
    assert!((0..leaf.len()).all(|at| place.admits(leaf.keys.get(at))), "keys within separators");
    assert!(place.root || leaf.len() > 0, "no empty leaf");
    // The last leaf starts small when ascending inserts split it off.
    let may_be_small = place.upper.is_none();
    assert!(may_be_small || !leaf.keys.load().is_under(), "a leaf at least a quarter full");
    Found { height: 0, entries: leaf.len() as u64 }
}

fn check_inner(inner: &Inner, place: Place<'_>) -> Found {
    inner.separators.check();
    let last = inner.separators.len();
    assert!(last > 0, "an inner node separates something");
    assert_eq!(inner.children.len(), last + 1);
    assert!((0..last).all(|at| place.admits(inner.separators.get(at))), "nested separators");
    let found: Vec<Found> = (0..=last)
        .map(|at| {
            let lower = if at == 0 { place.lower } else { Some(&**inner.separators.get(at - 1)) };
            let upper = if at == last { place.upper } else { Some(&**inner.separators.get(at)) };
            check_node(&inner.children[at], Place { lower, upper, root: false })
        })
        .collect();
    assert!(found.iter().all(|child| child.height == found[0].height), "even height");
    Found { height: found[0].height + 1, entries: found.iter().map(|child| child.entries).sum() }
}
