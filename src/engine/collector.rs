//! Collecting garbage: live records leave extents that hold little else, and what is empty is
//! freed.
//!
//! 1. A *victim* is chosen by what its space is worth and what its live records cost to move.
//! 2. Its records are read; those to which the index refers are appended to the open value extent,
//!    a stream of its own, as what has lived long tends to live on.
//! 3. The copies are made durable; then a RELOCATE for each goes into the log (G1). It takes effect
//!    only if the key is still where it was when its turn comes (G2), so a put or a delete that
//!    came first wins.
//! 4. What nothing refers to, the victim among it, is retired: it waits until the last records
//!    that removed a reference are durable and proved, and until every reader who was there has
//!    left. Then it is free (G3).

use super::apply::record_bytes;
use super::checkpoint::Checkpointer;
use super::core::Core;
use super::relocation::Relocation;
use super::scan::for_each_record;
use crate::error::{Error, Result};
use crate::extent::{Candidate, Occupancy, Retired, bytes_of};
use crate::format::ids::{BatchNo, Incarnation};
use crate::format::location::Home;
use crate::sync::{self, Arc, Duration, Mutex};
use crate::wal::Log;
use std::collections::VecDeque;

/// Extents that the space contract allows beside what is live, and garbage in proportion: the
/// superblocks', three of the log, one that is appended to, two images that end within one, and
/// one on its way to being free.
pub(super) const FIXED_EXTENTS: u64 = 8;
/// Free extents, beyond those that puts leave, below which garbage is collected whatever its
/// ratio.
const LOW_WATER: u64 = 4;
/// The part of an extent, and the pages, that must be garbage for it to be worth collecting.
const LEAST_GAIN: u64 = 16;
const LEAST_GAIN_PAGES: u64 = 2;
/// The most extents that are collected together.
const MOST_VICTIMS: usize = 16;
/// Empty log extents that only checkpoints keep, beyond which it is better to write one than to
/// move anything.
const KEPT_EMPTY: u64 = 4;
/// The part of the extents in use beyond which that holds for all that checkpoints keep.
const KEPT_SHARE: u64 = 4;
/// The part of the garbage allowed that may be in log which only checkpoints keep.
const KEPT_PART: u64 = 4;
/// Time left to others per time that collecting an extent takes.
const IDLE_PER_BUSY: u32 = 19;
/// How often what is retired is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Collects garbage.
#[derive(Debug)]
pub(crate) struct Collector {
    core: Arc<Core>,
    log: Arc<Log>,
    checkpointer: Arc<Checkpointer>,
    /// Garbage allowed per live byte.
    garbage_ratio: f64,
    work: Mutex<Work>,
}

#[derive(Debug)]
struct Work {
    relocation: Relocation,
    retired: VecDeque<Waiting>,
}

/// What was retired together, and what it waits for.
#[derive(Debug)]
struct Waiting {
    retired: Vec<Retired>,
    /// The last batch that can have removed a reference.
    batch: BatchNo,
    /// The epoch in which every reader has left that was there.
    epoch: u64,
}

impl Collector {
    pub(super) fn new(
        core: &Arc<Core>,
        log: &Arc<Log>,
        checkpointer: &Arc<Checkpointer>,
        garbage_ratio: f64,
    ) -> Self {
        let work = Work { relocation: Relocation::new(core, log), retired: VecDeque::new() };
        Self {
            core: Arc::clone(core),
            log: Arc::clone(log),
            checkpointer: Arc::clone(checkpointer),
            garbage_ratio,
            work: Mutex::new(work),
        }
    }

    /// Collects all that is worth it, whatever the contract allows.
    pub(crate) fn run(&self) -> Result<()> {
        let mut work = self.work.lock();
        let now = self.now();
        while self.round(&mut work, now)? {}
        Ok(())
    }

    /// Frees what can be freed, and collects one extent if the contract wants it.
    pub(crate) fn step(&self) -> Result<bool> {
        let mut work = self.work.lock();
        let freed = self.reclaim(&mut work);
        let occupancy = self.core.space.occupancy();
        Ok(freed || (self.is_due(&occupancy) && self.round(&mut work, self.now())?))
    }

