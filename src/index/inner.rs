//! An inner node: children, and the keys that separate them.

use super::key::{Key, Probe};
use super::keys::{Cut, Keys, append_tight, insert_tight, split_tight};
use super::node::Node;
use crate::format::location::Location;

#[derive(Clone)]
pub(super) struct Inner {
    /// `separators[i]` is above all keys of `children[i]` and not above those of
    /// `children[i + 1]`.
    pub(super) separators: Keys,
    pub(super) children: Vec<Node>,
}

impl Inner {
    /// A root above `child`, which is about to split.
    pub(super) fn above(child: Node) -> Self {
        Self { separators: Keys::default(), children: vec![child] }
    }

    /// Index of the child that `probe` belongs to.
    pub(super) fn route(&self, probe: Probe<'_>) -> usize {
        match self.separators.locate(probe) {
            Ok(at) => at + 1,
            Err(at) => at,
        }
    }

    pub(super) fn last(&self) -> usize {
        self.separators.len()
    }

    /// `edge` says that the node is the last of its level.
    pub(super) fn insert(
        &mut self,
        probe: Probe<'_>,
        location: Location,
        edge: bool,
    ) -> Option<Location> {
        let at = self.route(probe);
        let edge = edge && at == self.last();
        let old = self.children[at].insert(probe, location, edge);
        self.split_if_over(at, Cut::at_edge(edge));
        old
    }

    pub(super) fn remove(&mut self, probe: Probe<'_>) -> Option<Location> {
        let at = self.route(probe);
        let old = self.children[at].remove(probe);
        let joined = self.join_if_under(at);
        self.split_if_over(joined, Cut::Even);
        old
    }

    pub(super) fn split_if_over(&mut self, at: usize, cut: Cut) {
        if self.children[at].load().is_over() {
            let (between, right) = self.children[at].split(cut);
            self.separators.insert(at, between);
            insert_tight(&mut self.children, at + 1, right);
        }
    }

    /// Joins child `at` with a neighbour if it holds too little for a node, even when the two
    /// are too much for one: splitting them again is what evens them out. Returns where the
    /// child is now.
    fn join_if_under(&mut self, at: usize) -> usize {
        if !self.children[at].load().is_under() {
            return at;
        }
        let left = at.saturating_sub(1);
        let between = self.separators.remove(left);
        let right = self.children.remove(left + 1);
        self.children[left].append(between, right);
        left
    }

    /// Moves the right part to a node of its own; returns it with the key that separates it.
    pub(super) fn split(&mut self, cut: Cut) -> (Key, Inner) {
        let at = self.separators.cut(cut, 1);
        let separators = self.separators.split_off(at + 1);
        let between = self.separators.remove(at);
        (between, Inner { separators, children: split_tight(&mut self.children, at + 1) })
    }

    pub(super) fn append(&mut self, between: Key, right: Inner) {
        self.separators.push(between);
        self.separators.append(right.separators);
        append_tight(&mut self.children, right.children);
    }
}
