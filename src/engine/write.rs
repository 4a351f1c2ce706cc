//! Puts, deletes and batches on their way to the log.

use super::Engine;
use super::room::Room;
use crate::device::{Purpose, Writes};
use crate::durability::Durability;
use crate::error::{Error, Result};
use crate::extent::Allocation;
use crate::extent::large::{LargeWriter, Source};
use crate::format::large::LargeShape;
use crate::format::location::Location;
use crate::format::log_page::PAYLOAD_BYTES;
use crate::format::record::{Expected, LargePointer, MAX_PREFIX_BYTES, Record};
use crate::metrics::{Counter, Stage};
use crate::seeded::{Bug, seeded};
use crate::sync::Arc;
use crate::value::Value;
use crate::wal::{Item, Unit};
use std::borrow::Cow;

/// Longest key in bytes.
const MAX_KEY_BYTES: usize = 65_535;
/// Values up to this part of an extent may travel in the log.
const INLINE_FRACTION: usize = 8;
/// Announcements that go with the record that needs them; more get batches of their own.
const ANNOUNCED_ALONG: usize = 16;

/// One change of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation<'a> {
    pub(crate) key: &'a [u8],
    /// The new value; `None` deletes.
    pub(crate) value: Option<&'a [u8]>,
}

/// A large value on the device, or on its way there, that no record refers to yet.
struct Written {
    allocation: Allocation,
    pointer: LargePointer,
}

impl Engine {
    /// Stores the value that `source` supplies, if `expected` holds. Whether it did.
    pub(crate) fn put(
        &self,
        key: &[u8],
        len: u64,
        source: Source<'_>,
        expected: Option<Expected>,
        durability: Durability,
    ) -> Result<bool> {
        self.check_usable()?;
        check_key(key)?;
        let value_len = check_value(len)?;
        let begun = self.recorder.start();
        let done = if self.travels_in_log(key.len(), value_len) {
            let value = read_whole(source, value_len)?;
            let record = Record::Put { key, value_len, expected };
            self.commit(&[(record, &value)], durability)?
        } else {
            self.put_large(key, value_len, source, expected, durability)?
        };
        self.recorder.stop(Stage::Put, begun);
        self.recorder.count(Counter::Puts, 1);
        Ok(done)
    }

    /// Removes `key`, if `expected` holds. Whether it did.
    pub(crate) fn delete(
        &self,
        key: &[u8],
        expected: Option<Expected>,
        durability: Durability,
    ) -> Result<bool> {
        self.check_usable()?;
        check_key(key)?;
        let begun = self.recorder.start();
        let done = if expected.is_none() && self.core.index.get(key).is_none() {
            // Absent already, and as durably as the caller asks once what it saw is.
            self.settle(durability).map(|()| true)?
        } else {
            self.commit(&[(Record::Delete { key, expected }, &[])], durability)?
        };
        self.recorder.stop(Stage::Put, begun);
        self.recorder.count(Counter::Deletes, 1);
        Ok(done)
    }

    /// Makes what this thread has just seen as durable as an answer in `durability` must be.
    fn settle(&self, durability: Durability) -> Result<()> {
        if durability == Durability::Buffered { Ok(()) } else { self.log.sync_weak() }
    }

    /// Stores `value` if `key` has none. Whether it did.
    pub(crate) fn put_if_absent(
        &self,
        key: &[u8],
        value: &[u8],
        durability: Durability,
    ) -> Result<bool> {
        self.check_usable()?;
        check_key(key)?;
        check_value(value.len() as u64)?;
        // Only saves work: what decides is the index when the record is applied.
        if self.core.index.get(key).is_some() {
            return self.settle(durability).map(|()| false);
        }
        let source = Source::Slice(value);
        self.put(key, value.len() as u64, source, Some(Expected::Absent), durability)
    }

