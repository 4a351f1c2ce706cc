//! Edits copy the path that a view shares, and nothing else.

use super::{filled, key, put};
use crate::index::Index;
use crate::index::node::Node;
use crate::sync::Arc;
use std::collections::BTreeSet;

fn nodes(index: &Index) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    collect(&index.view().tree.root, &mut found);
    found
}

fn collect(node: &Node, found: &mut BTreeSet<usize>) {
    match node {
        Node::Leaf(leaf) => drop(found.insert(Arc::as_ptr(leaf).addr())),
        Node::Inner(inner) => {
            found.insert(Arc::as_ptr(inner).addr());
            inner.children.iter().for_each(|child| collect(child, found));
        }
    }
}

fn height(index: &Index) -> usize {
    let mut height = 1;
    let mut node = index.view().tree.root;
    while let Node::Inner(inner) = &node {
        height += 1;
        let child = inner.children[0].clone();
        node = child;
    }
    height
}

#[test]
fn an_edit_is_in_place_when_no_view_is_held() {
    let index = filled(0..10_000);
    let before = nodes(&index);
    put(&index, &key(4321), 1);
    assert_eq!(nodes(&index), before);
}

#[test]
fn an_edit_copies_one_path_when_a_view_is_held() {
    let index = filled(0..10_000);
    let before = nodes(&index);
    let view = index.view();
    put(&index, &key(4321), 1);
    put(&index, &key(4321), 2);
    assert_eq!(nodes(&index).difference(&before).count(), height(&index));
    drop(view);
}

#[test]
fn removing_what_is_not_there_copies_nothing() {
    let index = filled(0..10_000);
    let before = nodes(&index);
    let view = index.view();
    assert_eq!(index.edit(|edit| edit.remove(b"absent")), None);
    assert_eq!(nodes(&index), before);
    drop(view);
}
