//! Group commit, led by its callers and pipelined.
//!
//! 1. A writer appends its records to the open batch, under the log's lock.
//! 2. The first writer of a batch that must reach the device leads it: waits for its turn in the
//!    pipe, seals it, writes it, issues a barrier, applies it, wakes the others.
//! 3. The others wait for their batch. A `Buffered` writer does not wait at all.
//!
//! D, the durable frontier, advances to what had been written *before the start* of a barrier
//! that returned; batches are applied in log order whoever led them.

use super::batch::{Batch, demand_of};
use super::completion::{Completion, Stage};
use super::filler::Filler;
use super::host::Host;
use super::spares::Spares;
use super::state::State;
use super::tail::Tail;
use super::unit::Unit;
use crate::device::{AlignedBuf, BufferPool, Volume, Writes};
use crate::durability::{Durability, SyncWindow};
use crate::error::{Error, Result};
use crate::events::Stall;
use crate::format::ids::{BatchNo, ExtentNo, Generation, Incarnation, PAGE_BYTES, StoreId};
use crate::format::image::Position;
use crate::format::location::Location;
use crate::format::log_page::{PAYLOAD_BYTES, pages_for_stream};
use crate::format::record::Record;
use crate::format::superblock::Anchor;
use crate::metrics::{Recorder, Stage as Timed};
use crate::seeded::{Bug, seeded};
use crate::sync::{
    self, Arc, AtomicBool, AtomicU64, Condvar, Duration, Mutex, MutexGuard, Ordering,
};
use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;

/// How the log behaves; settled at open.
#[derive(Debug, Clone)]
pub(crate) struct LogConfig {
    pub(crate) store: StoreId,
    pub(crate) extent_pages: u32,
    /// Batches in the pipe at once (q).
    pub(crate) depth: usize,
    /// Stream bytes from which a batch is written while others are under way.
    pub(crate) worth_bytes: usize,
    pub(crate) window: SyncWindow,
    /// Idle time after which evidence is written (W6).
    pub(crate) evidence_after: Duration,
}

/// Where recovery left the log.
#[derive(Debug)]
pub(crate) struct LogStart {
    pub(crate) tail: Tail,
    /// Sealed extents that have no footer yet.
    pub(crate) footers: VecDeque<Tail>,
    pub(crate) generation: Generation,
    /// The last page that is covered: the epoch's header.
    pub(crate) settled: Anchor,
    /// Whether no epoch was begun, for want of space: the log is never added to.
    pub(crate) frozen: bool,
}

/// Where a unit is.
pub(super) struct Appended {
    pub(super) number: BatchNo,
    /// Which conditional records of the batch are its own.
    pub(super) answers: Range<usize>,
    pub(super) done: Arc<Completion>,
}

pub(crate) type Guard<'a> = MutexGuard<'a, State>;

/// The write-ahead log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(super) config: LogConfig,
    pub(super) volume: Arc<Volume>,
    pub(super) host: Arc<dyn Host>,
    pub(super) recorder: Arc<Recorder>,
    pool: BufferPool,
    pub(super) state: Mutex<State>,
    /// Batches are applied under this, one at a time (L1). Taken before `state`.
    pub(super) order: Mutex<()>,
    /// Something moved: room for records, a barrier, a sealed batch.
    pub(super) room: Condvar,
    /// The pipe may have room for the open batch.
    pub(super) turn: Condvar,
    /// The flusher may have something to do.
    pub(super) flusher: Condvar,
    /// The tail moved to another extent.
    pub(super) upkeep: Condvar,
    pub(super) generation: AtomicU64,
    /// Mirrors of `written` and of the newest batch with records applied before they were
    /// written, so that a read knows without the lock that the device has all it can see.
    pub(super) written: AtomicU64,
    buffered: AtomicU64,
    /// Whether the filler may take another record, so that offering one mostly takes no lock.
    pub(super) takes_records: AtomicBool,
}

