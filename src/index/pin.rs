//! A moment that views show, and how it is let go.
//!
//! A pin whose last view is gone still has entries that older pins need. They move to the next
//! older pin, where an entry that is already there wins, being of an earlier moment; or the other
//! way around if that is less work, and then replace what is there. Either way in steps, each
//! under one hold of the lock. A step changes what no reader finds: none starts at the pin that
//! goes, and one that starts at the older pin or before asks both, the older first. This holds of
//! every step by itself, so neighbours may go at the same time, edits may add to the newest
//! overlay, and new pins may come.
//!
//! A location is in one overlay at most: that of the pin that was the newest when it ceased to be
//! current, then wherever its entry moves. Where the entry goes, the location is released: when it
//! loses to an earlier one, and when its pin goes and no older one is left.

use super::block::{Block, Payload};
use super::draft::Draft;
use super::seek::Seek;
use super::shared::Handle;
use super::state::{State, located};
use super::tree::Tree;
use crate::format::location::Location;
use crate::sync::{Instant, Weak};
use std::collections::VecDeque;

/// Entries that move under one hold of the lock, at most.
const STEP_ENTRIES: usize = 256;

pub(super) struct Pin {
    /// Ascending with time.
    pub(super) id: u64,
    /// Dead once no view shows the pin.
    pub(super) handle: Weak<Handle>,
    pub(super) since: Instant,
    /// What changed from this pin to the next newer one, as it was at this one.
    pub(super) overlay: Tree,
    /// Key and value bytes of what the overlay refers to.
    pub(super) held_bytes: u64,
}

/// A value that was kept for views, and that nothing refers to any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Released {
    /// Length of its key.
    pub(crate) key_len: usize,
    /// Where it is.
    pub(crate) location: Location,
}

impl Released {
    fn of(key_len: usize, payload: &Payload) -> Option<Self> {
        located(payload).map(|location| Self { key_len, location })
    }

    /// Everything that a leaf of an overlay keeps.
    pub(super) fn all_of(leaf: &Block<'_>) -> impl Iterator<Item = Self> {
        (0..leaf.len()).filter_map(|at| Self::of(leaf.key_bytes(at), leaf.payload(at)))
    }
}

/// What is known of all pins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PinStats {
    /// Moments that are kept.
    pub(crate) count: usize,
    /// When the oldest of them was.
    pub(crate) oldest_since: Option<Instant>,
    /// Memory that overlays take.
    pub(crate) overlay_bytes: u64,
    /// Bytes of keys and values that only pins refer to, about.
    pub(crate) held_value_bytes: u64,
}

impl Pin {
    /// Keeps what `key` was, unless an earlier state of it is kept; whether it did.
    pub(super) fn keep(&mut self, key: &[u8], payload: &Payload) -> bool {
        let first = self.overlay.insert_new(key, payload);
        if first {
            self.held_bytes += held_bytes(key, payload);
        }
        first
    }

    /// Keeps what `key` was, in place of a later state of it; returns that.
    fn keep_earlier(&mut self, key: &[u8], payload: &Payload) -> Option<Payload> {
        let later = self.overlay.insert(key, payload);
        if let Some(later) = &later {
            self.held_bytes -= held_bytes(key, later);
        }
        self.held_bytes += held_bytes(key, payload);
        later
    }

    /// Keeps those of `entries` of whose keys no earlier state is kept; releases the others.
    fn take_later(&mut self, entries: &Draft, released: &mut Vec<Released>) {
        for at in 0..entries.len() {
            let (key, payload) = (entries.key(at), payload_of(entries, at));
            if !self.keep(key, &payload) {
                released.extend(Released::of(key.len(), &payload));
            }
        }
    }

    /// Keeps `entries`; releases the later states that they take the place of.
    fn take_earlier(&mut self, entries: &Draft, released: &mut Vec<Released>) {
        for at in 0..entries.len() {
            let key = entries.key(at);
            let later = self.keep_earlier(key, &payload_of(entries, at));
            released.extend(later.and_then(|later| Released::of(key.len(), &later)));
        }
    }

    /// Takes the first entries out.
    fn take_first(&mut self, taken: &mut Draft) {
        taken.clear(0);
        if let Some(place) = self.overlay.seek(Seek::At(&[])) {
            taken.push_entries(&place.leaf, 0..place.leaf.len().min(STEP_ENTRIES));
        }
        for at in 0..taken.len() {
            self.overlay.remove(taken.key(at));
            self.held_bytes -= held_bytes(taken.key(at), &payload_of(taken, at));
        }
    }
}

fn held_bytes(key: &[u8], payload: &Payload) -> u64 {
    located(payload).map_or(0, |location| key.len() as u64 + u64::from(location.value_len()))
}

fn payload_of(entries: &Draft, at: usize) -> Payload {
    *entries.payload(at).first_chunk().expect("a leaf's payload")
}

/// How far letting go of a pin has come.
pub(super) enum Progress {
    /// Another step is due.
    Going,
    /// The pin is gone. What it leaves is released and dropped without the lock.
    Gone(Option<Box<Pin>>),
}

fn pair(pins: &mut VecDeque<Pin>, older_at: usize) -> (&mut Pin, &mut Pin) {
    let mut pins = pins.range_mut(older_at..);
    let older = pins.next().expect("the older pin");
    let newer = pins.next().expect("the newer pin");
    (older, newer)
}

impl State {
    /// One step of letting go of pin `id`. With `upward`, entries of the older pin move to it;
    /// else its entries move to the older one.
    pub(super) fn step(&mut self, id: u64, upward: &mut Option<(u64, bool)>) -> Progress {
        let at = self.position(id);
        let Some(older_at) = at.checked_sub(1) else {
            return Progress::Gone(self.pins.pop_front().map(Box::new));
        };
        let (older, newer) = pair(&mut self.pins, older_at);
        let direction = match *upward {
            Some((of, direction)) if of == older.id => direction,
            _ => older.overlay.len < newer.overlay.len,
        };
        *upward = Some((older.id, direction));
        let mut entries = Draft::default();
        if direction {
            older.take_first(&mut entries);
            newer.take_earlier(&entries, &mut self.released);
            if older.overlay.len > 0 {
                return Progress::Going;
            }
            std::mem::swap(&mut older.overlay, &mut newer.overlay);
            std::mem::swap(&mut older.held_bytes, &mut newer.held_bytes);
        } else {
            newer.take_first(&mut entries);
            older.take_later(&entries, &mut self.released);
            if newer.overlay.len > 0 {
                return Progress::Going;
            }
        }
        Progress::Gone(self.pins.remove(at).map(Box::new))
    }

    pub(super) fn pin_stats(&self) -> PinStats {
        PinStats {
            count: self.pins.len(),
            oldest_since: self.pins.front().map(|pin| pin.since),
            overlay_bytes: self.pins.iter().map(|pin| pin.overlay.memory_bytes()).sum(),
            held_value_bytes: self.pins.iter().map(|pin| pin.held_bytes).sum(),
        }
    }
}