    /// Marks a moment: what is collected for one purpose is of a life that began before it, so
    /// nothing is moved twice.
    pub(crate) fn now(&self) -> Incarnation {
        self.core.space.next_incarnation()
    }

    /// Tries to have room for a put that was refused first at `since`; whether it is worth trying
    /// it again. Where it was refused `again`, room of another kind is wanted: whatever can be
    /// collected is.
    pub(crate) fn make_room(&self, since: Incarnation, again: bool) -> Result<bool> {
        let mut work = self.work.lock();
        let mut came_nearer = !again;
        while !came_nearer || self.core.space.spare_extents() == 0 {
            if !self.round(&mut work, since)? {
                return Ok(false);
            }
            came_nearer = true;
        }
        Ok(true)
    }

    /// Collects as it becomes due, until the store closes.
    pub(super) fn run_background(&self) {
        while self.core.garbage_bell.wait() && self.collect_what_is_due() {
            while self.is_waiting() {
                if !self.core.garbage_bell.rest(LOOK_EVERY) || !self.collect_what_is_due() {
                    return;
                }
                self.prove_if_idle();
            }
        }
    }

    /// Leaves the device to others for most of the time, unless space is short. False if the store
    /// closes.
    fn collect_what_is_due(&self) -> bool {
        loop {
            let begun = sync::now();
            // A failure has poisoned the log, or wants space that is not there: the next extent
            // tries again.
            if !matches!(self.step(), Ok(true)) {
                return true;
            }
            let idle = if self.is_short() { 0 } else { IDLE_PER_BUSY };
            if !self.core.garbage_bell.rest(begun.elapsed() * idle) {
                return false;
            }
        }
    }

    fn is_waiting(&self) -> bool {
        !self.work.lock().retired.is_empty()
    }

    /// Where nothing is written any more that would prove what retired extents wait for.
    fn prove_if_idle(&self) {
        let wanted = self.work.lock().retired.front().map(|waiting| waiting.batch);
        if let Some(wanted) = wanted
            && self.log.newest() == wanted
        {
            // A failure has poisoned the log, or there is no room: they go on waiting.
            let _ = self.log.prove(wanted);
        }
    }

    /// Whether the contract, or the want of space, asks for a collection.
    fn is_due(&self, occupancy: &Occupancy) -> bool {
        occupancy.used > self.allowed_extents() || self.is_short()
    }

    /// Extents that the contract allows.
    pub(crate) fn allowed_extents(&self) -> u64 {
        let live = self.core.space.live_bytes() + self.core.image_bytes();
        let allowed = live as f64 * (1.0 + self.garbage_ratio);
        (allowed as u64).div_ceil(self.extent_bytes()) + FIXED_EXTENTS
    }

    fn extent_bytes(&self) -> u64 {
        bytes_of(u64::from(self.core.space.extent_pages()))
    }

    /// One thing that gives space back, or brings that nearer, with extents of lives before
    /// `since`. False if there is nothing.
    fn round(&self, work: &mut Work, since: Incarnation) -> Result<bool> {
        // An extent whose footer is due cannot be used again.
        while self.log.footer_step()? {}
        if self.reclaim(work) {
            return Ok(true);
        }
        if let Some(waiting) = work.retired.back() {
            self.log.prove(waiting.batch)?;
            // Readers leave by themselves, within the time of a read.
            for _ in 0..1000 {
                if self.reclaim(work) {
                    return Ok(true);
                }
                sync::yield_now();
            }
        }
        let occupancy = self.core.space.occupancy();
        let keeps_too_much =
            occupancy.kept_empty > KEPT_EMPTY || occupancy.kept > occupancy.used / KEPT_SHARE;
        if self.is_short() && keeps_too_much && self.checkpoint_for_space()? {
            return Ok(true);
        }
        let victims = self.choose(since);
        if victims.is_empty() {
            return self.checkpoint_for_space();
        }
        match self.collect(work, &victims) {
            // There is nowhere to move it, or no log to say so.
            Err(Error::Full { .. }) => self.checkpoint_for_space(),
            collected => collected.map(|()| true),
        }
    }

    fn is_short(&self) -> bool {
        self.core.space.spare_extents() < LOW_WATER
    }