    /// Replaces the value of `key` by `new` (`None` deletes) if it is `expected` (`None`:
    /// absent). Otherwise `Err` with the value it has.
    pub(crate) fn compare_and_swap(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
        durability: Durability,
    ) -> Result<Result<(), Option<Value>>> {
        self.check_usable()?;
        check_key(key)?;
        check_value(new.map_or(0, <[u8]>::len) as u64)?;
        let mut room = Room::new(self.large_pages(key, new));
        loop {
            // Until the swap is applied, no other value takes the place that it expects this one at.
            let view = self.view()?;
            let location = view.get(key);
            let current = location.map(|location| self.fetch(key, location)).transpose()?;
            if current.as_deref() != expected {
                return self.settle(durability).map(|()| Err(current));
            }
            let seen = location.map_or(Expected::Absent, Expected::At);
            let holds = location.is_some() && !seeded(Bug::SwapHoldsNothing);
            let view = Some(view).filter(|_| holds);
            let swapped = match (new, location) {
                (Some(value), _) => {
                    let source = Source::Slice(value);
                    self.put(key, value.len() as u64, source, Some(seen), durability)
                }
                (None, Some(_)) => self.delete(key, Some(seen), durability),
                (None, None) => self.settle(durability).map(|()| true),
            };
            drop(view);
            match swapped {
                Ok(true) => return Ok(Ok(())),
                // Something was put in between: look at what it is now.
                Ok(false) => {}
                Err(full @ Error::Full { .. }) if new.is_some() => room.make(self, full)?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Applies all operations, or none.
    pub(crate) fn write(&self, operations: &[Operation<'_>], durability: Durability) -> Result<()> {
        self.check_usable()?;
        if operations.is_empty() {
            return self.settle(durability);
        }
        for operation in operations {
            check_key(operation.key)?;
            check_value(operation.value.map_or(0, <[u8]>::len) as u64)?;
        }
        let begun = self.recorder.start();
        let mut large = Vec::new();
        let result = self
            .write_large_values(operations, &mut large)
            .and_then(|()| self.commit_operations(operations, &large, durability));
        self.finish(&large, result.as_ref().err());
        result?;
        self.recorder.stop(Stage::Put, begun);
        let puts = operations.iter().filter(|operation| operation.value.is_some()).count() as u64;
        self.recorder.count(Counter::Puts, puts);
        self.recorder.count(Counter::Deletes, operations.len() as u64 - puts);
        self.recorder.count(Counter::Batches, 1);
        Ok(())
    }

    fn write_large_values(
        &self,
        operations: &[Operation<'_>],
        large: &mut Vec<Written>,
    ) -> Result<()> {
        self.check_batch_size(operations)?;
        for operation in operations {
            if let Some(value) = operation.value
                && !self.travels_in_log(operation.key.len(), value.len() as u32)
            {
                let (source, len) = (Source::Slice(value), value.len() as u32);
                let (written, writes) = self.begin_large(operation.key, len, source, None)?;
                large.push(written);
                self.wait_for(writes)?;
            }
        }
        Ok(())
    }

    /// Refuses a batch that is too large before any of its values is written.
    fn check_batch_size(&self, operations: &[Operation<'_>]) -> Result<()> {
        let items = self.items(operations, std::iter::repeat(LargePointer::default()));
        self.log.check_size(&Unit::new(&items))
    }

    fn commit_operations(
        &self,
        operations: &[Operation<'_>],
        large: &[Written],
        durability: Durability,
    ) -> Result<()> {
        let mut items = self.announce(large, durability)?;
        items.extend(self.items(operations, large.iter().map(|written| written.pointer)));
        self.commit(&items, durability).map(drop)
    }

    /// The records of `operations`; `pointers` has one for each value too large for the log.
    pub(super) fn items<'a>(
        &self,
        operations: &[Operation<'a>],
        mut pointers: impl Iterator<Item = LargePointer>,
    ) -> Vec<Item<'a>> {
        let item = |&Operation { key, value }: &Operation<'a>| {
            let Some(value) = value else {
                return (Record::Delete { key, expected: None }, &[][..]);
            };
            let value_len = value.len() as u32;
            if self.travels_in_log(key.len(), value_len) {
                return (Record::Put { key, value_len, expected: None }, value);
            }
            let pointer = pointers.next().expect("every large value was written");
            (Record::PutLarge { key, value_len, pointer, expected: None }, &[][..])
        };
        operations.iter().map(item).collect()
    }

    fn put_large(
        &self,
        key: &[u8],
        value_len: u32,
        source: Source<'_>,
        expected: Option<Expected>,
        durability: Durability,
    ) -> Result<bool> {
        let (written, mut writes) = self.begin_large(key, value_len, source, expected)?;
        let (pointer, large) = (written.pointer, [written]);
        let result = self.announce(&large, durability).and_then(|mut items| {
            items.push((Record::PutLarge { key, value_len, pointer, expected }, &[]));
            self.commit_beside(&items, durability, &mut writes)
        });
        // Pages that something is written to are nobody else's.
        drop(writes);
        self.finish(&large, result.as_ref().err());
        if let Ok(false) = result {
            self.core.space.lose_large(&large[0].allocation);
        }
        result
    }

    /// Begins to write a large value to pages of its own (W5).
    fn begin_large(
        &self,
        key: &[u8],
        value_len: u32,
        source: Source<'_>,
        expected: Option<Expected>,
    ) -> Result<(Written, Option<Writes<'_>>)> {
        let shape = LargeShape { key_len: key.len(), value_len };
        let pages = shape.pages();
        let allocate = || {
            self.log.check_usable()?;
            self.core.space.allocate(pages)
        };
        let allocation = self
            .with_room(Some(pages), swaps(expected), allocate)
            .map_err(|error| self.log.failure(error))?;
        let writer = LargeWriter {
            volume: &self.core.volume,
            pool: &self.core.pool,
            store: self.core.store,
            purpose: Purpose::Large,
        };
        match writer.begin(&allocation, key, value_len, source) {
            Ok((pointer, writes)) => Ok((Written { allocation, pointer }, writes)),
            Err(error) => {
                let error = self.log.failure(error);
                self.finish(
                    &[Written { allocation, pointer: LargePointer::default() }],
                    Some(&error),
                );
                Err(error)
            }
        }
    }

    fn wait_for(&self, writes: Option<Writes<'_>>) -> Result<()> {
        let written = writes.map_or(Ok(()), |mut writes| writes.wait());
        written.map_err(|error| self.log.failure(error))
    }

    /// Remembers what is announced, or takes back what nothing refers to nor writes to any more.
    fn finish(&self, large: &[Written], failed: Option<&Error>) {
        for written in large {
            match failed {
                None => self.core.space.announced(&written.allocation),
                Some(
                    Error::Source { .. }
                    | Error::Full { .. }
                    | Error::BatchTooLarge { .. }
                    | Error::Closed,
                ) => self.core.space.give_back(&written.allocation),
                Some(_) => {}
            }
        }
    }

    fn commit(&self, items: &[Item<'_>], durability: Durability) -> Result<bool> {
        self.commit_beside(items, durability, &mut None)
    }

    /// Commits `items` while the value that they refer to is still being written, which is in `writes`
    /// as long as it concerns the caller.
    fn commit_beside<'w>(
        &'w self,
        items: &[Item<'_>],
        durability: Durability,
        writes: &mut Option<Writes<'w>>,
    ) -> Result<bool> {
        let unit = Unit::new(items);
        self.log.check_size(&unit)?;
        if durability == Durability::Buffered {
            // Whoever sees the record reads the value from the device.
            self.wait_for(writes.take())?;
        }
        let commit = || self.log.commit_beside(&unit, durability, writes);
        let done = if unit.needs_space() {
            let swaps = items.iter().any(|(record, _)| swaps(record.expected()));
            self.with_room(None, swaps, commit)?
        } else {
            self.renewal.with_log(commit).map_err(|error| self.full(error))?
        };
        let records = items.iter().filter(|(record, _)| !matches!(record, Record::Announce { .. }));
        self.recorder.count(Counter::Records, records.count() as u64);
        self.recorder.count(Counter::RecordBytes, unit.record_bytes());
        Ok(done)
    }

    /// Does `work`, which is refused and has no effect where the volume is full: makes room then, and
    /// tries again. It may want so many adjacent `pages`. Whoever `swaps` holds a view, for which
    /// nothing could be freed, and has to let go of it first.
    fn with_room<T>(
        &self,
        pages: Option<u64>,
        swaps: bool,
        mut work: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let mut room = Room::new(pages);
        loop {
            match work() {
                Err(full @ Error::Full { .. }) if !swaps => room.make(self, full)?,
                done => return done,
            }
        }
    }

    /// Says who holds on to what could be collected, where the volume is full.
    pub(super) fn full(&self, error: Error) -> Error {
        let Error::Full { mut pinned_by } = error else { return error };
        if self.core.index.pins().held_value_bytes > 0 {
            pinned_by = Some("snapshots or iterators");
        }
        self.core.volume.events.refused(pinned_by);
        Error::Full { pinned_by }
    }

    /// Logs that extents are large ones, ahead of the values in them where they are many: the
    /// values' own batch need not hold it.
    fn announce(&self, large: &[Written], durability: Durability) -> Result<Vec<Item<'static>>> {
        let announcements = announcements(large);
        if announcements.len() <= ANNOUNCED_ALONG {
            return Ok(announcements);
        }
        for some in announcements.chunks(ANNOUNCED_ALONG) {
            self.commit(some, durability)?;
        }
        Ok(Vec::new())
    }

    /// How many adjacent pages `value` takes, if it is a large one.
    fn large_pages(&self, key: &[u8], value: Option<&[u8]>) -> Option<u64> {
        let (key_len, value_len) = (key.len(), value?.len() as u32);
        let is_large = !self.travels_in_log(key_len, value_len);
        is_large.then(|| LargeShape { key_len, value_len }.pages())
    }

    /// Whether a value of this length is logged beside its key.
    pub(super) fn travels_in_log(&self, key_len: usize, value_len: u32) -> bool {
        let pages = self.core.space.extent_pages() as usize;
        let most = pages * PAYLOAD_BYTES / INLINE_FRACTION;
        let record = MAX_PREFIX_BYTES + key_len + value_len as usize;
        let longest = self.options.large_min.min(Location::MAX_INLINE_BYTES);
        value_len <= longest && (record <= most || value_len == 0)
    }
}

fn announcements(large: &[Written]) -> Vec<Item<'static>> {
    let large = if seeded(Bug::LargeUnannounced) { &[] } else { large };
    let announced = large.iter().flat_map(|written| &written.allocation.announce);
    announced.map(|&(extent, state)| (Record::Announce { extent, state }, &[][..])).collect()
}

/// Whether it is a value at a known place that is to be replaced.
fn swaps(expected: Option<Expected>) -> bool {
    matches!(expected, Some(Expected::At(_)))
}

fn read_whole(source: Source<'_>, len: u32) -> Result<Cow<'_, [u8]>> {
    match source {
        Source::Slice(value) => Ok(Cow::Borrowed(value)),
        Source::Aligned(value) => Ok(Cow::Borrowed(value)),
        Source::Reader(reader) => {
            let mut value = vec![0; len as usize];
            reader
                .read_exact(&mut value)
                .map_err(|source| Error::Source { source: Arc::new(source) })?;
            Ok(Cow::Owned(value))
        }
    }
}

pub(super) fn check_key(key: &[u8]) -> Result<()> {
    match key.len() {
        0 => Err(Error::EmptyKey),
        1..=MAX_KEY_BYTES => Ok(()),
        len => Err(Error::KeyTooLong { len }),
    }
}

pub(super) fn check_value(len: u64) -> Result<u32> {
    u32::try_from(len).map_err(|_| Error::ValueTooLong { len })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn pages_of_a_value_that_lost_its_condition_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new().extent_bytes(256 << 10).volume_bytes(8 << 20);
        let engine = Engine::open(&dir.path().join("data.vol"), &options).unwrap();
        let value = vec![7; 1 << 20];
        let put = |expected| {
            let source = Source::Slice(&value);
            engine.put(b"key", value.len() as u64, source, expected, Durability::Synced).unwrap()
        };
        assert!(put(None));
        // Many more than there is room for.
        assert!((0..30).all(|_| !put(Some(Expected::Absent))));
        engine.collect_garbage().unwrap();
        assert!(engine.metrics().used_bytes <= engine.metrics().allowed_bytes);
        assert_eq!(engine.get(b"key").unwrap().unwrap(), value[..]);
    }
}
