//! What the log adds to an image: its records since, by key and in the order of the log.

use super::apply::{Fate, decide};
use crate::format::ids::{BatchNo, PageNo};
use crate::format::image::Position;
use crate::format::location::Location;
use crate::format::record::{Entries, Entry, Record};
use crate::sync::{self, Arc};
use std::cmp::Ordering;

/// Records of the log, collected while it is replayed.
#[derive(Debug, Default)]
pub(super) struct Delta {
    /// Entries as they came, one after the other.
    entries: Vec<Vec<u8>>,
    lines: Vec<Line>,
}

/// One record: where its entry is, and what decides its order.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// The first bytes of the key; see [`head`].
    head: u64,
    chunk: u32,
    at: u32,
    batch: BatchNo,
    index: u32,
}

impl Delta {
    /// Adds the entries of batches that follow those added before, and shows each record to
    /// `meet`. False if they make no sense.
    pub(super) fn add(
        &mut self,
        entries: &[u8],
        mut meet: impl FnMut(&Record<'_>) -> bool,
    ) -> bool {
        let chunk = self.entries.len() as u32;
        let mut walk = Entries::new(entries);
        let (mut batch, mut index) = (BatchNo(0), 0);
        loop {
            let at = (entries.len() - walk.rest().len()) as u32;
            match walk.next() {
                None => break,
                Some(Some(Entry::Batch(number))) => (batch, index) = (number, 0),
                Some(Some(Entry::Record { record, .. })) => {
                    if !meet(&record) {
                        return false;
                    }
                    if !record.key().is_empty() {
                        self.lines.push(Line { head: head(record.key()), chunk, at, batch, index });
                    }
                    index += 1;
                }
                Some(None) => return false,
            }
        }
        self.entries.push(entries.to_vec());
        true
    }

    /// Number of records.
    pub(super) fn len(&self) -> u64 {
        self.lines.len() as u64
    }

    /// Sorts the records, on as many threads as there are cores, and begins to walk them.
    pub(super) fn sorted(mut self) -> Sorted {
        let lines = std::mem::take(&mut self.lines);
        let parts = sync::cores().min(lines.len() / LEAST_PER_THREAD + 1);
        let delta = Arc::new(self);
        let share = lines.len().div_ceil(parts).max(1);
        let runs =
            sync::map_parallel(lines.chunks(share).map(<[Line]>::to_vec).collect(), |mut run| {
                run.sort_unstable_by(|a, b| delta.compare(a, b));
                run
            });
        Sorted { delta, runs: runs.into_iter().map(|lines| Run { lines, at: 0 }).collect() }
    }

    fn compare(&self, a: &Line, b: &Line) -> Ordering {
        a.head
            .cmp(&b.head)
            .then_with(|| self.key(a).cmp(self.key(b)))
            .then_with(|| (a.chunk, a.at).cmp(&(b.chunk, b.at)))
    }

    fn key(&self, line: &Line) -> &[u8] {
        self.record(line).0.key()
    }

    fn record(&self, line: &Line) -> (Record<'_>, PageNo, u16) {
        let entries = &self.entries[line.chunk as usize][line.at as usize..];
        match Entries::new(entries).next() {
            Some(Some(Entry::Record { record, page, offset })) => (record, page, offset),
            _ => unreachable!("the entry was decoded when it was added"),
        }
    }
}

/// Records below which a thread is not worth it.
const LEAST_PER_THREAD: usize = 50_000;

/// Sorted lines, and how many have been taken.
#[derive(Debug)]
struct Run {
    lines: Vec<Line>,
    at: usize,
}

/// The records of a [`Delta`] in order of their keys.
#[derive(Debug)]
pub(super) struct Sorted {
    delta: Arc<Delta>,
    runs: Vec<Run>,
}

impl Sorted {
    /// The key of the next record.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.first().map(|(_, line)| self.delta.key(line))
    }