impl Log {
    pub(crate) fn new(
        config: LogConfig,
        volume: Arc<Volume>,
        host: Arc<dyn Host>,
        recorder: Arc<Recorder>,
        pool: BufferPool,
        start: LogStart,
    ) -> Self {
        let durable = start.tail.batch;
        let state = State {
            tail: start.tail,
            open: None,
            flights: VecDeque::new(),
            filler: Filler::default(),
            puts_placed: 0,
            written: durable,
            durable,
            proved: durable,
            settled: start.settled,
            covering: durable,
            busy: 0,
            waiting_for_room: 0,
            weak_bytes: 0,
            spare: None,
            footers: start.footers,
            footer_in_hand: None,
            evidence_in_flight: false,
            last_stream_len: 0,
            last_seal: sync::now(),
            flusher_asleep: false,
            upkeep_due: false,
            frozen: start.frozen,
            fatal: None,
            closing: false,
            spares: Spares::default(),
        };
        Self {
            config,
            volume,
            host,
            recorder,
            pool,
            state: Mutex::new(state),
            order: Mutex::new(()),
            room: Condvar::new(),
            turn: Condvar::new(),
            flusher: Condvar::new(),
            upkeep: Condvar::new(),
            generation: AtomicU64::new(start.generation.0),
            written: AtomicU64::new(durable.0),
            buffered: AtomicU64::new(0),
            takes_records: AtomicBool::new(true),
        }
    }

    /// Refuses a unit that no batch can hold.
    pub(crate) fn check_size(&self, unit: &Unit<'_>) -> Result<()> {
        let demand = demand_of(unit);
        let quarter = (self.config.extent_pages / 4) as usize;
        if demand.pages <= quarter && Tail::fits_fresh(self.config.extent_pages, demand) {
            return Ok(());
        }
        let limit = (quarter * PAYLOAD_BYTES) as u64;
        Err(Error::BatchTooLarge { bytes: unit.log_len() as u64, limit })
    }

    /// Commits `unit`; returns when it is as durable as `durability` says, with the answer to
    /// its conditional record (true where it has none).
    pub(crate) fn commit(&self, unit: &Unit<'_>, durability: Durability) -> Result<bool> {
        self.commit_beside(unit, durability, &mut None)
    }

    /// As [`commit`](Self::commit), while the value that `unit` refers to is still being written. Its
    /// batch counts as written only when that is too (W5). The `writes` are taken once it is numbered.
    pub(crate) fn commit_beside(
        &self,
        unit: &Unit<'_>,
        durability: Durability,
        writes: &mut Option<Writes<'_>>,
    ) -> Result<bool> {
        let answers = self.commit_unit(unit, durability, writes)?;
        Ok(answers.first().copied().unwrap_or(true))
    }

    /// Commits `unit`, and returns the answers to all its conditional records.
    pub(crate) fn commit_all(&self, unit: &Unit<'_>, durability: Durability) -> Result<Vec<bool>> {
        self.commit_unit(unit, durability, &mut None)
    }

    fn commit_unit(
        &self,
        unit: &Unit<'_>,
        durability: Durability,
        writes: &mut Option<Writes<'_>>,
    ) -> Result<Vec<bool>> {
        let _guard = PanicGuard::new(self);
        let begun = self.recorder.start();
        let weak = durability != Durability::Synced;
        let mut state = self.admit(unit, weak)?;
        let Appended { number, answers, done } = self.append(&mut state, unit, durability);
        let mut writes = writes.take();
        assert!(
            writes.is_none() || durability != Durability::Buffered,
            "W5: what is seen is written"
        );
        let value = writes.as_mut().filter(|_| !seeded(Bug::ValueNotAwaited));
        if let (Some(batch), Some(_)) = (&mut state.open, &value) {
            batch.values_under_way += 1;
        }
        let batch = state.open.as_mut().filter(|batch| !batch.led);
        let leads = durability != Durability::Buffered && batch.is_some();
        batch.into_iter().for_each(|batch| batch.led |= leads);
        self.recorder.stop(Timed::PutQueue, begun);
        let stage = match durability {
            Durability::Buffered => {
                drop(state);
                return self.apply_buffered(number, &done, answers);
            }
            Durability::Written if seeded(Bug::WrittenAckedInMemory) => {
                state.open.iter_mut().for_each(|batch| batch.led &= !leads);
                drop(state);
                return self.apply_buffered(number, &done, answers);
            }
            Durability::Written => Stage::Written,
            Durability::Synced if seeded(Bug::AckAtWritten) => Stage::Written,
            Durability::Synced => Stage::Durable,
        };
        if leads {
            drop(self.lead(state, value));
        } else {
            drop(state);
            value.into_iter().for_each(|value| self.await_value(number, value));
        }
        if answers.is_empty() {
            return done.wait(stage).map(|()| Vec::new());
        }
        done.outcomes(stage).map(|outcomes| outcomes[answers].to_vec())
    }

