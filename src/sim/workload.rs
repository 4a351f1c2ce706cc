//! Workloads: operations that one thread issues, and what the store holds after each.

use super::device::SimDevice;
use super::random::Random;
use crate::batch::WriteBatch;
use crate::db::Db;
use crate::device::{BufferPool, DeviceInfo};
use crate::durability::{Durability, SyncWindow};
use crate::engine::{Background, Engine, Medium};
use crate::error::{Error, Result};
use crate::extent::large::Source;
use crate::format::record::Expected;
use crate::options::Options;
use crate::pending::Pending;
use crate::snapshot::Snapshot;
use crate::sync::{Arc, Duration, Mutex};
use std::collections::BTreeMap;

/// What a store holds.
pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// One call of the store's user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    Put(u8, usize, Durability),
    PutIfAbsent(u8, usize),
    /// Puts the value that the key has, if there is room: a refusal must have no effect, and so has
    /// this.
    Again(u8),
    /// Swaps in a value if the key has the one that the model says it has.
    Swap(u8, usize),
    /// A put that expects the key to be absent, whatever it was when it was called.
    Overtaken(u8, usize),
    Delete(u8, Durability),
    /// Puts of the first keys, delete of the last.
    Batch(Vec<(u8, Option<usize>)>, Durability),
    Sync,
    /// The steps beside the commits.
    Step,
    /// A whole checkpoint.
    Checkpoint,
    /// The next piece of a checkpoint.
    Slice,
    /// Deletes the key if it has the value that the model says it has.
    Discard(u8),
    /// All garbage is collected.
    Collect,
    /// One step of the collector.
    CollectStep,
    /// All garbage is collected; the operation comes when large values have been copied and no
    /// record says so yet.
    CollectAround(Box<Op>),
    /// A put, a delete or a batch, issued by a task that is woken.
    Task(Box<Op>),
    /// The same of a task that is dropped at once.
    DroppedTask(Box<Op>),
    /// Takes a snapshot.
    Hold,
    /// Looks at the snapshot once more and lets go of it.
    Release,
    /// Closes the store and opens it again.
    Reopen,
    /// Opens the store again as if its process had been killed.
    Kill,
}

pub(crate) fn key(number: u8) -> Vec<u8> {
    format!("key-{number:03}").into_bytes()
}

/// A value that no other operation of the workload writes.
pub(crate) fn value(op: usize, part: usize, len: usize) -> Vec<u8> {
    let mut random = Random::new((op as u64) << 20 | part as u64);
    (0..len).map(|_| random.next() as u8).collect()
}

impl Op {
    /// Whether it may be acked before it is durable.
    pub(crate) fn is_weak(&self) -> bool {
        match self {
            Op::Task(op) | Op::DroppedTask(op) => op.is_weak(),
            Op::Put(_, _, durability) | Op::Delete(_, durability) | Op::Batch(_, durability) => {
                *durability != Durability::Synced
            }
            _ => false,
        }
    }

    /// Whether it may be acked before it is written.
    pub(crate) fn is_buffered(&self) -> bool {
        match self {
            Op::Task(op) | Op::DroppedTask(op) => op.is_buffered(),
            Op::Put(_, _, durability) | Op::Delete(_, durability) | Op::Batch(_, durability) => {
                *durability == Durability::Buffered
            }
            _ => false,
        }
    }

    /// Bytes that it leaves at risk until they are flushed.
    pub(crate) fn weak_bytes(&self) -> u64 {
        let bytes = match self {
            Op::Task(op) | Op::DroppedTask(op) => return op.weak_bytes(),
            Op::Put(_, len, _) => *len,
            Op::Batch(changes, _) => changes.iter().filter_map(|(_, len)| *len).sum(),
            _ => 0,
        };
        if self.is_weak() { bytes as u64 } else { 0 }
    }

    /// What the store holds after this, the `at`-th operation.
    pub(crate) fn apply(&self, at: usize, model: &mut Model) {
        match self {
            Op::CollectAround(op) | Op::Task(op) | Op::DroppedTask(op) => op.apply(at, model),
            Op::Put(k, len, _) | Op::Swap(k, len) => {
                model.insert(key(*k), value(at, 0, *len));
            }
            Op::PutIfAbsent(k, len) | Op::Overtaken(k, len) => {
                model.entry(key(*k)).or_insert_with(|| value(at, 0, *len));
            }
            Op::Delete(k, _) | Op::Discard(k) => {
                model.remove(&key(*k));
            }
            Op::Batch(changes, _) => {
                for (part, (k, len)) in changes.iter().enumerate() {
                    match len {
                        Some(len) => model.insert(key(*k), value(at, part, *len)),
                        None => model.remove(&key(*k)),
                    };
                }
            }
            Op::Again(_)
            | Op::Sync
            | Op::Step
            | Op::Checkpoint
            | Op::Slice
            | Op::Collect
            | Op::CollectStep
            | Op::Hold
            | Op::Release
            | Op::Reopen
            | Op::Kill => {}
        }
    }

