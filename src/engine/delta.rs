//! What the log adds to an image: its records since, by key and in the order of the log.

use super::apply::{Fate, decide};
use super::moved::{Moved, Trails};
use crate::format::ids::{BatchNo, PageNo};
use crate::format::image::Position;
use crate::format::location::Location;
use crate::format::record::{Entries, Entry, MAX_ENTRY_BYTES, Record};
use crate::seeded::{Bug, seeded};
use crate::sync;
use std::cmp::Ordering;
use std::ops::Range;

/// Entries are kept in chunks of so many bytes: large enough that the allocator maps each by
/// itself, and returns it to the system when the open is over.
const CHUNK_BYTES: usize = 4 << 20;
/// Records below which a thread is not worth it.
const LEAST_PER_THREAD: usize = 50_000;

/// The first bytes of a key as a number, zeros standing in for missing ones: different heads order
/// as their keys do. Shorter keys are all here, so that sorting and merging them touches nothing
/// but the lines in their order.
type Head = u128;
const HEAD_BYTES: usize = size_of::<Head>();

/// Records of the log, collected while it is replayed.
#[derive(Debug, Default)]
pub(super) struct Delta {
    entries: Chunks,
    lines: Vec<Line>,
    /// Their moves, which are of no keys.
    moved: Moved,
}

/// Entries that their lines do not say all of, one after the other.
#[derive(Debug, Default)]
struct Chunks(Vec<Vec<u8>>);

/// One record.
#[derive(Debug, Clone, Copy)]
struct Line {
    head: Head,
    key_len: u16,
    /// Whether only its entry says what becomes of the key.
    conditional: bool,
    /// Where the value is from now on, if there is one.
    fate: [u8; Location::PACKED_BYTES],
    /// Where its entry is, if the key is long or the record conditional.
    chunk: u32,
    at: u32,
    /// Its number within the batch.
    index: u32,
    batch: BatchNo,
}

impl Delta {
    /// Adds the entries of batches that follow those added before, and shows each record to
    /// `meet`. False if they make no sense.
    pub(super) fn add<'e>(
        &mut self,
        entries: impl Iterator<Item = Option<Entry<'e>>>,
        mut meet: impl FnMut(&Record<'_>) -> bool,
    ) -> bool {
        let (mut batch, mut index) = (BatchNo(0), 0);
        for entry in entries {
            match entry {
                None => return false,
                Some(Entry::Batch(number)) => (batch, index) = (number, 0),
                Some(Entry::Record { record, page, offset }) => {
                    if !meet(&record) {
                        return false;
                    }
                    if let Record::Relocate { moves, .. } = record {
                        self.moved.add(moves, batch, index);
                    } else if !record.key().is_empty() {
                        self.add_record(&record, page, offset, batch, index);
                    }
                    index += 1;
                }
            }
        }
        true
    }

    fn add_record(
        &mut self,
        record: &Record<'_>,
        page: PageNo,
        offset: u16,
        batch: BatchNo,
        index: u32,
    ) {
        let key = record.key();
        let conditional = record.is_conditional();
        let fate = if conditional { None } else { decide(record, page, offset, || None).flatten() };
        let is_kept = conditional || key.len() > HEAD_BYTES;
        let (chunk, at) = if is_kept { self.entries.append(record, page, offset) } else { (0, 0) };
        self.lines.push(Line {
            head: head(key),
            key_len: key.len() as u16,
            conditional,
            fate: fate.map_or(DELETED, Location::pack),
            chunk,
            at,
            index,
            batch,
        });
    }

    /// Number of records, each move for one.
    pub(super) fn len(&self) -> u64 {
        self.lines.len() as u64 + self.moved.len()
    }

    /// Its moves, for those who follow them.
    pub(super) fn take_moved(&mut self) -> Trails {
        std::mem::take(&mut self.moved).sorted()
    }