    /// Adds `unit` to the open batch, which takes it.
    pub(super) fn append(
        &self,
        state: &mut State,
        unit: &Unit<'_>,
        durability: Durability,
    ) -> Appended {
        let Some(batch) = state.open.as_mut() else {
            unreachable!("who is admitted has an open batch")
        };
        let first = batch.conditionals;
        for (record, value) in unit.items() {
            batch.push(record, record.key(), value);
        }
        batch.grows += unit.growth();
        state.puts_placed += u64::from(unit.needs_space());
        batch.synced |= durability == Durability::Synced;
        batch.written |= durability == Durability::Written;
        let answers = first..batch.conditionals;
        let (number, done) = (batch.number, Arc::clone(&batch.done));
        if durability != Durability::Synced {
            batch.weak_bytes += unit.record_bytes();
            batch.weak_since.get_or_insert_with(sync::now);
            state.weak_bytes += unit.record_bytes();
        }
        self.wake_flusher(state);
        Appended { number, answers, done }
    }

    /// Waits until the open batch takes `unit`. Nothing is numbered before that.
    pub(super) fn admit<'a>(&'a self, unit: &Unit<'_>, weak: bool) -> Result<Guard<'a>> {
        let mut state = self.state.lock();
        loop {
            state.check_open()?;
            if weak && self.window_is_full(&state, unit) {
                let _stalled = self.volume.events.stall(Stall::Window);
                let upto = state.last_numbered();
                state = if state.durable < upto {
                    self.flush(state, upto)?
                } else {
                    // All of it is durable; whoever made it so is about to say it.
                    self.wait_for_room(state)
                };
                continue;
            }
            let growth = state.unapplied_growth() + unit.growth();
            if unit.needs_space() && !self.host.admits_put(growth) {
                drop(state);
                let admitted = self.host.admit_put(growth);
                state = self.or_poison(self.state.lock(), admitted)?;
                continue;
            }
            state = match &state.open {
                Some(batch) => {
                    if state.open_takes(unit) {
                        return Ok(state);
                    }
                    if batch.led { self.wait_for_room(state) } else { self.lead(state, None) }
                }
                None if state.takes_fresh(unit) => {
                    self.open_batch(&mut state, unit)?;
                    state
                }
                None => self.rotate(state, unit.needs_space())?,
            };
        }
    }

    /// Has `spare` filled, for the caller to look again.
    fn reserve_spare<'a>(&'a self, state: Guard<'a>, for_puts: bool) -> Result<Guard<'a>> {
        drop(state);
        let stalled = self.volume.events.stall(Stall::Log);
        let reserved = self.host.reserve_extent(for_puts);
        drop(stalled);
        let mut state = self.state.lock();
        if let Ok(extent) = reserved {
            self.keep_spare(&mut state, extent);
        }
        self.or_poison(state, reserved.map(drop))
    }

    pub(super) fn window_is_full(&self, state: &State, unit: &Unit<'_>) -> bool {
        !seeded(Bug::WindowUnbounded)
            && state.weak_bytes > 0
            && state.weak_bytes + unit.record_bytes() > self.config.window.bytes
    }