    /// The extents that are best collected now, together, so that one write to the log is for all of
    /// them: by what each gives back, by how long that is likely to last, for what it costs
    /// (cost-benefit, Rosenblum and Ousterhout, 1992).
    fn choose(&self, since: Incarnation) -> Vec<Candidate> {
        let whole = self.extent_bytes();
        let worth = |candidate: &Candidate| {
            let live = candidate.live as f64 / whole as f64;
            (1.0 - live) * candidate.age as f64 / (1.0 + live)
        };
        let unfinished = self.log.unfinished();
        let mut candidates = self.core.space.candidates(|extent| unfinished.contains(&extent));
        let gain = (whole / LEAST_GAIN).max(bytes_of(LEAST_GAIN_PAGES));
        candidates.retain(|candidate| {
            candidate.live + gain <= whole && candidate.state.incarnation < since
        });
        candidates.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
        let mut live = 0;
        let mut fit = |candidate: &Candidate| {
            live += candidate.live;
            live <= whole / 2
        };
        let together =
            candidates.iter().take(MOST_VICTIMS).map_while(|c| fit(c).then_some(())).count();
        candidates.truncate(together.max(1));
        candidates
    }

    /// Moves what is live in `victims`.
    fn collect(&self, work: &mut Work, victims: &[Candidate]) -> Result<()> {
        let (index, space) = (&self.core.index, &self.core.space);
        for victim in victims {
            let relocation = &mut work.relocation;
            for_each_record(&self.core, victim.extent, victim.state, |key, at, value| {
                if index.get(key) == Some(at) { relocation.add(key, at, value) } else { Ok(()) }
            })
            .map_err(|error| self.failure(error))?;
        }
        work.relocation.finish().map_err(|error| self.failure(error))?;
        for victim in victims {
            if space.is_live(victim.extent, victim.state) {
                // Some of it could not be read, and stays for whoever asks for it to hear; or its
                // key is too long.
                space.set_aside(victim.extent);
            }
        }
        self.reclaim(work);
        Ok(())
    }

    /// E1p: a failed transfer poisons the log before anyone hears of it.
    fn failure(&self, error: Error) -> Error {
        if error.is_device_failure() { self.log.fail(error) } else { error }
    }

    /// Writes a checkpoint where only checkpoints keep log that is mostly garbage.
    fn checkpoint_for_space(&self) -> Result<bool> {
        let before = self.core.space.occupancy();
        if !self.keeps_garbage(&before) {
            return Ok(false);
        }
        // The older checkpoint keeps its log until the second from now is in force.
        for _ in 0..2 {
            self.checkpointer.run()?;
            if self.core.space.occupancy().kept < before.kept {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether log that is of use to checkpoints only takes more than its part of the garbage.
    fn keeps_garbage(&self, occupancy: &Occupancy) -> bool {
        let garbage = (occupancy.kept * self.extent_bytes()).saturating_sub(occupancy.kept_live);
        let live = self.core.space.live_bytes() as f64;
        let part = (live * self.garbage_ratio) as u64 / KEPT_PART;
        // One extent is the tail's.
        garbage > self.extent_bytes() * 2 && (self.is_short() || garbage > part)
    }

    /// Retires what nothing refers to, and frees what has been long enough. Whether any was.
    fn reclaim(&self, work: &mut Work) -> bool {
        let Core { index, space, readers, .. } = &*self.core;
        for released in index.take_released() {
            let location = released.location;
            match location.home() {
                Home::Large => space.release_large(location.page()),
                Home::Log | Home::Value => space.release_record(
                    space.extent_of(location.page()),
                    record_bytes(released.key_len, location),
                ),
            }
        }
        let unfinished = self.log.unfinished();
        let retired = space.retire(|extent| unfinished.contains(&extent));
        if !retired.is_empty() {
            // After it was found that nothing refers to it: what removed the last reference has a
            // number by now, and whoever may have seen it has entered.
            let (batch, epoch) = (self.log.newest(), readers.all_gone());
            work.retired.push_back(Waiting { retired, batch, epoch });
        }
        let proved = self.log.proved();
        let mut freed = false;
        while let Some(waiting) = work.retired.front()
            && waiting.batch <= proved
            && readers.reach(waiting.epoch)
        {
            space.free(&waiting.retired);
            work.retired.pop_front();
            freed = true;
        }
        freed
    }
}