    /// Sorts the records, on as many threads as there are cores, and begins to walk them. `trails`
    /// are of their moves.
    pub(super) fn sorted(self, trails: &Trails) -> Sorted<'_> {
        let Self { entries, mut lines, .. } = self;
        let share = lines.len().div_ceil(sync::cores()).max(LEAST_PER_THREAD);
        let parts: Vec<&mut [Line]> = lines.chunks_mut(share).collect();
        sync::for_each_parallel(parts, |part| {
            part.sort_unstable_by(|a, b| entries.compare(a, b));
        });
        let starts = (0..lines.len()).step_by(share);
        let runs = starts.map(|start| start..(start + share).min(lines.len())).collect();
        let mut sorted = Sorted { entries, lines, trails, runs, next: None, key: Vec::new() };
        sorted.find_next();
        sorted
    }
}

/// Stands for the fate of a key that has no value any more. No location packs to it.
const DELETED: [u8; Location::PACKED_BYTES] = [0; Location::PACKED_BYTES];

impl Chunks {
    /// Keeps the entry of a record; returns where.
    fn append(&mut self, record: &Record<'_>, page: PageNo, offset: u16) -> (u32, u32) {
        let most = MAX_ENTRY_BYTES + record.key().len();
        if self.0.last().is_none_or(|last| last.len() + most > last.capacity()) {
            self.0.push(Vec::with_capacity(most.max(CHUNK_BYTES)));
        }
        let chunk = self.0.len() - 1;
        let at = self.0[chunk].len();
        record.encode_entry(page, offset, &mut self.0[chunk]);
        (chunk as u32, at as u32)
    }

    fn record(&self, line: &Line) -> (Record<'_>, PageNo, u16) {
        let entries = &self.0[line.chunk as usize][line.at as usize..];
        match Entries::new(entries).next() {
            Some(Some(Entry::Record { record, page, offset })) => (record, page, offset),
            _ => unreachable!("the entry was decoded when it was added"),
        }
    }

    /// By key, then as in the log.
    #[inline]
    fn compare(&self, a: &Line, b: &Line) -> Ordering {
        if a.head == b.head { self.compare_rest(a, b) } else { a.head.cmp(&b.head) }
    }

    /// Of lines with equal heads.
    fn compare_rest(&self, a: &Line, b: &Line) -> Ordering {
        let keys = if a.has_short_key() || b.has_short_key() {
            // The shorter is the other's beginning, or both are equal.
            a.key_len.cmp(&b.key_len)
        } else {
            self.record(a).0.key().cmp(self.record(b).0.key())
        };
        keys.then_with(|| (a.batch, a.index).cmp(&(b.batch, b.index)))
    }
}

impl Line {
    fn has_short_key(&self) -> bool {
        usize::from(self.key_len) <= HEAD_BYTES
    }
}

/// The records of a [`Delta`] in order of their keys.
#[derive(Debug)]
pub(super) struct Sorted<'a> {
    entries: Chunks,
    lines: Vec<Line>,
    trails: &'a Trails,
    /// What is left of the sorted parts of `lines`.
    runs: Vec<Range<usize>>,
    /// The next line, and its key.
    next: Option<Line>,
    key: Vec<u8>,
}

impl Sorted<'_> {
    /// The key of the next record.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.next.is_some().then_some(&self.key)
    }

    /// Takes all records of `key`, of which the next ones are if there are any, and its moves. Its
    /// value is at `base` in an image that is exact at `position`; returns what becomes of it.
    pub(super) fn fold(&mut self, key: &[u8], base: Option<Location>, position: Position) -> Fate {
        let (mut fate, mut since) = (base, position);
        while let Some(line) = self.next
            && self.key == key
        {
            if !position.covers(line.batch, line.index) || seeded(Bug::PositionIgnored) {
                if line.conditional {
                    let until = Some((line.batch, line.index));
                    fate = fate.map(|at| self.trails.follow(at, since, until));
                }
                fate = self.after(&line, fate);
                since = Position { batch: line.batch, records: line.index + 1 };
            }
            self.find_next();
        }
        if seeded(Bug::RelocateReplayedUnconditionally)
            && let Some(from) = base
            && let moved = self.trails.follow(from, position, None)
            && moved != from
        {
            return Some(moved);
        }
        fate.map(|at| self.trails.follow(at, since, None))
    }

    fn after(&self, line: &Line, fate: Fate) -> Fate {
        if !line.conditional {
            let fated = Location::unpack(&line.fate);
            return if seeded(Bug::DeletesNotReplayed) { fated.or(fate) } else { fated };
        }
        let (record, page, offset) = self.entries.record(line);
        decide(&record, page, offset, || fate).unwrap_or(fate)
    }

    /// Takes the least of the lines that are left.
    fn find_next(&mut self) {
        let (entries, lines) = (&self.entries, &self.lines);
        let left = self.runs.iter_mut().filter(|run| run.start < run.end);
        let run = left.min_by(|a, b| entries.compare(&lines[a.start], &lines[b.start]));
        self.next = run.and_then(Iterator::next).map(|at| lines[at]);
        let Some(line) = &self.next else { return };
        self.key.clear();
        if line.has_short_key() {
            self.key.extend_from_slice(&line.head.to_be_bytes()[..usize::from(line.key_len)]);
        } else {
            self.key.extend_from_slice(self.entries.record(line).0.key());
        }
    }
}

