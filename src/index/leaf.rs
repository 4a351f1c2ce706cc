//! A leaf: keys and where their values are.

use super::key::{Key, Probe, separator};
use super::keys::{Cut, Keys, append_tight, insert_tight, split_tight};
use crate::format::location::Location;

#[derive(Clone, Default)]
pub(super) struct Leaf {
    pub(super) keys: Keys,
    pub(super) locations: Vec<Location>,
}

impl Leaf {
    pub(super) fn len(&self) -> usize {
        self.locations.len()
    }

    pub(super) fn entry(&self, at: usize) -> (Key, Location) {
        (self.keys.get(at).clone(), self.locations[at])
    }

    pub(super) fn get(&self, probe: Probe<'_>) -> Option<Location> {
        self.keys.locate(probe).ok().map(|at| self.locations[at])
    }

    pub(super) fn insert(&mut self, probe: Probe<'_>, location: Location) -> Option<Location> {
        match self.keys.locate(probe) {
            Ok(at) => Some(std::mem::replace(&mut self.locations[at], location)),
            Err(at) => {
                self.keys.insert(at, Key::from(probe.bytes));
                insert_tight(&mut self.locations, at, location);
                None
            }
        }
    }

    pub(super) fn remove(&mut self, probe: Probe<'_>) -> Option<Location> {
        let at = self.keys.locate(probe).ok()?;
        self.keys.remove(at);
        Some(self.locations.remove(at))
    }

    /// Moves the right part to a leaf of its own; returns it with the key that separates it.
    pub(super) fn split(&mut self, cut: Cut) -> (Key, Leaf) {
        let at = self.keys.cut(cut, 0);
        let keys = self.keys.split_off(at);
        let between = separator(self.keys.get(at - 1), keys.get(0));
        (between, Leaf { keys, locations: split_tight(&mut self.locations, at) })
    }

    pub(super) fn append(&mut self, right: Leaf) {
        self.keys.append(right.keys);
        append_tight(&mut self.locations, right.locations);
    }
}
