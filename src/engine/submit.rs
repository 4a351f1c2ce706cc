//! Operations that nobody waits for: a task asks, and is woken.

use super::Engine;
use super::committer::Queued;
use super::read::Caching;
use super::wanted::Wanted;
use super::write::{Operation, check_key, check_value};
use crate::batch::WriteBatch;
use crate::durability::Durability;
use crate::error::{Error, Result};
use crate::format::record::{LargePointer, Record};
use crate::metrics::{Counter, Stage};
use crate::pending::{Pending, Slot};
use crate::sync::{Arc, Instant};
use crate::value::Value;
use crate::wal::{Item, Submitted, Unit};

impl Engine {
    /// Stores `value`, which is copied.
    pub(crate) fn put_async(
        self: &Arc<Self>,
        key: &[u8],
        value: &[u8],
        durability: Durability,
    ) -> Pending<()> {
        let checked = self.check_usable().and_then(|()| check_key(key));
        let value_len = match checked.and_then(|()| check_value(value.len() as u64)) {
            Ok(value_len) => value_len,
            Err(error) => return self.over(Err(error)),
        };
        let owned = || {
            let mut batch = WriteBatch::new();
            batch.put(key, value);
            batch
        };
        if !self.travels_in_log(key.len(), value_len) {
            return self.leave_to_worker(owned(), durability);
        }
        let begun = self.recorder.start();
        let record = Record::Put { key, value_len, expected: None };
        self.begin(&[(record, value)], durability, begun, owned)
    }

    /// Removes `key`.
    pub(crate) fn delete_async(
        self: &Arc<Self>,
        key: &[u8],
        durability: Durability,
    ) -> Pending<()> {
        if let Err(error) = self.check_usable().and_then(|()| check_key(key)) {
            return self.over(Err(error));
        }
        // Absent already, and nothing that could be lost made it so.
        let begun = self.recorder.start();
        let is_settled = durability == Durability::Buffered || !self.log.has_weak();
        if is_settled && self.core.index.get(key).is_none() {
            self.recorder.stop(Stage::Put, begun);
            self.recorder.count(Counter::Deletes, 1);
            return self.over(Ok(()));
        }
        let owned = || {
            let mut batch = WriteBatch::new();
            batch.delete(key);
            batch
        };
        self.begin(&[(Record::Delete { key, expected: None }, &[])], durability, begun, owned)
    }

