//! What one call adds to the log: all of it in one batch, or nothing.

use crate::format::extent_state::Role;
use crate::format::listed::listed_len;
use crate::format::record::Record;

/// A record, and the value, or list of moves, that travels with it in the log (empty where none
/// does).
pub(crate) type Item<'a> = (Record<'a>, &'a [u8]);

/// Records that are committed together.
#[derive(Debug)]
pub(crate) struct Unit<'a> {
    items: &'a [Item<'a>],
    log_len: usize,
    listed_len: usize,
    needs_space: bool,
}

impl<'a> Unit<'a> {
    pub(crate) fn new(items: &'a [Item<'a>]) -> Self {
        Self {
            items,
            log_len: items.iter().map(|(record, _)| record.log_len()).sum(),
            listed_len: items.iter().map(|(record, _)| listed_len(record)).sum(),
            needs_space: items.iter().any(|(record, _)| needs_space(record)),
        }
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
    pub(super) fn needs_space(&self) -> bool {
        self.needs_space
    }
}

/// What gives space back, and what that takes, is not refused for want of it.
fn needs_space(record: &Record<'_>) -> bool {
    match record {
        Record::Put { .. } | Record::PutLarge { .. } => true,
        Record::Announce { state, .. } => state.role != Role::Value,
        Record::Delete { .. } | Record::Relocate { .. } | Record::Noop => false,
    }
}
