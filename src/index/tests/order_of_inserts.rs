//! How full leaves are after inserts in one order or another, and after removes.

use super::random::Random;
use super::{Index, filled, key};
use crate::index::load::MAX_ENTRIES;
use crate::index::node::Node;

const COUNT: u64 = 50_000;

fn leaves(node: &Node) -> usize {
    match node {
        Node::Leaf(_) => 1,
        Node::Inner(inner) => inner.children.iter().map(leaves).sum(),
    }
}

/// Share of the room in leaves that is used, in percent.
fn fill(index: &Index) -> u64 {
    index.check();
    let room = leaves(&index.view().tree.root) * MAX_ENTRIES;
    index.len() * 100 / room as u64
}

#[test]
fn ascending_inserts_fill_their_leaves() {
    assert!(fill(&filled(0..COUNT)) > 95);
}

#[test]
fn descending_inserts_leave_half_full_leaves_at_least() {
    assert!(fill(&filled((0..COUNT).rev())) >= 49);
}

#[test]
fn random_inserts_leave_two_thirds_full_leaves() {
    let mut random = Random::new(3);
    assert!(fill(&filled((0..COUNT).map(|_| random.next()))) > 62);
}

#[test]
fn removes_do_not_leave_a_hollow_tree() {
    let index = filled(0..COUNT);
    for number in (0..COUNT).filter(|number| number % 50 != 0) {
        index.edit(|edit| edit.remove(&key(number)));
    }
    assert_eq!(index.len(), COUNT / 50);
    assert!(fill(&index) >= 25);
}

#[test]
fn a_queue_keeps_its_tree_small() {
    let index = filled(0..1000);
    for number in 1000..COUNT {
        super::put(&index, &key(number), number);
        index.edit(|edit| edit.remove(&key(number - 1000)));
    }
    assert_eq!(index.len(), 1000);
    assert!(fill(&index) >= 50);
}

#[test]
fn an_emptied_tree_is_one_leaf() {
    let index = filled(0..COUNT);
    for number in (0..COUNT).rev() {
        index.edit(|edit| edit.remove(&key(number)));
    }
    index.check();
    assert!(matches!(index.view().tree.root, Node::Leaf(_)));
}