    /// Applies all changes of `batch`, or none.
    pub(crate) fn write_async(
        self: &Arc<Self>,
        batch: &WriteBatch,
        durability: Durability,
    ) -> Pending<()> {
        let operations = batch.operations();
        let check = |operation: &Operation<'_>| {
            check_key(operation.key)?;
            let value_len = check_value(operation.value.map_or(0, <[u8]>::len) as u64)?;
            Ok(operation.value.is_none() || self.travels_in_log(operation.key.len(), value_len))
        };
        let checked: Result<Vec<bool>> =
            self.check_usable().and_then(|()| operations.iter().map(check).collect());
        match checked {
            Err(error) => self.over(Err(error)),
            Ok(in_log) if in_log.is_empty() || in_log.contains(&false) => {
                self.leave_to_worker(batch.clone(), durability)
            }
            Ok(_) => {
                let begun = self.recorder.start();
                let items = self.items_in_log(&operations);
                let pending = self.begin(&items, durability, begun, || batch.clone());
                self.recorder.count(Counter::Batches, 1);
                pending
            }
        }
    }

    /// The value of `key`: at once, if it has none or that is in memory.
    pub(crate) fn get_async(self: &Arc<Self>, key: &[u8]) -> Pending<Option<Value>> {
        match self.get_from_memory(key) {
            Ok(Some(found)) => self.over(Ok(found)),
            Ok(None) => {
                let key = key.to_vec();
                self.read_async(move |engine| engine.get(&key))
            }
            Err(error) => self.over(Err(error)),
        }
    }

    /// Has a thread do `read`, which waits for the device.
    pub(crate) fn read_async<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Arc<Self>) -> Result<T> + Send + 'static,
    ) -> Pending<T> {
        if let Err(error) = self.check_usable() {
            return self.over(Err(error));
        }
        let (pending, slot) = Pending::handed(self.fork);
        self.committer.readers.hand(self.job(slot, read));
        pending
    }

    /// Has a thread do `work`, which waits until it is durable.
    pub(crate) fn work_async<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T> + Send + 'static,
    ) -> Pending<T> {
        if let Err(error) = self.check_usable() {
            return self.over(Err(error));
        }
        let (pending, slot) = Pending::handed(self.fork);
        self.committer.writers.hand(self.job(slot, work));
        pending
    }

    /// Has a thread write `batch`, make room for it if need be, and answer in `slot`.
    pub(super) fn write_by_worker(
        self: &Arc<Self>,
        batch: WriteBatch,
        durability: Durability,
        slot: Slot<()>,
    ) {
        let write = move |engine: &Arc<Self>| match batch.operations()[..] {
            [Operation { key, value: Some(value) }] => {
                let source = crate::extent::large::Source::Slice(value);
                engine.put(key, value.len() as u64, source, None, durability).map(drop)
            }
            [Operation { key, value: None }] => engine.delete(key, None, durability).map(drop),
            ref operations => engine.write(operations, durability),
        };
        self.committer.writers.hand(self.job(slot, write));
    }

    /// Adds the changes of `batch` to the log, however long it takes until that has room for them.
    pub(super) fn submit_waiting(
        &self,
        batch: &WriteBatch,
        durability: Durability,
        begun: Option<Instant>,
    ) -> Result<Submitted> {
        self.check_usable()?;
        let items = self.items_in_log(&batch.operations());
        let submitted = self.log.submit_waiting(&Unit::new(&items), durability, begun)?;
        self.count_submitted(&items);
        Ok(submitted)
    }

    /// Takes one step of the committer; whether there was anything to do.
    #[cfg(test)]
    pub(crate) fn committer_step(&self) -> bool {
        self.committer.step()
    }

    /// Logs `items`, all of which travel in the log. They are copied right there where that takes no
    /// waiting; else `owned` copies them. The operation is timed if it has `begun`; a thread that does it
    /// times it by itself.
    fn begin(
        self: &Arc<Self>,
        items: &[Item<'_>],
        durability: Durability,
        begun: Option<Instant>,
        owned: impl FnOnce() -> WriteBatch,
    ) -> Pending<()> {
        match self.submit(items, durability, begun) {
            Ok(Submitted::Done) => self.over(Ok(())),
            Ok(Submitted::InBatch { ticket, .. }) => Pending::in_batch(self.fork, ticket, ()),
            Ok(Submitted::NoRoom) => {
                let (pending, slot) = Pending::handed(self.fork);
                let (engine, batch) = (Arc::clone(self), owned());
                self.committer.queue(Queued { engine, batch, durability, slot, begun });
                pending
            }
            Err(Error::Full { .. }) => self.leave_to_worker(owned(), durability),
            Err(error) => self.over(Err(error)),
        }
    }

    fn submit(
        &self,
        items: &[Item<'_>],
        durability: Durability,
        begun: Option<Instant>,
    ) -> Result<Submitted> {
        let unit = Unit::new(items);
        self.log.check_size(&unit)?;
        self.committer.start()?;
        // Who has waited for room longer comes first.
        if self.committer.is_busy() {
            return Ok(Submitted::NoRoom);
        }
        let submitted = self.log.submit(&unit, durability, begun)?;
        match submitted {
            Submitted::NoRoom => return Ok(submitted),
            Submitted::InBatch { summons: true, .. } => self.committer.summon(),
            Submitted::InBatch { .. } | Submitted::Done => {}
        }
        self.count_submitted(items);
        Ok(submitted)
    }

    fn leave_to_worker(self: &Arc<Self>, batch: WriteBatch, durability: Durability) -> Pending<()> {
        let (pending, slot) = Pending::handed(self.fork);
        self.write_by_worker(batch, durability, slot);
        pending
    }

    /// What of a get takes no device: `None` if it takes one.
    fn get_from_memory(&self, key: &[u8]) -> Result<Option<Option<Value>>> {
        self.check_usable()?;
        let _reading = self.core.readers.enter();
        let Some(location) = self.core.index.get(key) else {
            self.recorder.count(Counter::Gets, 1);
            self.recorder.count(Counter::Misses, 1);
            return Ok(Some(None));
        };
        // Whoever reads it from the device counts what was not there.
        let found = self.in_memory(Caching::Look, &Wanted::new(key, location));
        self.recorder.count(Counter::Gets, u64::from(found.is_some()));
        Ok(found.map(Some))
    }

    fn job<T: Send + 'static>(
        self: &Arc<Self>,
        slot: Slot<T>,
        work: impl FnOnce(&Arc<Self>) -> Result<T> + Send + 'static,
    ) -> super::workers::Job {
        let engine = Arc::clone(self);
        Box::new(move |admitted| {
            let result = admitted.and_then(|()| work(&engine));
            // What closes it when this was the last is over before it is told.
            drop(engine);
            slot.fill(result);
        })
    }

    fn items_in_log<'a>(&self, operations: &[Operation<'a>]) -> Vec<Item<'a>> {
        self.items(operations, std::iter::empty::<LargePointer>())
    }

    fn count_submitted(&self, items: &[Item<'_>]) {
        let puts = items.iter().filter(|(record, _)| matches!(record, Record::Put { .. })).count();
        let (puts, records) = (puts as u64, items.len() as u64);
        self.recorder.count(Counter::Puts, puts);
        self.recorder.count(Counter::Deletes, records - puts);
        self.recorder.count(Counter::Records, records);
        self.recorder.count(Counter::RecordBytes, Unit::new(items).record_bytes());
    }

    fn over<T>(&self, result: Result<T>) -> Pending<T> {
        Pending::over(self.fork, result)
    }
}
