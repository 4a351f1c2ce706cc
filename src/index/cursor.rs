//! A place between two keys of a snapshot.

use super::inner::Inner;
use super::key::Probe;
use super::leaf::Leaf;
use super::node::Node;
use crate::sync::Arc;

/// A gap between entries of one leaf: `at` entries of it come before.
#[derive(Clone)]
pub(super) struct Cursor {
    /// From the root down to the leaf's parent, with the child taken at each.
    path: Vec<(Arc<Inner>, usize)>,
    pub(super) leaf: Arc<Leaf>,
    pub(super) at: usize,
}

impl Cursor {
    /// Before all keys.
    pub(super) fn first(root: &Node) -> Self {
        let (path, leaf) = descend(Vec::new(), root, |_| 0);
        Self { path, leaf, at: 0 }
    }

    /// After all keys.
    pub(super) fn last(root: &Node) -> Self {
        let (path, leaf) = descend(Vec::new(), root, Inner::last);
        let at = leaf.len();
        Self { path, leaf, at }
    }

    /// Before `key`.
    pub(super) fn before(root: &Node, key: &[u8]) -> Self {
        Self::seek(root, key, 0)
    }

    /// After `key`.
    pub(super) fn after(root: &Node, key: &[u8]) -> Self {
        Self::seek(root, key, 1)
    }

    fn seek(root: &Node, key: &[u8], past_match: usize) -> Self {
        let probe = Probe::new(key);
        let (path, leaf) = descend(Vec::new(), root, |inner| inner.route(probe));
        let at = leaf.keys.locate(probe).map_or_else(|at| at, |at| at + past_match);
        Self { path, leaf, at }
    }

    /// Moves to the start of the next leaf; false if there is none.
    pub(super) fn next_leaf(&mut self) -> bool {
        let moved = self.turn(|inner, at| (at < inner.last()).then_some(at + 1), |_| 0);
        self.at = 0;
        moved
    }

    /// Moves to the end of the leaf before; false if there is none.
    pub(super) fn previous_leaf(&mut self) -> bool {
        let moved = self.turn(|_, at| at.checked_sub(1), Inner::last);
        self.at = self.leaf.len();
        moved
    }

    /// Climbs to where the path can take the child that `aside` names, then goes down again.
    fn turn(
        &mut self,
        aside: impl Fn(&Inner, usize) -> Option<usize>,
        down: impl Fn(&Inner) -> usize,
    ) -> bool {
        while let Some((inner, at)) = self.path.pop() {
            if let Some(at) = aside(&inner, at) {
                let child = inner.children[at].clone();
                self.path.push((inner, at));
                let path = std::mem::take(&mut self.path);
                (self.path, self.leaf) = descend(path, &child, down);
                return true;
            }
        }
        false
    }
}

fn descend(
    mut path: Vec<(Arc<Inner>, usize)>,
    from: &Node,
    child: impl Fn(&Inner) -> usize,
) -> (Vec<(Arc<Inner>, usize)>, Arc<Leaf>) {
    let mut node = from;
    loop {
        match node {
            Node::Leaf(leaf) => return (path, leaf.clone()),
            Node::Inner(inner) => {
                let at = child(inner);
                path.push((inner.clone(), at));
                node = &inner.children[at];
            }
        }
    }
}
