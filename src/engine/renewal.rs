//! Having log back where there is no more. A checkpoint takes none, and proves what came before it;
//! after it the log's extents in which nothing is live are of no use to anybody. What only removes,
//! moves or proves leaves nothing live in the log, so it never runs out of it.

use super::checkpoint::Checkpointer;
use super::core::Core;
use super::quarantine::Quarantine;
use super::recovery::begin_epoch_after;
use crate::error::{Error, Result};
use crate::events::{CheckpointCause, Stall};
use crate::extent::Claim;
use crate::format::ids::Incarnation;
use crate::sync::{self, Arc, Duration, Mutex};
#[cfg(test)]
use crate::sync::{AtomicBool, Ordering};
use crate::wal::Log;

/// What is retired while a checkpoint is written may have to wait for another.
const CHECKPOINTS: usize = 2;
/// How often readers are looked for before the processor is left to them for longer: they leave
/// within the time of a read.
const LOOKS: usize = 1000;
const LOOK_EVERY: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Renewal {
    core: Arc<Core>,
    log: Arc<Log>,
    checkpointer: Arc<Checkpointer>,
    pub(super) quarantine: Mutex<Quarantine>,
    one_at_a_time: Mutex<()>,
    /// Whether a test has no log to be had.
    #[cfg(test)]
    pub(super) refuses: AtomicBool,
}

impl Renewal {
    pub(super) fn new(core: &Arc<Core>, log: &Arc<Log>, checkpointer: &Arc<Checkpointer>) -> Self {
        Self {
            core: Arc::clone(core),
            log: Arc::clone(log),
            checkpointer: Arc::clone(checkpointer),
            quarantine: Mutex::new(Quarantine::new(core, log)),
            one_at_a_time: Mutex::new(()),
            #[cfg(test)]
            refuses: AtomicBool::new(false),
        }
    }

    /// Does `work`, which logs nothing that keys come to refer to: it is refused only where there is
    /// no log to be had back.
    pub(super) fn with_log<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        #[cfg(test)]
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Error::Full { pinned_by: None });
        }
        loop {
            let life = self.log.life();
            match work() {
                Err(full @ Error::Full { .. }) => {
                    let _stalled = self.core.volume.events.stall(Stall::Space);
                    if !self.have_log(life)? {
                        return Err(full);
                    }
                }
                done => return done,
            }
        }
    }

    /// Sees to it that the log can go on after the extent that is in this life; whether it can.
    pub(super) fn have_log(&self, life: Incarnation) -> Result<bool> {
        let _one_at_a_time = self.one_at_a_time.lock();
        if self.log.frozen_at().is_some() {
            return self.thaw();
        }
        // Others may have it back as well, and may be ahead.
        let goes_on = || self.core.space.has_room(Claim::Barren) || self.log.life() != life;
        Ok(goes_on() || self.renew()? || goes_on())
    }

    /// Has checkpoints give up the log that they keep, if there are `gain` bytes to be had in some
    /// extent of it. Whether something is free that was not, or can be collected. Only lives up to
    /// `since` count: collecting logs moves, which are garbage in their turn.
    pub(super) fn have_kept_log(&self, since: Incarnation, gain: u64) -> Result<bool> {
        let _one_at_a_time = self.one_at_a_time.lock();
        if self.log.frozen_at().is_some() {
            return self.thaw();
        }
        let space = &self.core.space;
        self.log.settle_all()?;
        let last = space.extent_of(self.log.settled().page);
        if space.has_emptied_before(last) && self.renew()? {
            return Ok(true);
        }
        if !space.keeps_garbage_before(last, since, gain) {
            return Ok(false);
        }
        match self.checkpointer.run(CheckpointCause::Space) {
            Ok(()) => {}
            Err(Error::Full { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        self.checkpointer.give_up_previous()?;
        Ok(true)
    }

    /// Writes checkpoints, and gives up older ones, until something is free that was not.
    fn renew(&self) -> Result<bool> {
        for _ in 0..CHECKPOINTS {
            self.log.settle_all()?;
            self.log.finish_footers()?;
            if self.free()? {
                return Ok(true);
            }
            match self.checkpointer.run(CheckpointCause::Space) {
                Ok(()) | Err(Error::Full { .. }) => {}
                Err(error) => return Err(error),
            }
            if self.free()? {
                return Ok(true);
            }
            self.checkpointer.give_up_previous()?;
            if self.free()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Frees what nobody can reach once its readers have left. Whether anything was.
    pub(super) fn free(&self) -> Result<bool> {
        for look in 0.. {
            let mut quarantine = self.quarantine.lock();
            if quarantine.turn_over() {
                return Ok(true);
            }
            if !quarantine.waits_for_readers() {
                return Ok(false);
            }
            drop(quarantine);
            self.log.check_alive()?;
            if look < LOOKS { sync::yield_now() } else { sync::sleep(LOOK_EVERY) }
        }
        Ok(false)
    }

    /// Begins the epoch for which there was no room when the store was opened.
    fn thaw(&self) -> Result<bool> {
        let Some(tail) = self.log.frozen_at() else { return Ok(true) };
        if self.log.settled().batch < tail.batch {
            // Its last page was damaged since it was written: nothing can be anchored there.
            return Ok(false);
        }
        if !self.core.space.has_room(Claim::Barren) {
            match self.checkpointer.run_frozen() {
                Ok(()) => {}
                Err(Error::Full { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
            self.checkpointer.give_up_previous()?;
            self.log.forget_footers();
            self.free()?;
        }
        let (generation, epoch) = (self.checkpointer.generation(), self.core.space.epoch());
        match begin_epoch_after(&self.core, &tail, generation, epoch) {
            Ok(begun) => {
                self.log.thaw(begun);
                Ok(true)
            }
            Err(Error::Full { .. }) => Ok(false),
            Err(error) => Err(self.log.failure(error)),
        }
    }
}