    /// Begins it, and says whether it is durable once it is over.
    fn begin(&self, at: usize, db: &Db) -> (Pending<()>, bool) {
        let (durability, pending) = match self {
            Op::Put(k, len, durability) => {
                let db = db.with_durability(*durability);
                (durability, db.put_async(key(*k), value(at, 0, *len)))
            }
            Op::Delete(k, durability) => {
                (durability, db.with_durability(*durability).delete_async(key(*k)))
            }
            Op::Batch(changes, durability) => {
                let batch = batch_of(at, changes);
                (durability, db.with_durability(*durability).write_async(&batch))
            }
            _ => unreachable!("no task does that"),
        };
        (pending, *durability == Durability::Synced)
    }

    fn issue(&self, at: usize, db: &Db, engine: &Arc<Engine>, model: &Model) -> Result<bool> {
        match self {
            Op::Put(k, len, durability) => {
                db.with_durability(*durability).put(key(*k), value(at, 0, *len))?;
                Ok(*durability == Durability::Synced)
            }
            Op::PutIfAbsent(k, len) => {
                let stored = db.put_if_absent(key(*k), value(at, 0, *len))?;
                assert_eq!(stored, !model.contains_key(&key(*k)), "put_if_absent decides right");
                Ok(true)
            }
            Op::Again(k) => {
                let Some(value) = model.get(&key(*k)) else { return Ok(false) };
                match db.put(key(*k), value) {
                    Ok(()) => Ok(true),
                    Err(Error::Full { .. }) => Ok(false),
                    Err(error) => Err(error),
                }
            }
            Op::Overtaken(k, len) => {
                let value = value(at, 0, *len);
                let (source, expected) = (Source::Slice(&value), Some(Expected::Absent));
                let stored =
                    engine.put(&key(*k), *len as u64, source, expected, Durability::Synced)?;
                assert_eq!(stored, !model.contains_key(&key(*k)), "L1: decided when applied");
                Ok(true)
            }
            Op::Swap(k, len) => {
                let seen = model.get(&key(*k)).map(Vec::as_slice);
                let swapped = db.compare_and_swap(key(*k), seen, Some(&value(at, 0, *len)))?;
                assert_eq!(swapped, Ok(()), "nobody else writes");
                Ok(true)
            }
            Op::Discard(k) => {
                let seen = model.get(&key(*k)).map(Vec::as_slice);
                let discarded = db.compare_and_swap(key(*k), seen, None)?;
                assert_eq!(discarded, Ok(()), "nobody else writes");
                Ok(true)
            }
            Op::Delete(k, durability) => {
                db.with_durability(*durability).delete(key(*k))?;
                Ok(*durability == Durability::Synced)
            }
            Op::Batch(changes, durability) => {
                db.with_durability(*durability).write(&batch_of(at, changes))?;
                Ok(*durability == Durability::Synced)
            }
            Op::Sync => db.sync().map(|()| true),
            Op::Step => engine.step().map(|()| false),
            Op::Checkpoint => db.checkpoint().map(|()| true),
            Op::Slice => engine.checkpoint_step().map(|_| false),
            Op::Collect => db.collect_garbage().map(|()| false),
            Op::CollectStep => engine.collector_step().map(|_| false),
            Op::CollectAround(op) => collect_around(op, at, db, engine, model),
            Op::Task(op) => {
                let (task, durable) = op.begin(at, db);
                while engine.committer_step() {}
                task.park().map(|()| durable)
            }
            Op::DroppedTask(op) => {
                let (task, durable) = op.begin(at, db);
                drop(task);
                while engine.committer_step() {}
                // What came of it, nobody says.
                engine.fatal().map_or(Ok(durable), |cause| Err(Error::Poisoned { cause }))
            }
            Op::Hold | Op::Release | Op::Reopen | Op::Kill => unreachable!("a session does that"),
        }
    }
}

fn batch_of(at: usize, changes: &[(u8, Option<usize>)]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for (part, (k, len)) in changes.iter().enumerate() {
        match len {
            Some(len) => batch.put(key(*k), value(at, part, *len)),
            None => batch.delete(key(*k)),
        }
    }
    batch
}

/// The most that weaker writes leave at risk.
pub(crate) const WINDOW_BYTES: u64 = 20_000;

