//! Changing one key after the other in ascending order: leaves are found once each, and fetched into the
//! processor's cache before they are looked at.

use super::MAX_KEY_BYTES;
use super::arena::NodeId;
use super::block::Payload;
use super::seek::Seek;
use super::state::State;
use super::tree::Tree;
use crate::format::location::Location;

/// Changes that had best come in ascending order of their keys.
pub(crate) struct InOrder<'a> {
    state: &'a mut State,
    finger: Option<Finger>,
}

/// A leaf, and keys `from..until` that belong to it; `None`: all from there on.
pub(super) struct Finger {
    leaf: NodeId,
    from: Vec<u8>,
    until: Option<Vec<u8>>,
}

impl Finger {
    fn covers(&self, key: &[u8]) -> bool {
        *self.from <= *key && self.until.as_ref().is_none_or(|until| *key < **until)
    }
}

impl<'a> InOrder<'a> {
    pub(super) fn new(state: &'a mut State) -> Self {
        Self { state, finger: None }
    }

    /// Sets where the value of `key` is to what `decide` makes of where it was, `None` to leave it: with
    /// one lookup. Returns where it was.
    ///
    /// # Panics
    ///
    /// If `key` is longer than [`MAX_KEY_BYTES`].
    pub(crate) fn alter(
        &mut self,
        key: &[u8],
        decide: impl FnOnce(Option<Location>) -> Option<Location>,
    ) -> Option<Location> {
        self.state.alter(&mut self.finger, key, decide)
    }

    /// Forgets `key`; returns where its value was.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Location> {
        self.finger = None;
        self.state.replace(key, None).before
    }
}

impl Tree {
    /// As [`alter`](Self::alter), in the leaf at `finger` if `key` belongs there; points it to where that is.
    #[inline]
    pub(super) fn alter_at(
        &mut self,
        finger: &mut Option<Finger>,
        key: &[u8],
        decide: impl FnOnce(Option<&Payload>) -> Option<Payload>,
    ) -> Option<Payload> {
        if !finger.as_ref().is_some_and(|finger| finger.covers(key)) {
            *finger = self.finger_at(key);
        }
        let Some(Finger { leaf, .. }) = *finger else { return self.alter(key, decide) };
        assert!(key.len() <= MAX_KEY_BYTES, "a key of {} bytes", key.len());
        let (old, stays) = self.alter_in(leaf, key, decide);
        if !stays {
            *finger = None;
        }
        old
    }

    fn finger_at(&self, key: &[u8]) -> Option<Finger> {
        let place = self.seek(Seek::At(key))?;
        self.prefetch_after(&place);
        Some(Finger { leaf: place.node, from: key.to_vec(), until: place.upper() })
    }
}