fn head(key: &[u8]) -> Head {
    let mut padded = [0; HEAD_BYTES];
    let len = key.len().min(HEAD_BYTES);
    padded[..len].copy_from_slice(&key[..len]);
    Head::from_be_bytes(padded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::moves::List;
    use crate::format::record::{Expected, encode_batch_entry};

    fn put(key: &[u8], expected: Option<Expected>) -> Record<'_> {
        Record::Put { key, value_len: 1, expected }
    }

    fn batch(number: u64, records: &[Record<'_>]) -> Vec<u8> {
        let mut entries = Vec::new();
        encode_batch_entry(BatchNo(number), &mut entries);
        for (i, record) in records.iter().enumerate() {
            record.encode_entry(PageNo(number), i as u16, &mut entries);
        }
        entries
    }

    fn at(batch: u64, index: u16) -> Option<Location> {
        Some(Location::log(PageNo(batch), index, 1))
    }

    fn delta(batches: &[Vec<u8>]) -> (Delta, Trails) {
        let mut delta = Delta::default();
        for entries in batches {
            assert!(delta.add(Entries::new(entries), |_| true));
        }
        let trails = delta.take_moved();
        (delta, trails)
    }

    /// What becomes of each key, each of which is at `base` at `position`.
    fn fates(batches: &[Vec<u8>], base: Fate, position: Position) -> Vec<(Vec<u8>, Fate)> {
        let (delta, trails) = delta(batches);
        let mut sorted = delta.sorted(&trails);
        let mut fates = Vec::new();
        while let Some(key) = sorted.key().map(<[u8]>::to_vec) {
            let fate = sorted.fold(&key, base, position);
            fates.push((key, fate));
        }
        fates
    }

    /// What becomes of the key `k`.
    fn fate(batches: &[Vec<u8>], base: Fate, position: Position) -> Fate {
        let (delta, trails) = delta(batches);
        delta.sorted(&trails).fold(b"k", base, position)
    }

    const START: Position = Position { batch: BatchNo(0), records: 0 };

    #[test]
    fn records_come_by_key_and_then_as_in_the_log() {
        let delete = Record::Delete { key: b"a", expected: None };
        let fates = fates(
            &[
                batch(1, &[put(b"b", None), put(b"a", None)]),
                batch(
                    2,
                    &[delete, put(b"a-key-of-17-bytes", None), put(b"a-key-of-16-byte", None)],
                ),
                batch(3, &[put(b"a\0", None), put(b"a-key-of-17-bytez", None)]),
            ],
            None,
            START,
        );
        let expected = [
            (&b"a"[..], None),
            (b"a\0", at(3, 0)),
            (b"a-key-of-16-byte", at(2, 2)),
            (b"a-key-of-17-bytes", at(2, 1)),
            (b"a-key-of-17-bytez", at(3, 1)),
            (b"b", at(1, 0)),
        ];
        assert_eq!(fates, expected.map(|(key, fate)| (key.to_vec(), fate)));
    }

    #[test]
    fn what_the_image_covers_is_skipped() {
        let log = [batch(1, &[put(b"k", None)]), batch(2, &[put(b"x", None), put(b"k", None)])];
        let base = at(7, 7);
        assert_eq!(fate(&log[..1], base, Position::after(BatchNo(2))), base);
        let x = (b"x".to_vec(), base);
        let inside = Position { batch: BatchNo(2), records: 1 };
        assert_eq!(fates(&log, base, inside), [(b"k".to_vec(), at(2, 1)), x]);
    }

    #[test]
    fn conditions_are_decided_by_what_comes_before() {
        let absent = Some(Expected::Absent);
        let log = [batch(1, &[put(b"k", absent)]), batch(2, &[put(b"k", absent)])];
        assert_eq!(fate(&log, None, START), at(1, 0));
        assert_eq!(fate(&log, at(7, 7), START), at(7, 7));
        let there = Some(Expected::At(Location::log(PageNo(1), 0, 1)));
        let log = [batch(1, &[put(b"k", None)]), batch(2, &[put(b"k", there)])];
        assert_eq!(fate(&log, None, START), at(2, 0));
    }

    fn list(from: Location, to: Location) -> List {
        let mut list = List::new(to);
        list.push(b"k", from);
        list
    }

    fn relocate(list: &List) -> Record<'_> {
        Record::Relocate { moves: list.bytes(), keys: list.keys() }
    }

    #[test]
    fn a_key_moves_only_from_where_it_is() {
        let (from, to) = (at(1, 0).unwrap(), Location::value(PageNo(9), 8, 1));
        let moves = list(from, to);
        let relocated = relocate(&moves);
        let fold = |log: &[Vec<u8>], base| fate(log, base, START);
        assert_eq!(fold(&[batch(1, &[put(b"k", None)]), batch(2, &[relocated])], None), Some(to));
        assert_eq!(fold(&[batch(2, &[relocated])], Some(from)), Some(to));
        assert_eq!(fold(&[batch(2, &[relocated])], at(7, 7)), at(7, 7));
        assert_eq!(fold(&[batch(2, &[relocated])], None), None, "it makes no key");
        let overwritten = batch(2, &[put(b"k", None), relocated]);
        assert_eq!(fold(&[batch(1, &[put(b"k", None)]), overwritten], None), at(2, 0));
        let moves = list(to, Location::value(PageNo(5), 0, 1));
        let again = relocate(&moves);
        let moved = fold(&[batch(2, &[relocated, again])], Some(from));
        assert_eq!(moved, Some(Location::value(PageNo(5), 0, 1)));
        let covered = Position { batch: BatchNo(2), records: 1 };
        assert_eq!(fate(&[batch(2, &[relocated])], Some(from), covered), Some(from));
    }

    #[test]
    fn a_swap_sees_where_moves_before_it_leave_the_value() {
        let (from, to) = (at(1, 0).unwrap(), Location::value(PageNo(9), 8, 1));
        let moves = list(from, to);
        let relocated = relocate(&moves);
        let swap = |at| put(b"k", Some(Expected::At(at)));
        let fold = |records: &[Record<'_>]| fate(&[batch(2, records)], Some(from), START);
        assert_eq!(fold(&[relocated, swap(to)]), at(2, 1));
        assert_eq!(fold(&[relocated, swap(from)]), Some(to));
        assert_eq!(fold(&[swap(from), relocated]), at(2, 0));
        assert_eq!(fold(&[swap(to), relocated]), Some(to));
    }

    #[test]
    fn records_of_no_key_only_count() {
        let log = batch(1, &[Record::Noop, put(b"k", None), Record::Noop]);
        let before = Position { batch: BatchNo(1), records: 1 };
        assert_eq!(fates(&[log], None, before), [(b"k".to_vec(), at(1, 1))]);
    }

    #[test]
    fn entries_that_make_no_sense_are_refused() {
        let mut entries = batch(1, &[put(b"k", None)]);
        entries.truncate(entries.len() - 1);
        assert!(!Delta::default().add(Entries::new(&entries), |_| true));
        let entries = batch(1, &[put(b"k", None)]);
        assert!(!Delta::default().add(Entries::new(&entries), |_| false));
    }
}
