//! Commits of those who do not wait. A task adds its records to the open batch and is woken once that is
//! as durable as it asked for; the committer leads the batch, unless somebody comes who does wait (L3).

use super::completion::{Completion, Stage};
use super::log::{Appended, Guard, Log, PanicGuard};
use super::state::State;
use super::unit::Unit;
use crate::durability::Durability;
use crate::error::Result;
use crate::metrics::Stage as Timed;
use crate::seeded::{Bug, seeded};
use crate::sync::{Arc, Instant};
use std::task::Waker;

/// Records in a batch, and what their task waits for.
#[derive(Debug)]
pub(crate) struct Ticket {
    done: Arc<Completion>,
    stage: Stage,
    slot: Option<usize>,
}

/// What became of a unit.
#[derive(Debug)]
pub(crate) enum Submitted {
    /// It is visible, and acknowledged from memory.
    Done,
    /// It is in a batch. If it `summons`, the committer is to look for it.
    InBatch { ticket: Ticket, summons: bool },
    /// It would have to wait before it could be numbered.
    NoRoom,
}

impl Ticket {
    /// Whether the batch is as durable as it was asked to be; if not, `waker` will be woken when it is,
    /// or has failed.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Option<Result<()>> {
        self.done.poll(self.stage, waker, &mut self.slot)
    }

    /// Waits on this thread.
    pub(crate) fn wait(&self) -> Result<()> {
        self.done.wait(self.stage)
    }
}

impl Log {
    /// Adds `unit` to the open batch, if that takes no waiting. Its operation is timed if it has
    /// `begun`.
    pub(crate) fn submit(
        &self,
        unit: &Unit<'_>,
        durability: Durability,
        begun: Option<Instant>,
    ) -> Result<Submitted> {
        let _guard = PanicGuard::new(self);
        let mut state = self.state.lock();
        state.check_open()?;
        if !self.takes_at_once(&mut state, unit, durability)? {
            return Ok(Submitted::NoRoom);
        }
        self.leave_to_committer(state, unit, durability, begun)
    }

    /// Adds `unit` to the open batch, however long it takes until that has room.
    pub(crate) fn submit_waiting(
        &self,
        unit: &Unit<'_>,
        durability: Durability,
        begun: Option<Instant>,
    ) -> Result<Submitted> {
        let _guard = PanicGuard::new(self);
        let state = self.admit(unit, durability != Durability::Synced)?;
        self.leave_to_committer(state, unit, durability, begun)
    }

    /// Leads the open batch if the committer was summoned to and nobody else does; whether it did.
    pub(crate) fn lead_summoned(&self) -> bool {
        let _guard = PanicGuard::new(self);
        let state = self.state.lock();
        let waits = state.fatal.is_none()
            && state.open.as_ref().is_some_and(|batch| batch.summoned && !batch.led);
        if waits {
            drop(self.lead(state, None));
        }
        waits
    }

    fn takes_at_once(
        &self,
        state: &mut State,
        unit: &Unit<'_>,
        durability: Durability,
    ) -> Result<bool> {
        if durability != Durability::Synced && self.window_is_full(state, unit) {
            return Ok(false);
        }
        if unit.needs_space() && !self.host.admits_put(state.unapplied_growth() + unit.growth()) {
            return Ok(false);
        }
        if state.open.is_none() && state.takes_fresh(unit) {
            self.open_batch(state, unit)?;
        }
        Ok(state.open_takes(unit))
    }

    fn leave_to_committer(
        &self,
        mut state: Guard<'_>,
        unit: &Unit<'_>,
        durability: Durability,
        begun: Option<Instant>,
    ) -> Result<Submitted> {
        let Appended { number, answers, done } = self.append(&mut state, unit, durability);
        self.recorder.stop(Timed::PutQueue, begun);
        let stage = match durability {
            Durability::Buffered => {
                drop(state);
                self.apply_buffered(number, &done, answers)?;
                self.recorder.stop(Timed::Put, begun);
                return Ok(Submitted::Done);
            }
            Durability::Written => Stage::Written,
            Durability::Synced if seeded(Bug::AckAtWritten) => Stage::Written,
            Durability::Synced => Stage::Durable,
        };
        if let Some(begun) = begun {
            // Before anybody can lead it further.
            done.time(stage, begun);
        }
        let unled = state.open.as_mut().filter(|batch| !batch.led && !batch.summoned);
        let summons = unled.is_some() && !seeded(Bug::CommitterNotSummoned);
        unled.into_iter().for_each(|batch| batch.summoned = true);
        Ok(Submitted::InBatch { ticket: Ticket { done, stage, slot: None }, summons })
    }
}
