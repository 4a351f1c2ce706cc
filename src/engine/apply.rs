//! What records make of the state: one function for both, live and at replay (L1).

use crate::extent::{LargeRun, LiveChanges, Space};
use crate::format::ids::{ExtentNo, PageNo};
use crate::format::large::LargeShape;
use crate::format::location::{Home, Location};
use crate::format::moves::{Moves, keys as keys_of};
use crate::format::record::{Entries, Entry, Expected, HEAD_BYTES, Record};
use crate::index::{Edit, Index, Replaced};
use crate::seeded::{Bug, seeded};

/// What becomes of a key: where its value is from now on, if it has one.
pub(super) type Fate = Option<Location>;

/// What a record, whose key lies at `page` and `offset` in the log, makes of its key; `None` if
/// its condition does not hold, or it has no key. `current` says where the value is before.
pub(super) fn decide(
    record: &Record<'_>,
    page: PageNo,
    offset: u16,
    current: impl FnOnce() -> Option<Location>,
) -> Option<Fate> {
    let (fate, expected) = match *record {
        Record::Put { value_len, expected, .. } => {
            (Some(Location::log(page, offset, value_len)), expected)
        }
        Record::PutLarge { value_len, pointer, expected, .. } => {
            (Some(Location::large(pointer.page, value_len)), expected)
        }
        Record::Delete { expected, .. } => (None, expected),
        Record::Announce { .. } | Record::Relocate { .. } | Record::Noop => return None,
    };
    let holds = match expected {
        None => true,
        Some(_) if seeded(Bug::ConditionDecidedEarly) => true,
        Some(Expected::Absent) => current().is_none() || seeded(Bug::AbsenceNotRequired),
        Some(Expected::At(_)) if seeded(Bug::SwapIgnoresLocation) => current().is_some(),
        Some(Expected::At(location)) => current() == Some(location),
    };
    holds.then_some(fate)
}

/// Records that were applied, and the answers to the conditional ones.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) records: u64,
    /// Bytes of keys, and of where their values are, that may be new to the index.
    pub(super) grown: usize,
    pub(super) answers: Vec<bool>,
}

/// Applies entries in order, all of them visible at once. `None` if an entry makes no sense. `live` is
/// empty, and is again.
pub(super) fn apply(
    index: &Index,
    space: &Space,
    live: &mut LiveChanges,
    entries: &[u8],
) -> Option<Applied> {
    index.edit(|edit| {
        let mut done = Applied::default();
        for entry in Entries::new(entries) {
            if let Entry::Record { record, page, offset } = entry? {
                let applied = apply_record(edit, space, live, &record, page, offset)?;
                done.records += 1;
                done.grown += growth_of(&record);
                if record.is_conditional() {
                    done.answers.push(applied);
                }
            }
        }
        // Before a view can let go of what it is counted to hold.
        space.count_live(live);
        live.clear();
        Some(done)
    })
}

/// By how much a record may make the index longer.
fn growth_of(record: &Record<'_>) -> usize {
    match record {
        Record::Put { key, .. } | Record::PutLarge { key, .. } => HEAD_BYTES + key.len(),
        _ => 0,
    }
}

/// Whether the record took effect; `None` if it makes no sense.
fn apply_record(
    edit: &mut Edit<'_>,
    space: &Space,
    live: &mut LiveChanges,
    record: &Record<'_>,
    page: PageNo,
    offset: u16,
) -> Option<bool> {
    let key = record.key();
    match *record {
        Record::Announce { extent, state } => {
            space.announce(extent, state);
            return Some(true);
        }
        Record::Relocate { moves, keys } => {
            let mut keys = keys_of(keys);
            for next in Moves::new(moves)? {
                let (next, key) = (next?, keys.next()?);
                let current = edit.get(key);
                let create = seeded(Bug::RelocateCreates) && current.is_none();
                let mut to = current.and_then(|at| next.of(at));
                if seeded(Bug::RelocateUnconditional) || create {
                    to = Some(next.target(current.map_or(0, Location::value_len)));
                }
                if to.is_some() {
                    change(edit, space, live, key, to);
                }
            }
            return Some(true);
        }
        Record::Noop => return Some(true),
        _ => {}
    }
    let Some(fate) = decide(record, page, offset, || edit.get(key)) else { return Some(false) };
    if fate.is_some()
        && let Some((page, run)) = large_run(record)
    {
        space.adopt_large(page, run);
    }
    change(edit, space, live, key, fate);
    Some(true)
}

/// The value of `key` is where `fate` says from now on.
fn change(edit: &mut Edit<'_>, space: &Space, live: &mut LiveChanges, key: &[u8], fate: Fate) {
    let Replaced { before, kept } = edit.replace(key, fate);
    if let Some(location) = fate {
        live.add(record_extent(space, location), record_bytes(key.len(), location) as i64);
    }
    if let Some(location) = before {
        let (extent, bytes) = (record_extent(space, location), record_bytes(key.len(), location));
        live.add(extent, -(bytes as i64));
        match extent {
            None => space.drop_large(location.page(), kept),
            Some(extent) if kept => live.hold(extent, bytes),
            Some(_) => {}
        }
    }
}

/// Where a record says that a large value is.
pub(super) fn large_run(record: &Record<'_>) -> Option<(PageNo, LargeRun)> {
    let Record::PutLarge { key, value_len, pointer, .. } = *record else { return None };
    let pages = LargeShape { key_len: key.len(), value_len }.pages();
    let run = LargeRun { pages, incarnation: pointer.incarnation, live: true, held: false };
    Some((pointer.page, run))
}

/// The extent of the record at `location`; `None` where that is a large value.
fn record_extent(space: &Space, location: Location) -> Option<ExtentNo> {
    match location.home() {
        Home::Log | Home::Value => Some(space.extent_of(location.page())),
        Home::Large => None,
    }
}

/// Bytes of a record without what only its writing needed.
pub(super) fn record_bytes(key_len: usize, location: Location) -> u64 {
    (HEAD_BYTES + key_len) as u64 + u64::from(location.value_len())
}
