//! What one call adds to the log: all of it in one batch, or nothing.

use crate::format::extent_state::Role;
use crate::format::listed::listed_len;
use crate::format::record::{HEAD_BYTES, Record};

/// A record, and the value, or list of moves, that travels with it in the log (empty where none
/// does).
pub(crate) type Item<'a> = (Record<'a>, &'a [u8]);

/// Records that are committed together.
#[derive(Debug)]
pub(crate) struct Unit<'a> {
    items: &'a [Item<'a>],
    log_len: usize,
    listed_len: usize,
    growth: usize,
}

impl<'a> Unit<'a> {
    pub(crate) fn new(items: &'a [Item<'a>]) -> Self {
        Self {
            items,
            log_len: items.iter().map(|(record, _)| record.log_len()).sum(),
            listed_len: items.iter().map(|(record, _)| listed_len(record)).sum(),
            growth: items.iter().map(|(record, _)| growth_of(record)).sum(),
        }
    }

    /// Records that give space back, of whatever kind they are.
    pub(crate) fn giving_back(items: &'a [Item<'a>]) -> Self {
        Self { growth: 0, ..Self::new(items) }
    }

    /// Bytes of keys, and of the heads of their records, that may come to be in the index.
    pub(super) fn growth(&self) -> usize {
        self.growth
    }

    pub(super) fn items(&self) -> &'a [Item<'a>] {
        self.items
    }

    /// Bytes in the log's stream.
    pub(crate) fn log_len(&self) -> usize {
        self.log_len
    }

    /// Bytes of its records, large values included.
    pub(crate) fn record_bytes(&self) -> u64 {
        let large = self.items.iter().map(|(record, _)| match *record {
            Record::PutLarge { value_len, .. } => u64::from(value_len),
            _ => 0,
        });
        self.log_len as u64 + large.sum::<u64>()
    }

    /// Bytes that a footer takes to list it.
    pub(super) fn listed_len(&self) -> usize {
        self.listed_len
    }

    /// Whether it is refused when the volume is full; deletes are not.
    pub(crate) fn needs_space(&self) -> bool {
        self.growth > 0
    }
}

/// What a record may add to what checkpoints hold. What gives space back, and what that takes, adds
/// nothing, and is not refused for want of it.
fn growth_of(record: &Record<'_>) -> usize {
    match record {
        Record::Put { key, .. } | Record::PutLarge { key, .. } => HEAD_BYTES + key.len(),
        Record::Announce { state, .. } if state.role != Role::Value => HEAD_BYTES,
        Record::Announce { .. }
        | Record::Delete { .. }
        | Record::Relocate { .. }
        | Record::Noop => 0,
    }
}