/// Collects all garbage, and issues `op` when large values have been copied.
fn collect_around(
    op: &Op,
    at: usize,
    db: &Db,
    engine: &Arc<Engine>,
    model: &Model,
) -> Result<bool> {
    let outcome = Arc::new(Mutex::new(None));
    let (db_again, engine_again) = (db.clone(), Arc::clone(engine));
    let (set, meanwhile, before) = (Arc::clone(&outcome), op.clone(), model.clone());
    engine.when_copied(move || {
        *set.lock() = Some(meanwhile.issue(at, &db_again, &engine_again, &before));
    });
    let collected = db.collect_garbage();
    engine.when_copied(|| ());
    let issued = outcome.lock().take();
    collected?;
    // Where reads fail, nothing is copied.
    issued.unwrap_or_else(|| op.issue(at, db, engine, model))
}

/// A slice of a checkpoint holds two keys, so that images have several.
const SLICE_BYTES: usize = 50;

/// Little, since so many stores are opened.
const CACHE_BYTES: usize = 256 << 10;

/// The shape of a simulated volume.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) extent_pages: u64,
    pub(crate) max_pages: u64,
    pub(crate) fixed: bool,
    pub(crate) large_min: u32,
    pub(crate) discards: bool,
}

impl Shape {
    pub(crate) fn options(self) -> Options {
        let page = crate::format::ids::PAGE_BYTES as u64;
        let options = Options::new()
            .extent_bytes(self.extent_pages * page)
            .large_min(self.large_min)
            .create_new(false)
            .discard(self.discards)
            .cache_bytes(CACHE_BYTES)
            .sync_window(SyncWindow { bytes: WINDOW_BYTES, time: Duration::ZERO });
        let options = if self.fixed {
            options.volume_bytes(self.max_pages * page)
        } else {
            options.max_bytes(self.max_pages * page)
        };
        Options { evidence_after: Duration::ZERO, slice_bytes: SLICE_BYTES, ..options }
    }
}

/// Opens the store on `device`.
pub(crate) fn open(
    device: &SimDevice,
    shape: Shape,
    background: Background,
) -> Result<Arc<Engine>> {
    thread_local! {
        static POOL: BufferPool = BufferPool::new(4 << 20);
    }
    let pages = crate::device::Device::len_pages(device);
    let medium = Medium {
        device: Arc::new(device.clone()),
        info: DeviceInfo::simulated(false),
        len_bytes: pages * crate::format::ids::PAGE_BYTES as u64,
        pool: POOL.with(BufferPool::clone),
    };
    Engine::open_on(medium, &shape.options(), background)
}

/// What the store holds after the first 0, 1, 2 .. operations, on top of `start`.
pub(crate) fn states(ops: &[Op], start: &Model) -> Vec<Model> {
    let mut model = start.clone();
    let mut states = vec![model.clone()];
    for (at, op) in ops.iter().enumerate() {
        op.apply(at, &mut model);
        states.push(model.clone());
    }
    states
}

/// A store in use, one operation after the other.
pub(crate) struct Session {
    device: SimDevice,
    shape: Shape,
    engine: Arc<Engine>,
    pub(crate) db: Db,
    pub(crate) model: Model,
    /// Whether some operation may be lost by a power cut.
    weak: bool,
    /// A snapshot, and what it shows.
    held: Option<(Snapshot, Model)>,
}

impl Session {
    /// Opens the store on `device`, which holds `model`.
    pub(crate) fn open(device: &SimDevice, shape: Shape, model: &Model) -> Result<Self> {
        let engine = open(device, shape, Background::Manual)?;
        let db = Db::new(Arc::clone(&engine));
        let (device, model) = (device.clone(), model.clone());
        Ok(Self { device, shape, engine, db, model, weak: false, held: None })
    }

    /// Large extents with pages that are neither free nor referred to, when nobody does anything.
    pub(crate) fn with_lost_pages(&self) -> Vec<u32> {
        self.engine.with_lost_pages()
    }

    /// Issues the `at`-th operation. Whether all up to it is durable.
    pub(crate) fn issue(&mut self, at: usize, op: &Op) -> Result<bool> {
        let durable = match op {
            Op::Reopen => {
                self.db.clone().close()?;
                self.reopen()?;
                true
            }
            Op::Kill => {
                assert!(!self.weak, "what a kill takes back, the model cannot know");
                // Nothing of the old process runs any more.
                std::mem::forget((Arc::clone(&self.engine), self.db.clone()));
                self.reopen()?;
                true
            }
            Op::Hold => {
                self.release()?;
                self.held = Some((self.db.snapshot(), self.model.clone()));
                false
            }
            Op::Release => self.release().map(|()| false)?,
            op => op.issue(at, &self.db, &self.engine, &self.model)?,
        };
        self.weak = !durable && (self.weak || op.is_weak());
        op.apply(at, &mut self.model);
        Ok(durable)
    }

