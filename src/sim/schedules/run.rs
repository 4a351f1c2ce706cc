//! One schedule: the threads do what is planned, and note what they are shown.

use super::super::device::SimDevice;
use super::super::history::op_number;
use super::super::trace::{Pages, Trace};
use super::super::workload::Model;
use super::open_with;
use super::plan::{COUNTER, Call, Plan, RESIDENTS, all_keys, resident_key, resident_value};
use crate::batch::WriteBatch;
use crate::db::Db;
use crate::device::BufferPool;
use crate::durability::Durability;
use crate::engine::{Background, Engine};
use crate::error::{Error, Result};
use crate::iter::Iter;
use crate::sync::Arc;
use std::sync::Mutex;

/// What a call showed of the store.
#[derive(Debug)]
pub(super) struct Look {
    /// The call's number in the trace.
    pub(super) op: usize,
    /// The one key it asked for, if not for all.
    pub(super) key: Option<Vec<u8>>,
    pub(super) found: Model,
}

/// What a call learned of the counter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tally {
    pub(super) op: usize,
    pub(super) value: u64,
    /// Whether it is the call that made it so.
    pub(super) made: bool,
}

/// What happened in a schedule.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) trace: Trace,
    pub(super) looks: Vec<Look>,
    pub(super) tallies: Vec<Tally>,
    /// What is on the device after the store was closed, and what it showed before.
    pub(super) closed: Pages,
    pub(super) last: Option<Model>,
    /// Whether large values were moved.
    pub(super) moved_large: bool,
}

/// A thread and what it has seen.
struct Actor {
    plan: Arc<Plan>,
    thread: usize,
    db: Db,
    engine: Arc<Engine>,
    device: SimDevice,
    background: Background,
    looks: Vec<Look>,
    tallies: Vec<Tally>,
    /// Scans under way: when they end, and what they belong to.
    scans: Vec<(usize, usize, Iter, Model)>,
}

pub(super) fn run(plan: &Arc<Plan>, store: Pages) -> Run {
    let device = SimDevice::new(store).with_latency(plan.latency);
    let pool = BufferPool::new(1 << 20);
    let engine = open_with(&device, &pool, plan.options(), plan.background).unwrap();
    let db = Db::new(Arc::clone(&engine));
    let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let start = |thread| {
        let (plan, seen, device) = (Arc::clone(plan), Arc::clone(&seen), device.clone());
        let (db, engine) = (db.clone(), Arc::clone(&engine));
        shuttle::thread::spawn(move || {
            let (looks, tallies, scans) = Default::default();
            let background = plan.background;
            let calls = Arc::clone(&plan);
            let mut actor =
                Actor { plan, thread, db, engine, device, background, looks, tallies, scans };
            actor.act(&calls.threads[thread]);
            let mut seen = seen.lock().unwrap();
            seen.0.append(&mut actor.looks);
            seen.1.append(&mut actor.tallies);
        })
    };
    let threads: Vec<_> = (0..plan.threads.len()).map(start).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let last = closing(scan_all(&db)).unwrap();
    let last = last.map(|found| plan.without_residents(found, true));
    let moved_large = db.metrics().moved_large_bytes > 0;
    drop(engine);
    if last.is_some() {
        db.close().unwrap();
    }
    let (looks, tallies) = std::mem::take(&mut *seen.lock().unwrap());
    Run { trace: device.trace(), looks, tallies, closed: device.pages(), last, moved_large }
}

/// What a call on a store that is being closed may answer.
fn closing<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(done) => Ok(Some(done)),
        Err(Error::Closed) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keys of a view that shows so many that are written.
fn plan_len(plan: &Plan, written: usize) -> u64 {
    (written + if plan.moves { RESIDENTS } else { 0 }) as u64
}

/// There may be no room for what moves.
fn or_full(done: Result<()>) -> Result<()> {
    match done {
        Err(Error::Full { .. }) => Ok(()),
        done => done,
    }
}

pub(super) fn scan_all(db: &Db) -> Result<Model> {
    db.iter()
        .map(|entry| entry.and_then(|e| Ok((e.key().to_vec(), e.value()?.into_vec()))))
        .collect()
}

impl Actor {
    fn act(&mut self, calls: &[Call]) {
        for (at, call) in calls.iter().enumerate() {
            let op = op_number(self.thread, at);
            self.device.note_issue(op);
            match closing(self.issue(op, at, call)) {
                Ok(Some(durable)) => self.device.note_ack(op, durable),
                Ok(None) => return,
                Err(error) => panic!("thread {}, call {at}, {call:?}: {error}", self.thread),
            }
            if closing(self.go_on(at)).unwrap().is_none() {
                return;
            }
        }
        closing(self.go_on(usize::MAX)).unwrap();
    }