    /// Takes all records of the next key, whose value is at `base` in an image that is exact at
    /// `position`; returns what becomes of it.
    pub(super) fn fold(&mut self, base: Option<Location>, position: Position) -> Fate {
        let Some((run, &first)) = self.first() else { return base };
        self.runs[run].at += 1;
        let mut fate = self.after(&first, base, position);
        while let Some((run, &line)) = self.first() {
            if line.head != first.head || self.delta.key(&line) != self.delta.key(&first) {
                break;
            }
            self.runs[run].at += 1;
            fate = self.after(&line, fate, position);
        }
        fate
    }

    fn after(&self, line: &Line, fate: Fate, position: Position) -> Fate {
        if position.covers(line.batch, line.index) {
            return fate;
        }
        let (record, page, offset) = self.delta.record(line);
        decide(&record, page, offset, || fate).unwrap_or(fate)
    }

    /// The next line, and the run that it is of.
    fn first(&self) -> Option<(usize, &Line)> {
        let heads = self.runs.iter().enumerate();
        let heads = heads.filter_map(|(i, run)| run.lines.get(run.at).map(|line| (i, line)));
        heads.min_by(|(_, a), (_, b)| self.delta.compare(a, b))
    }
}

/// The first eight bytes of a key as a number, zeros standing in for missing ones: different
/// heads order as their keys do.
fn head(key: &[u8]) -> u64 {
    let mut padded = [0; 8];
    let len = key.len().min(8);
    padded[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(padded)
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn sorted(batches: &[Vec<u8>]) -> Sorted {
        let mut delta = Delta::default();
        for entries in batches {
            assert!(delta.add(entries, |_| true));
        }
        delta.sorted()
    }

    const START: Position = Position { batch: BatchNo(0), records: 0 };

    #[test]
    fn records_come_by_key_and_then_as_in_the_log() {
        let delete = Record::Delete { key: b"a", expected: None };
        let mut sorted = sorted(&[
            batch(1, &[put(b"b", None), put(b"a", None)]),
            batch(2, &[delete, put(b"abcdefghi", None), put(b"abcdefgh", None)]),
        ]);
        assert_eq!(sorted.key(), Some(&b"a"[..]));
        assert_eq!(sorted.fold(None, START), None);
        assert_eq!(sorted.key(), Some(&b"abcdefgh"[..]));
        assert_eq!(sorted.fold(None, START), at(2, 2));
        assert_eq!(sorted.key(), Some(&b"abcdefghi"[..]));
        assert_eq!(sorted.fold(None, START), at(2, 1));
        assert_eq!(sorted.fold(at(9, 9), START), at(1, 0));
        assert_eq!(sorted.key(), None);
    }

    #[test]
    fn what_the_image_covers_is_skipped() {
        let log = [batch(1, &[put(b"k", None)]), batch(2, &[put(b"x", None), put(b"k", None)])];
        let base = at(7, 7);
        let all = Position::after(BatchNo(2));
        assert_eq!(sorted(&log).fold(base, all), base);
        let inside = Position { batch: BatchNo(2), records: 1 };
        assert_eq!(sorted(&log).fold(base, inside), at(2, 1));
    }

    #[test]
    fn conditions_are_decided_by_what_comes_before() {
        let absent = Some(Expected::Absent);
        let log = [batch(1, &[put(b"k", absent)]), batch(2, &[put(b"k", absent)])];
        assert_eq!(sorted(&log).fold(None, START), at(1, 0));
        assert_eq!(sorted(&log).fold(at(7, 7), START), at(7, 7));
        let moved = Some(Expected::At(Location::log(PageNo(1), 0, 1)));
        let log = [batch(1, &[put(b"k", None)]), batch(2, &[put(b"k", moved)])];
        assert_eq!(sorted(&log).fold(None, START), at(2, 0));
    }

    #[test]
    fn entries_that_make_no_sense_are_refused() {
        let mut entries = batch(1, &[put(b"k", None)]);
        entries.truncate(entries.len() - 1);
        assert!(!Delta::default().add(&entries, |_| true));
        assert!(!Delta::default().add(&batch(1, &[put(b"k", None)]), |_| false));
    }
}
