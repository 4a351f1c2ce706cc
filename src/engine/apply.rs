//! The one function that changes state, live and at replay (L1): a fold of the log.

use crate::extent::{LargeRun, Space};
use crate::format::ids::PageNo;
use crate::format::large::LargeShape;
use crate::format::location::{Home, Location};
use crate::format::record::{Entries, Entry, Expected, HEAD_BYTES, Record};
use crate::index::{Edit, Index};

/// Applies entries in order, all of them visible at once. Answers the conditional ones. `None`
/// if an entry cannot be.
pub(super) fn apply(index: &Index, space: &Space, entries: &[u8]) -> Option<Vec<bool>> {
    index.edit(|edit| {
        let mut answers = Vec::new();
        for entry in Entries::new(entries) {
            if let Entry::Record { record, page, offset } = entry? {
                let applied = apply_record(edit, space, &record, page, offset)?;
                if record.is_conditional() {
                    answers.push(applied);
                }
            }
        }
        Some(answers)
    })
}

/// Whether the record took effect; `None` if it makes no sense.
fn apply_record(
    edit: &mut Edit<'_>,
    space: &Space,
    record: &Record<'_>,
    page: PageNo,
    offset: u16,
) -> Option<bool> {
    match *record {
        Record::Put { key, value_len, expected } => {
            let holds = holds(edit, key, expected);
            if holds {
                replace(edit, space, key, Location::log(page, offset, value_len));
            }
            Some(holds)
        }
        Record::PutLarge { key, value_len, pointer, expected } => {
            let holds = holds(edit, key, expected);
            if holds {
                let pages = LargeShape { key_len: key.len(), value_len }.pages();
                let run = LargeRun { pages, incarnation: pointer.incarnation, live: true };
                replace(edit, space, key, Location::large(pointer.page, value_len));
                space.adopt_large(pointer.page, run).then_some(())?;
            }
            Some(holds)
        }
        Record::Delete { key, expected } => {
            let holds = holds(edit, key, expected);
            if holds {
                forget(space, key, edit.remove(key), 0);
            }
            Some(holds)
        }
        Record::Announce { extent, state } => space.announce(extent, state).then_some(true),
    }
}

fn holds(edit: &Edit<'_>, key: &[u8], expected: Option<Expected>) -> bool {
    match expected {
        None => true,
        Some(Expected::Absent) => edit.get(key).is_none(),
        Some(Expected::At(location)) => edit.get(key) == Some(location),
    }
}

fn replace(edit: &mut Edit<'_>, space: &Space, key: &[u8], location: Location) {
    forget(space, key, edit.insert(key, location), record_bytes(key, location));
}

/// Accounts for a location that the index held, and for `added` bytes that took its place.
fn forget(space: &Space, key: &[u8], removed: Option<Location>, added: u64) {
    let removed_bytes = removed.map_or(0, |location| record_bytes(key, location));
    space.count_live(added, removed_bytes);
    if let Some(location) = removed
        && location.home() == Home::Large
    {
        space.drop_large(location.page());
    }
}

/// Bytes of a record without what only its writing needed.
fn record_bytes(key: &[u8], location: Location) -> u64 {
    (HEAD_BYTES + key.len()) as u64 + u64::from(location.value_len())
}
