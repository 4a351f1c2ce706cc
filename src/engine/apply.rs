//! What records make of the state: one function for both, live and at replay (L1).

use crate::extent::{LargeRun, LiveChanges, Space};
use crate::format::ids::{ExtentNo, PageNo};
use crate::format::large::LargeShape;
use crate::format::location::{Home, Location};
use crate::format::moves::{Move, Moves, keys as keys_of};
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

/// Moves that are applied before readers get a turn. They, and not the moves, are waited for.
const MOVES_AT_A_TIME: usize = 32;

/// Applies entries in order, all of them visible at once but for moves, which nobody sees. `None` if
/// an entry makes no sense. `live` is empty, and is again.
pub(super) fn apply(
    index: &Index,
    space: &Space,
    live: &mut LiveChanges,
    entries: &[u8],
) -> Option<Applied> {
    let mut done = Applied::default();
    let mut entries = Entries::new(entries);
    let mut is_more = true;
    while is_more {
        // Gets wait while the records are applied, and not for memory.
        index.touch(keys_before_moves(entries.clone()));
        let list = edit(index, space, live, |edit, live| {
            apply_up_to_moves(edit, space, live, &mut entries, &mut done)
        })?;
        is_more = list.is_some();
        if let Some((moves, keys)) = list {
            apply_moves(index, space, live, moves, keys)?;
        }
    }
    Some(done)
}

/// The keys that are applied at once.
fn keys_before_moves<'a>(entries: Entries<'a>) -> impl Iterator<Item = &'a [u8]> {
    entries.map_while(|entry| match entry? {
        Entry::Record { record: Record::Relocate { .. }, .. } => None,
        Entry::Record { record, .. } => Some(record.key()),
        Entry::Batch(_) => Some(&[][..]),
    })
}

/// As [`Index::edit`], and counts what became of live bytes.
fn edit<R>(
    index: &Index,
    space: &Space,
    live: &mut LiveChanges,
    change: impl FnOnce(&mut Edit<'_>, &mut LiveChanges) -> R,
) -> R {
    index.edit(|edit| {
        let done = change(edit, live);
        // Before a view can let go of what it is counted to hold.
        space.count_live(live);
        live.clear();
        done
    })
}

/// Applies entries up to the next list of moves: the list and its keys, if there is one.
fn apply_up_to_moves<'a>(
    edit: &mut Edit<'_>,
    space: &Space,
    live: &mut LiveChanges,
    entries: &mut Entries<'a>,
    done: &mut Applied,
) -> Option<Option<(&'a [u8], &'a [u8])>> {
    for entry in entries {
        let Entry::Record { record, page, offset } = entry? else { continue };
        done.records += 1;
        if let Record::Relocate { moves, keys } = record {
            return Some(Some((moves, keys)));
        }
        let applied = apply_record(edit, space, live, &record, page, offset);
        done.grown += growth_of(&record);
        if record.is_conditional() {
            done.answers.push(applied);
        }
    }
    Some(None)
}

/// Applies a list of moves, a few at a time: what a `get` finds is the same before and after each, and
/// lists are long enough to be waited for.
fn apply_moves(
    index: &Index,
    space: &Space,
    live: &mut LiveChanges,
    moves: &[u8],
    keys: &[u8],
) -> Option<()> {
    let (mut moves, mut keys) = (Moves::new(moves)?, keys_of(keys));
    loop {
        index.touch(keys.clone().take(MOVES_AT_A_TIME));
        let applied = edit(index, space, live, |edit, live| {
            let mut applied = 0;
            for next in moves.by_ref().take(MOVES_AT_A_TIME) {
                apply_move(edit, space, live, next?, keys.next()?);
                applied += 1;
            }
            Some(applied)
        });
        if applied? < MOVES_AT_A_TIME {
            return Some(());
        }
        index.let_readers_in();
    }
}

/// The value of `key` moves, if it is where the move is from (G2).
fn apply_move(edit: &mut Edit<'_>, space: &Space, live: &mut LiveChanges, next: Move, key: &[u8]) {
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

/// By how much a record may make the index longer.
fn growth_of(record: &Record<'_>) -> usize {
    match record {
        Record::Put { key, .. } | Record::PutLarge { key, .. } => HEAD_BYTES + key.len(),
        _ => 0,
    }
}

/// Whether the record, which is no list of moves, took effect.
fn apply_record(
    edit: &mut Edit<'_>,
    space: &Space,
    live: &mut LiveChanges,
    record: &Record<'_>,
    page: PageNo,
    offset: u16,
) -> bool {
    let key = record.key();
    match *record {
        Record::Announce { extent, state } => {
            space.announce(extent, state);
            return true;
        }
        Record::Noop => return true,
        _ => {}
    }
    let Some(fate) = decide(record, page, offset, || edit.get(key)) else { return false };
    if fate.is_some()
        && let Some((page, run)) = large_run(record)
    {
        space.adopt_large(page, run);
    }
    change(edit, space, live, key, fate);
    true
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