    pub(super) fn wait_for_room<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        state.waiting_for_room += 1;
        // A leader that waits for its batch to be worth a write learns that it is full.
        self.turn.notify_all();
        state = self.room.wait(state);
        state.waiting_for_room -= 1;
        state
    }

    pub(super) fn open_batch(&self, state: &mut State, unit: &Unit<'_>) -> Result<()> {
        let usual = (self.config.extent_pages as usize / 4).min(BATCH_PAGES);
        let pages = usual.max(pages_for_stream(unit.log_len()));
        let buf = match state.spares.buf(pages * PAGE_BYTES) {
            Some(buf) => buf,
            None => Arc::new(self.pool.take(pages)?),
        };
        let number = state.tail.batch.next();
        state.open = Some(Batch::new(number, &state.tail, buf, &mut state.spares));
        Ok(())
    }

    /// Moves the tail to the successor, or does one of the things that must come first and
    /// returns, for the caller to look again.
    pub(super) fn rotate<'a>(&'a self, mut state: Guard<'a>, for_puts: bool) -> Result<Guard<'a>> {
        let successor = state.tail.successor;
        if !self.host.is_prepared(successor) {
            drop(state);
            let stalled = self.volume.events.stall(Stall::Log);
            let prepared = self.host.prepare(successor, &|_| true);
            drop(stalled);
            state = self.state.lock();
            return self.or_poison(state, prepared);
        }
        // W4: a page that names the successor is durable before a page is written there.
        if let Some(naming) = state.tail.naming
            && naming > state.durable
            && !seeded(Bug::RotationDoesNotWait)
        {
            let _stalled = self.volume.events.stall(Stall::Log);
            return self.flush(state, naming);
        }
        let Some(spare) = state.spare.take() else {
            return self.reserve_spare(state, for_puts);
        };
        let incarnation = self.host.open_log_extent(successor);
        let next = state.tail.rotated(incarnation, spare);
        let sealed = std::mem::replace(&mut state.tail, next);
        state.footers.push_back(sealed);
        state.upkeep_due = true;
        self.upkeep.notify_all();
        self.host.rotated();
        Ok(state)
    }

    pub(super) fn keep_spare(&self, state: &mut State, extent: ExtentNo) {
        if state.spare.is_none() {
            state.spare = Some(extent);
        } else {
            self.host.return_extent(extent);
        }
    }

    /// Passes `Full` on; any other failure of the device poisons the log (E1p).
    pub(super) fn or_poison<'a>(
        &'a self,
        state: Guard<'a>,
        result: Result<()>,
    ) -> Result<Guard<'a>> {
        match result {
            Ok(()) => Ok(state),
            Err(error) if error.is_device_failure() => {
                let state = self.poison(state, error);
                state.check_alive()?;
                Ok(state)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the records of a `Buffered` writer, and all before them, visible.
    pub(super) fn apply_buffered(
        &self,
        number: BatchNo,
        done: &Completion,
        answers: Range<usize>,
    ) -> Result<Vec<bool>> {
        self.buffered.fetch_max(number.0, Ordering::SeqCst);
        let (order, mut state) = loop {
            let order = self.order.lock();
            let state = self.apply_sealed(number);
            if !state.awaits_values(number) || seeded(Bug::UnwrittenValueSeen) {
                break (order, state);
            }
            // W5: what is seen is written. Who applies needs neither of the two meanwhile.
            drop(order);
            state.check_alive()?;
            drop(self.turn.wait(state));
        };
        let count = answers.len();
        let answer = |outcomes: &[bool]| match count {
            0 => Vec::new(),
            _ => outcomes[answers].to_vec(),
        };
        if let Some(batch) = state.open.as_mut().filter(|batch| batch.number == number) {
            if seeded(Bug::BufferedAppliedLate) {
                return Ok(vec![true; count]);
            }
            let outcomes = self.host.apply(&batch.entries[batch.applied..]);
            batch.applied = batch.entries.len();
            batch.outcomes.extend(outcomes);
            return Ok(answer(&batch.outcomes));
        }
        if let Some(outcomes) = state.outcomes_of(number) {
            return Ok(answer(outcomes));
        }
        drop(state);
        drop(order);
        done.outcomes(Stage::Durable).map(|outcomes| answer(&outcomes))
    }

    /// A value that a read can see and that may not be on the device yet.
    pub(crate) fn read_unwritten(&self, location: Location, key_len: usize) -> Option<Vec<u8>> {
        let all_written =
            self.buffered.load(Ordering::SeqCst) <= self.written.load(Ordering::SeqCst);
        if all_written || seeded(Bug::UnwrittenNotFound) {
            return None;
        }
        self.state.lock().copy_unwritten(location, key_len)
    }

    /// Makes everything that was acknowledged durable.
    pub(crate) fn sync(&self) -> Result<()> {
        let _guard = PanicGuard::new(self);
        let state = self.state.lock();
        match state.check_open() {
            // What cannot be written to has nothing to make durable.
            Err(Error::Full { .. }) => return Ok(()),
            checked => checked?,
        }
        let upto = state.last_numbered();
        self.flush(state, upto).map(drop)
    }

    /// Makes durable what a weaker mode has shown; nothing to do where none is in use.
    pub(crate) fn sync_weak(&self) -> Result<()> {
        let _guard = PanicGuard::new(self);
        let state = self.state.lock();
        if state.weak_bytes == 0 {
            return Ok(());
        }
        let upto = state.last_numbered();
        self.flush(state, upto).map(drop)
    }

    /// Makes all batches up to `upto` durable.
    pub(crate) fn sync_to(&self, upto: BatchNo) -> Result<()> {
        let _guard = PanicGuard::new(self);
        self.flush(self.state.lock(), upto).map(drop)
    }

    /// Runs `look` while nothing is applied, at the position it is given.
    pub(crate) fn at_rest<R>(&self, look: impl FnOnce(Position) -> R) -> R {
        let _order = (!seeded(Bug::SliceNotAtRest)).then(|| self.order.lock());
        let position = self.state.lock().applied();
        if seeded(Bug::SliceNotAtRest) {
            (0..50).for_each(|_| sync::yield_now());
        }
        look(position)
    }

    /// The end of the newest batch that is durable and applied: everything up to it is in the
    /// index, so an image that begins now may leave the log before it behind.
    pub(crate) fn settled(&self) -> Anchor {
        self.state.lock().settled
    }

    /// The newest batch that has a number: what was applied before this call is in it or earlier.
    pub(crate) fn newest(&self) -> BatchNo {
        self.state.lock().last_numbered()
    }

    /// Units with puts that have found room since this was opened.
    pub(crate) fn puts_placed(&self) -> u64 {
        self.state.lock().puts_placed
    }

    /// The highest batch that some durable page proves: no crash takes it back, and no damage does
    /// without being noticed (W1).
    pub(crate) fn proved(&self) -> BatchNo {
        self.state.lock().proved
    }

    /// Writes what it takes to prove all batches up to `upto`.
    pub(crate) fn prove(&self, upto: BatchNo) -> Result<()> {
        while self.proved() < upto {
            self.commit(&Unit::new(&[(Record::Noop, &[])]), Durability::Synced)?;
        }
        Ok(())
    }

    /// Sealed extents that are still to be written to: their footers are due.
    pub(crate) fn unfinished(&self) -> Vec<ExtentNo> {
        let state = self.state.lock();
        state.footers.iter().map(|tail| tail.extent).chain(state.footer_in_hand).collect()
    }

    /// A superblock of `generation` is durable: pages say so from now on.
    pub(crate) fn set_generation(&self, generation: Generation) {
        self.generation.store(generation.0, Ordering::SeqCst);
    }

    /// The life of the extent that it is in.
    pub(crate) fn life(&self) -> Incarnation {
        self.state.lock().tail.incarnation
    }

    /// What is durable shows that all batches up to `batch` were: they are proved.
    pub(crate) fn prove_by_checkpoint(&self, batch: BatchNo) {
        let mut state = self.state.lock();
        state.proved = state.proved.max(batch);
    }

    /// Refuses new work on a closed or poisoned log.
    pub(crate) fn check_usable(&self) -> Result<()> {
        self.state.lock().check_open()
    }

    /// Refuses to go on on a closed or poisoned log.
    pub(crate) fn check_alive(&self) -> Result<()> {
        let state = self.state.lock();
        state.check_alive()?;
        if state.closing { Err(Error::Closed) } else { Ok(()) }
    }

    /// E1p: after a failed transfer outside the log, nothing is written any more. Returns what the
    /// caller that met it is told; any other error as it is.
    pub(crate) fn failure(&self, error: Error) -> Error {
        if !error.is_device_failure() {
            return error;
        }
        let state = self.poison(self.state.lock(), error.clone());
        match &state.fatal {
            Some(cause) => Error::Poisoned { cause: Arc::clone(cause) },
            None => error,
        }
    }

    /// Whether a weaker mode has shown what is not durable.
    pub(crate) fn has_weak(&self) -> bool {
        self.state.lock().weak_bytes > 0
    }

    /// Where the volume is.
    pub(crate) fn path(&self) -> &Arc<PathBuf> {
        self.volume.path()
    }

    /// The durable frontier.
    pub(crate) fn durable(&self) -> BatchNo {
        self.state.lock().durable
    }

    /// The failure that stopped the log, if one did.
    pub(crate) fn fatal(&self) -> Option<Arc<Error>> {
        self.state.lock().fatal.clone()
    }

    pub(super) fn buffer(&self, pages: usize) -> Result<AlignedBuf> {
        self.pool.take(pages)
    }
}

/// Poisons the log if its thread panics with work in hand, so that nobody waits for it. Made
/// before the log's lock is taken, so that unwinding has released it.
pub(super) struct PanicGuard<'a> {
    log: &'a Log,
    /// Whether the call itself was made while a panic of the caller's was unwinding.
    unwinding: bool,
}

impl<'a> PanicGuard<'a> {
    pub(super) fn new(log: &'a Log) -> Self {
        Self { log, unwinding: std::thread::panicking() }
    }
}

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.unwinding && !seeded(Bug::PanicUnnoticed) {
            drop(self.log.poison(self.log.state.lock(), Error::Panicked));
        }
    }
}

/// Pages of a batch's buffer, unless one unit needs more: 1 MiB, the largest request that NVMe
/// devices commonly take whole.
const BATCH_PAGES: usize = 256;
