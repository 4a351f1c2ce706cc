//! Who writes the batches of tasks, which wait for nothing.
//!
//! A task's records go into the open batch where that has room, and the committer leads the batch as any
//! writer would. Where it has none, they queue up, and the committer waits for room in their stead. What
//! is refused for want of space goes to the workers, as making room takes long.

use super::Engine;
use super::bell::Bell;
use super::workers::Workers;
use crate::batch::WriteBatch;
use crate::durability::Durability;
use crate::error::{Error, Result};
use crate::pending::Slot;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Instant, Mutex, Ordering, Thread};
use crate::wal::{Log, Submitted};
use std::collections::VecDeque;

/// Threads that read for tasks: about as many reads as a device likes to have at once.
const READERS: usize = 16;
/// Threads that write for tasks what is more than a record.
const WRITERS: usize = 8;

/// Changes that wait for room in a batch.
pub(super) struct Queued {
    pub(super) engine: Arc<Engine>,
    pub(super) batch: WriteBatch,
    pub(super) durability: Durability,
    pub(super) slot: Slot<()>,
    /// When it began, if it is timed.
    pub(super) begun: Option<Instant>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Queued>,
    thread: Option<Thread>,
    closed: bool,
}

/// What serves tasks.
pub(super) struct Committer {
    log: Arc<Log>,
    /// Whether it has a thread, or somebody calls its steps.
    has_thread: bool,
    started: AtomicBool,
    bell: Bell,
    state: Mutex<State>,
    /// How many wait in the queue, or are being served.
    waiting: AtomicUsize,
    pub(super) readers: Arc<Workers>,
    pub(super) writers: Arc<Workers>,
}

impl Committer {
    pub(super) fn new(log: &Arc<Log>, has_threads: bool) -> Arc<Self> {
        let path = log.path();
        let workers = |name, most| Workers::new(name, if has_threads { most } else { 0 }, path);
        Arc::new(Self {
            log: Arc::clone(log),
            has_thread: has_threads,
            started: AtomicBool::new(false),
            bell: Bell::default(),
            state: Mutex::default(),
            waiting: AtomicUsize::new(0),
            readers: workers("extentdb-read", READERS),
            writers: workers("extentdb-write", WRITERS),
        })
    }
}

impl Committer {
    /// Sees to it that the committer runs.
    pub(super) fn start(self: &Arc<Self>) -> Result<()> {
        if !self.has_thread || self.started.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        if state.thread.is_none() {
            let committer = Arc::clone(self);
            let started = Thread::start("extentdb-commit", move || committer.run());
            let path = self.log.path();
            state.thread = Some(started.map_err(|source| Error::no_thread(path, source))?);
            self.started.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// There is a batch to lead.
    pub(super) fn summon(&self) {
        self.bell.ring();
    }

    /// Whether somebody waits for room.
    pub(super) fn is_busy(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Has `queued` committed once there is room.
    pub(super) fn queue(&self, queued: Queued) {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            return queued.slot.fill(Err(Error::Closed));
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        state.queue.push_back(queued);
        drop(state);
        self.bell.ring();
    }

    /// Finds room for one change, or leads a batch; whether there was anything to do.
    pub(super) fn step(&self) -> bool {
        let next = self.state.lock().queue.pop_front();
        let Some(queued) = next else { return self.log.lead_summoned() };
        // Who is told that it has a place finds room for what comes next.
        queued.place(|| {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        });
        true
    }

    /// Takes no more, and does what was begun.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let thread = state.thread.take();
        drop(state);
        self.bell.close();
        thread.into_iter().for_each(Thread::join);
        while self.step() {}
        self.readers.close();
        self.writers.close();
    }

    fn run(&self) {
        while self.bell.wait() {
            while self.step() {}
        }
    }
}

impl Queued {
    /// Puts the records into a batch, says that it has, and answers. What is refused for want of space is left to a worker, who makes
    /// some.
    fn place(self, placed: impl FnOnce()) {
        let Self { engine, batch, durability, slot, begun } = self;
        let submitted = engine.submit_waiting(&batch, durability, begun);
        placed();
        if let Err(Error::Full { .. }) = submitted {
            return engine.write_by_worker(batch, durability, slot);
        }
        // Where this is the last handle, the volume is free before it is answered.
        drop(engine);
        match submitted {
            Ok(Submitted::InBatch { ticket, .. }) => slot.enter(ticket, ()),
            Ok(Submitted::Done | Submitted::NoRoom) => slot.fill(Ok(())),
            Err(error) => slot.fill(Err(error)),
        }
    }
}
