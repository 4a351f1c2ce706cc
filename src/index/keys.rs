//! A sorted run of keys.

use super::key::{Key, Probe, head};
use super::load::Load;

/// The keys of a leaf or the separators of an inner node, ascending.
#[derive(Clone, Default)]
pub(super) struct Keys {
    /// Searched first: they lie side by side, while each key is a cache miss away.
    heads: Vec<u64>,
    keys: Vec<Key>,
    bytes: usize,
}

/// Where to cut an overfull node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Into two of like weight.
    Even,
    /// Leave as much as may stay on the left: at the right edge of the tree, where ascending
    /// inserts would never come back to fill a half-empty node.
    FullLeft,
}

impl Cut {
    /// How to cut a node for an insert.
    pub(super) fn at_edge(edge: bool) -> Self {
        if edge { Self::FullLeft } else { Self::Even }
    }
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn load(&self) -> Load {
        Load { entries: self.keys.len(), bytes: self.bytes }
    }

    pub(super) fn get(&self, at: usize) -> &Key {
        &self.keys[at]
    }

    /// Where `probe` is, or else where it would go.
    pub(super) fn locate(&self, probe: Probe<'_>) -> Result<usize, usize> {
        let start = self.heads.partition_point(|&head| head < probe.head);
        let ties = self.heads[start..].iter().take_while(|&&head| head == probe.head).count();
        self.keys[start..start + ties]
            .binary_search_by(|key| (**key).cmp(probe.bytes))
            .map(|at| start + at)
            .map_err(|at| start + at)
    }

    pub(super) fn insert(&mut self, at: usize, key: Key) {
        self.bytes += key.len();
        insert_tight(&mut self.heads, at, head(&key));
        insert_tight(&mut self.keys, at, key);
    }

    pub(super) fn push(&mut self, key: Key) {
        self.insert(self.len(), key);
    }

    pub(super) fn remove(&mut self, at: usize) -> Key {
        self.heads.remove(at);
        let key = self.keys.remove(at);
        self.bytes -= key.len();
        key
    }

    pub(super) fn append(&mut self, right: Keys) {
        self.bytes += right.bytes;
        append_tight(&mut self.heads, right.heads);
        append_tight(&mut self.keys, right.keys);
    }

    pub(super) fn split_off(&mut self, at: usize) -> Keys {
        let keys = split_tight(&mut self.keys, at);
        let bytes = keys.iter().map(|key| key.len()).sum();
        self.bytes -= bytes;
        Keys { heads: split_tight(&mut self.heads, at), keys, bytes }
    }

    /// Where to cut an overfull run so that both parts have keys and neither is overfull;
    /// `lifted` keys at the cut go to neither part.
    pub(super) fn cut(&self, cut: Cut, lifted: usize) -> usize {
        let left = self.loads_before();
        let whole = left[self.len()];
        let mut places = 1..self.len() - lifted;
        let place = match cut {
            Cut::FullLeft => places.rfind(|&at| !left[at].is_over()),
            Cut::Even => places
                .min_by_key(|&at| left[at].weight().max(after(whole, left[at + lifted]).weight())),
        };
        place.expect("an overfull node has enough keys for two")
    }

    fn loads_before(&self) -> Vec<Load> {
        let mut loads = vec![Load { entries: 0, bytes: 0 }];
        let mut bytes = 0;
        for (index, key) in self.keys.iter().enumerate() {
            bytes += key.len();
            loads.push(Load { entries: index + 1, bytes });
        }
        loads
    }
}

fn after(whole: Load, left: Load) -> Load {
    Load { entries: whole.entries - left.entries, bytes: whole.bytes - left.bytes }
}

/// Inserts without doubling the capacity: most nodes are two thirds full for good.
pub(super) fn insert_tight<T>(items: &mut Vec<T>, at: usize, item: T) {
    const STEP: usize = 8;
    if items.len() == items.capacity() {
        items.reserve_exact(STEP);
    }
    items.insert(at, item);
}

pub(super) fn append_tight<T>(items: &mut Vec<T>, right: Vec<T>) {
    items.reserve_exact(right.len());
    items.extend(right);
}

pub(super) fn split_tight<T>(items: &mut Vec<T>, at: usize) -> Vec<T> {
    let right = items.split_off(at);
    items.shrink_to_fit();
    right
}

#[cfg(test)]
impl Keys {
    pub(super) fn check(&self) {
        assert!(self.keys.is_sorted_by(|a, b| a < b), "keys ascend");
        assert!(self.keys.iter().map(|key| head(key)).eq(self.heads.iter().copied()), "heads");
        assert_eq!(self.keys.iter().map(|key| key.len()).sum::<usize>(), self.bytes);
    }
}