    /// Whether all up to it is durable.
    fn issue(&mut self, op: usize, at: usize, call: &Call) -> Result<bool> {
        match call {
            Call::Write(changes, durability) => {
                let mut batch = WriteBatch::new();
                for (key, value) in changes {
                    match value {
                        Some(value) => batch.put(key, value),
                        None => batch.delete(key),
                    }
                }
                self.db.with_durability(*durability).write(&batch)?;
                return Ok(*durability == Durability::Synced);
            }
            Call::Change(key, value, durability) => {
                let db = self.db.with_durability(*durability);
                match value {
                    Some(value) => db.put(key, value)?,
                    None => db.delete(key)?,
                }
                return Ok(*durability == Durability::Synced);
            }
            Call::Task(key, value, durability) => {
                let db = self.db.with_durability(*durability);
                let task = match value {
                    Some(value) => db.put_async(key, value),
                    None => db.delete_async(key),
                };
                if self.background == Background::Manual {
                    while self.engine.committer_step() {}
                }
                task.park()?;
                return Ok(*durability == Durability::Synced);
            }
            Call::PutIfAbsent(key, value, expected) => {
                assert_eq!(self.db.put_if_absent(key, value)?, *expected, "nobody else writes");
                return Ok(true);
            }
            Call::Swap(key, old, new) => {
                let swapped = self.db.compare_and_swap(key, old.as_deref(), new.as_deref())?;
                assert_eq!(swapped, Ok(()), "nobody else writes");
                return Ok(true);
            }
            Call::Count(durability) => return self.count(op, *durability),
            Call::Sync => return self.db.sync().map(|()| true),
            Call::Get(key) => {
                let found = self.db.get(key)?.map(|value| (key.clone(), value.into_vec()));
                self.note(op, Some(key.clone()), found.into_iter().collect());
            }
            Call::Snapshot => {
                let snapshot = self.db.snapshot();
                self.device.note_ack(op, false);
                let keys = all_keys();
                let values = keys.iter().map(|key| snapshot.get(key));
                let values = values.collect::<Result<Vec<_>>>()?;
                let found = keys.into_iter().zip(values);
                let found: Model =
                    found.filter_map(|(k, value)| Some((k, value?.into_vec()))).collect();
                let all = plan_len(&self.plan, found.len());
                assert_eq!(snapshot.len(), all, "of one moment");
                self.note(op, None, found);
            }
            Call::Scan(calls) => self.scans.push((at + calls, op, self.db.iter(), Model::new())),
            Call::Backwards => {
                let entries = self.db.iter();
                self.device.note_ack(op, false);
                let entry = |entry: Result<crate::iter::Entry>| {
                    entry.and_then(|e| Ok((e.key().to_vec(), e.value()?.into_vec())))
                };
                let found = entries.rev().map(entry).collect::<Result<Model>>()?;
                let found = self.plan.without_residents(found, true);
                self.note(op, None, found);
            }
            Call::MultiGet => {
                let keys = all_keys();
                let values = self.db.multi_get(&keys).into_iter().collect::<Result<Vec<_>>>()?;
                let found = keys.into_iter().zip(values);
                let found = found.filter_map(|(k, value)| Some((k, value?.into_vec()))).collect();
                self.note(op, None, found);
            }
            Call::Step => self.engine.step()?,
            Call::Slice => drop(self.engine.checkpoint_step()?),
            Call::Checkpoint => self.db.checkpoint()?,
            Call::Collect => or_full(self.db.collect_garbage())?,
            Call::CollectStep => or_full(self.engine.collector_step().map(drop))?,
            Call::Resident(number) => {
                let found = self.db.get(resident_key(*number))?;
                let found = found.map(|value| value.into_vec());
                assert_eq!(found, Some(resident_value(*number)), "it may be on its way");
            }
            Call::Close => {
                self.db.clone().close()?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Counts the counter up, and notes what it was or is.
    fn count(&mut self, op: usize, durability: Durability) -> Result<bool> {
        let db = self.db.with_durability(durability);
        let seen = db.get(COUNTER)?.map(|value| value.into_vec());
        let next = number(seen.as_deref()) + 1;
        let swapped = db.compare_and_swap(COUNTER, seen.as_deref(), Some(&next.to_le_bytes()))?;
        let (value, made) = match swapped {
            Ok(()) => (next, true),
            Err(found) => (number(found.current.as_deref()), false),
        };
        self.tallies.push(Tally { op, value, made });
        Ok(durability == Durability::Synced)
    }

    fn note(&mut self, op: usize, key: Option<Vec<u8>>, found: Model) {
        if key.is_none() {
            let value = number(found.get(COUNTER).map(Vec::as_slice));
            self.tallies.push(Tally { op, value, made: false });
        }
        self.looks.push(Look { op, key, found });
    }

    /// Takes the scans that are under way one entry further, or to their end.
    fn go_on(&mut self, at: usize) -> Result<()> {
        for (until, op, mut scan, mut found) in std::mem::take(&mut self.scans) {
            loop {
                let Some(entry) = scan.next().transpose()? else {
                    let found = self.plan.without_residents(found, true);
                    self.note(op, None, found);
                    break;
                };
                found.insert(entry.key().to_vec(), entry.value()?.into_vec());
                if until > at {
                    self.scans.push((until, op, scan, found));
                    break;
                }
            }
        }
        Ok(())
    }
}

/// What the counter stands at.
pub(super) fn number(value: Option<&[u8]>) -> u64 {
    value.map_or(0, |value| u64::from_le_bytes(value.try_into().expect("eight bytes")))
}