    /// What a snapshot shows is there until it is dropped, whatever is collected meanwhile.
    fn release(&mut self) -> Result<()> {
        let Some((snapshot, model)) = self.held.take() else { return Ok(()) };
        let mut expected = model.iter();
        for entry in snapshot.iter() {
            let entry = entry?;
            let shown = (entry.key().to_vec(), entry.value()?.into_vec());
            let expected = expected.next().map(|(key, value)| (key.clone(), value.clone()));
            assert_eq!(Some(shown), expected, "a snapshot shows one moment");
        }
        assert_eq!(expected.next(), None, "a snapshot shows all of it");
        Ok(())
    }

    fn reopen(&mut self) -> Result<()> {
        self.held = None;
        self.device.reconnect();
        self.engine = open(&self.device, self.shape, Background::Manual)?;
        self.db = Db::new(Arc::clone(&self.engine));
        Ok(())
    }
}

/// Runs `ops` on `device` until one fails or all are done; notes issues and acks in the trace.
pub(crate) fn run(device: &SimDevice, shape: Shape, ops: &[Op], start: &Model) -> Result<()> {
    let mut session = Session::open(device, shape, start)?;
    for (at, op) in ops.iter().enumerate() {
        device.note_issue(at);
        match session.issue(at, op) {
            Ok(durable) => {
                let moved = session.db.metrics().moved_large_bytes;
                assert!(moved > 0 || !matches!(op, Op::CollectAround(_)), "large values moved");
                let repaired = &session.db.open_report().repaired;
                assert!(repaired.is_empty(), "nothing is damaged: {repaired:?}");
                device.note_ack(at, durable);
            }
            Err(Error::Full { .. }) => panic!("the workload fits the volume"),
            Err(error) => return Err(error),
        }
    }
    session.db.close()
}

/// `count` random operations on `keys` keys.
pub(crate) fn random_ops(random: &mut Random, count: usize, keys: u64, longest: u64) -> Vec<Op> {
    let durability = |random: &mut Random| match random.below(6) {
        0 => Durability::Buffered,
        1 => Durability::Written,
        _ => Durability::Synced,
    };
    let len = |random: &mut Random| {
        let scale = [10, 1000, 5000, longest][random.below(4) as usize];
        random.below(scale + 1) as usize
    };
    let op = |random: &mut Random| {
        let k = random.below(keys) as u8;
        match random.below(27) {
            24 => Op::Task(Box::new(Op::Put(k, len(random), durability(random)))),
            25 => Op::DroppedTask(Box::new(Op::Put(k, len(random), durability(random)))),
            26 => Op::Task(Box::new(Op::Delete(k, durability(random)))),
            0..5 => Op::Put(k, len(random), durability(random)),
            5..7 => Op::Delete(k, durability(random)),
            7 => Op::PutIfAbsent(k, len(random)),
            8 => Op::Swap(k, len(random)),
            9..11 => {
                let changes = (0..1 + random.below(4))
                    .map(|_| {
                        let put = random.below(3) > 0;
                        (random.below(keys) as u8, put.then(|| random.below(900) as usize))
                    })
                    .collect();
                Op::Batch(changes, durability(random))
            }
            11 => Op::Sync,
            12..14 => Op::Step,
            14 => Op::Checkpoint,
            15..17 => Op::Slice,
            17..19 => Op::Collect,
            19..21 => Op::CollectStep,
            21 => Op::Hold,
            22 => Op::Release,
            _ => Op::Reopen,
        }
    };
    (0..count).map(|_| op(random)).collect()
}

/// Puts of `keys` keys, which fill the volume, and `count` random operations that need no more room:
/// puts that may be refused, deletes, and what happens beside.
pub(crate) fn ops_at_the_edge(random: &mut Random, keys: u8, count: usize) -> Vec<Op> {
    let mut ops: Vec<_> = (0..keys).map(|k| Op::Put(k, 1500, Durability::Synced)).collect();
    let mut weak = false;
    for _ in 0..count {
        let k = random.below(u64::from(keys)) as u8;
        let op = match random.below(16) {
            0..6 => Op::Again(k),
            6 => Op::Delete(k, Durability::Synced),
            7 => Op::Delete(k, Durability::Buffered),
            8 => Op::Batch(vec![(k, None), ((k + 1) % keys, None)], Durability::Written),
            9 => Op::Discard(k),
            10 => Op::Collect,
            11 => Op::CollectStep,
            12 => Op::Checkpoint,
            13 => Op::Hold,
            14 => Op::Release,
            _ if weak => Op::Reopen,
            _ => Op::Kill,
        };
        // What comes after it is durable makes all before it durable; a put may be refused.
        weak = op.is_weak() || (weak && !matches!(op, Op::Checkpoint | Op::Reopen));
        ops.push(op);
    }
    ops
}
