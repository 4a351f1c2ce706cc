//! What the lock of the index protects: the tree as it is now, and what views need of the past.

use super::block::Payload;
use super::edit::Replaced;
use super::in_order::Finger;
use super::pin::{Pin, Released};
use super::tree::Tree;
use crate::format::location::Location;
use crate::seeded::{Bug, seeded};
use std::collections::VecDeque;

/// Stands in an overlay for a key that was not there. No location packs to it.
pub(super) const ABSENT: Payload = [0; 9];

/// A key as of a pin is what the first of these says that knows it: the pin's own overlay, the
/// overlays of the newer pins in order, the tree.
#[derive(Default)]
pub(super) struct State {
    pub(super) tree: Tree,
    /// Oldest first.
    pub(super) pins: VecDeque<Pin>,
    /// What pins have let go of since it was last asked for.
    pub(super) released: Vec<Released>,
}

impl State {
    pub(super) fn get(&self, key: &[u8]) -> Option<Location> {
        self.tree.get(key).and_then(|payload| located(&payload))
    }

    pub(super) fn replace(&mut self, key: &[u8], location: Option<Location>) -> Replaced {
        let old = match location {
            Some(location) => self.tree.insert(key, &location.pack()),
            None => self.tree.remove(key),
        };
        let changes = location.is_some() || old.is_some();
        let kept = changes && self.keep(key, old);
        let before = old.and_then(|old| located(&old));
        Replaced { before, kept: kept && before.is_some() }
    }

    pub(super) fn alter(
        &mut self,
        finger: &mut Option<Finger>,
        key: &[u8],
        decide: impl FnOnce(Option<Location>) -> Option<Location>,
    ) -> Option<Location> {
        let mut changes = false;
        let old = self.tree.alter_at(finger, key, |old| {
            let new = decide(old.and_then(located)).map(Location::pack);
            changes = new.is_some();
            new
        });
        if changes {
            self.keep(key, old);
        }
        old.and_then(|old| located(&old))
    }

    /// Keeps what `key` was for the views, unless an earlier state of it is kept; whether it did.
    /// Always in the newest overlay, be its pin held or not: an older one would hide what the
    /// newest says.
    fn keep(&mut self, key: &[u8], old: Option<Payload>) -> bool {
        let newest = self.pins.back_mut().filter(|_| !seeded(Bug::ViewsMove));
        newest.is_some_and(|newest| newest.keep(key, &old.unwrap_or(ABSENT)))
    }

    /// The key as of pin `id`.
    pub(super) fn get_at(&self, id: u64, key: &[u8]) -> Option<Location> {
        let mut overlays = self.overlays_from(id);
        match overlays.find_map(|overlay| overlay.get(key)) {
            Some(payload) => located(&payload),
            None => self.get(key),
        }
    }

    /// The overlays of pin `id` and all newer ones that say anything.
    pub(super) fn overlays_from(&self, id: u64) -> impl Iterator<Item = &Tree> {
        let own = self.position(id);
        self.pins.range(own..).map(|pin| &pin.overlay).filter(|overlay| overlay.len > 0)
    }

    /// Where pin `id` is, or the first newer one.
    pub(super) fn position(&self, id: u64) -> usize {
        self.pins.partition_point(|pin| pin.id < id)
    }
}

/// What a payload says: `None` for [`ABSENT`].
pub(super) fn located(payload: &Payload) -> Option<Location> {
    Location::unpack(payload)
}
