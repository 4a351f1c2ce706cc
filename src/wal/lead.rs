//! What a leader does with its batch: seal, write, barrier, apply, wake.

use super::log::{Guard, Log};
use super::state::{Reached, State};
use super::wakers::Wakers;
use crate::device::{Purpose, Writes};
use crate::error::{Error, Result};
use crate::events::Stall;
use crate::format::ids::{BatchNo, Generation};
use crate::metrics::Stage as Timed;
use crate::seeded::{Bug, seeded};
use crate::sync::{self, Ordering};

impl Log {
    /// Brings the open batch to the device, and issues the barrier if one is due. A failure
    /// poisons the log; the writers of the batch hear of it where they wait. A `value` that the caller
    /// has put in it is still being written.
    pub(super) fn lead<'a>(
        &'a self,
        mut state: Guard<'a>,
        value: Option<&mut Writes<'_>>,
    ) -> Guard<'a> {
        let Some(batch) = state.open.as_mut() else { return state };
        batch.led = true;
        state = self.let_others_join(state);
        let held_back;
        (state, held_back) = self.hold_back(state);
        while state.fatal.is_none() && !self.may_seal(&state) {
            state = self.turn.wait(state);
        }
        if state.fatal.is_some() {
            return state;
        }
        self.top_up(&mut state, held_back);
        let generation = Generation(self.generation.load(Ordering::SeqCst));
        let Some(sealed) = state.seal(self.config.store, generation, sync::now()) else {
            return state;
        };
        self.notify_room(&state);
        drop(state);
        let begun = self.recorder.start_always();
        let written = self.volume.write(Purpose::Log, sealed.start, &sealed.buf[..sealed.len]);
        self.recorder.stop(Timed::PutWrite, begun);
        drop(sealed.buf);
        value.into_iter().for_each(|value| self.await_value(sealed.number, value));
        state = self.state.lock();
        if let Err(error) = written
            && !seeded(Bug::WriteErrorSwallowed)
        {
            return self.poison(state, error);
        }
        while state.fatal.is_none() && state.awaits_values_of(sealed.number) {
            state = self.turn.wait(state);
        }
        if state.fatal.is_some() {
            return state;
        }
        state.mark_written(sealed.number);
        self.written.store(state.written.0, Ordering::SeqCst);
        if state.barrier_is_due() {
            return self.barrier(state);
        }
        drop(state);
        self.settle(BatchNo(0))
    }

    /// Waits until the `value` of a record in batch `number` is written.
    pub(super) fn await_value(&self, number: BatchNo, value: &mut Writes<'_>) {
        let written = value.wait();
        let mut state = self.state.lock();
        match written {
            Ok(()) => {
                state.value_written(number);
                self.turn.notify_all();
            }
            Err(error) => drop(self.poison(state, error)),
        }
    }

    /// Where the last batch had several writers, they are being woken just now: gives them the
    /// processor while they keep coming, so that the first of them does not go alone. A lone
    /// writer is not delayed.
    fn let_others_join<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        let mut seen = 0;
        while let Some(batch) = &state.open
            && state.busy == 0
            && seen < batch.stream_len()
            && batch.stream_len() * 2 < state.last_stream_len
        {
            seen = batch.stream_len();
            drop(state);
            sync::yield_now();
            state = self.state.lock();
        }
        state
    }

    /// Lets time pass where space is being taken faster than it is given back; whether that was so.
    fn hold_back<'a>(&'a self, state: Guard<'a>) -> (Guard<'a>, bool) {
        let Some(batch) = &state.open else { return (state, false) };
        let fill = state.fill(self.config.extent_pages);
        let due = state.last_seal + self.host.delay(batch.stream_len(), fill);
        let wait = due.saturating_duration_since(sync::now());
        if wait.is_zero() {
            return (state, false);
        }
        drop(state);
        let stalled = self.volume.events.stall(Stall::Collection);
        sync::sleep(wait);
        drop(stalled);
        (self.state.lock(), true)
    }

    /// Whether the open batch goes out now. A lone writer never waits; behind others, a batch
    /// waits until it is worth a write, so that pipelining does not turn into padding.
    fn may_seal(&self, state: &State) -> bool {
        let Some(batch) = &state.open else { return true };
        let worth = batch.stream_len() >= self.config.worth_bytes || state.waiting_for_room > 0;
        let clear = !state.evidence_in_flight || seeded(Bug::EvidenceOvertaken);
        clear && (state.busy == 0 || (state.busy < self.config.depth && worth))
    }

    /// Makes all that is written now durable, applies what that uncovers, and wakes its writers.
    pub(super) fn barrier<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        let cover = state.written;
        assert!(cover >= state.covering, "W1: the written prefix only grows");
        state.covering = cover;
        if seeded(Bug::AckBeforeBarrier) {
            state.durable = cover;
            drop(state);
            state = self.settle(BatchNo(0));
        }
        drop(state);
        let begun = self.recorder.start_always();
        let result = self.volume.barrier();
        self.recorder.stop(Timed::PutFlush, begun);
        state = self.state.lock();
        let cover = if seeded(Bug::DurableAtReturn) { state.written } else { cover };
        match result {
            Ok(()) => {}
            Err(_) if seeded(Bug::BarrierErrorSwallowed) => {}
            // Another barrier covered it, and the volume was closed since.
            Err(Error::Closed) if state.durable >= cover => return state,
            Err(error) => return self.poison(state, error),
        }
        // W2: what was written before it began, not what is now. A barrier that met an error
        // elsewhere proves nothing any more.
        if state.fatal.is_none() {
            state.durable = state.durable.max(cover);
        }
        drop(state);
        self.settle(BatchNo(0))
    }

    /// Applies, in log order, every sealed batch that may be visible or is at most `target`;
    /// retires what is done and wakes those who wait for it.
    pub(super) fn settle(&self, target: BatchNo) -> Guard<'_> {
        let begun = self.recorder.start_always();
        let order = (!seeded(Bug::AppliedOutOfOrder)).then(|| self.order.lock());
        let mut state = self.apply_sealed(target);
        let mut reached = state.retire();
        self.notify_room(&state);
        self.turn.notify_all();
        drop(state);
        drop(order);
        self.recorder.stop(Timed::PutApply, begun);
        for Reached { done, stage, outcomes } in reached.drain(..) {
            let timed = |begun| self.recorder.stop(Timed::Put, Some(begun));
            done.reach(stage, &outcomes, timed);
        }
        let mut state = self.state.lock();
        state.spares.keep_reached(reached);
        state
    }

    /// The caller holds `order`.
    pub(super) fn apply_sealed(&self, target: BatchNo) -> Guard<'_> {
        let mut state = self.state.lock();
        while let Some(work) = state.next_unapplied(target) {
            drop(state);
            let outcomes = self.host.apply(&work.entries[work.from..]);
            drop(work.entries);
            state = self.state.lock();
            state.mark_applied(work.number, outcomes);
        }
        state
    }

    /// Makes every batch up to `upto` durable, writing the open one if need be.
    pub(super) fn flush<'a>(&'a self, mut state: Guard<'a>, upto: BatchNo) -> Result<Guard<'a>> {
        while state.durable < upto && !seeded(Bug::SyncDoesNothing) {
            state.check_alive()?;
            let leaderless =
                state.open.as_ref().is_some_and(|batch| batch.number <= upto && !batch.led);
            state = if leaderless {
                self.lead(state, None)
            } else if state.written >= upto && state.covering < upto {
                self.barrier(state)
            } else {
                self.wait_for_room(state)
            };
        }
        Ok(state)
    }

    pub(super) fn notify_room(&self, state: &State) {
        if state.waiting_for_room > 0 {
            self.room.notify_all();
        }
    }

    /// E1p: the log is poisoned before any caller hears of the error.
    pub(super) fn poison<'a>(&'a self, mut state: Guard<'a>, error: Error) -> Guard<'a> {
        if seeded(Bug::FailureNotRemembered) {
            return state;
        }
        let first = state.fatal.is_none();
        let (cause, wakers) = state.poison(error);
        self.room.notify_all();
        self.turn.notify_all();
        self.flusher.notify_all();
        self.upkeep.notify_all();
        drop(state);
        wakers.into_iter().for_each(Wakers::wake);
        if first {
            self.host.poisoned(&cause);
        }
        self.state.lock()
    }
}
