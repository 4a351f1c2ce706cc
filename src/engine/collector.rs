//! Collecting garbage: live records leave extents that hold little else, and what is empty is
//! freed.
//!
//! 1. [Victims](super::victims) are chosen by what their space is worth and what their live records
//!    cost to move.
//! 2. Their records are read; those to which the index refers are appended to the open value extent,
//!    a stream of its own, as what has lived long tends to live on.
//! 3. The copies are made durable; then a RELOCATE for each goes into the log (G1). It takes effect
//!    only if the key is still where it was when its turn comes (G2), so a put or a delete that
//!    came first wins.
//! 4. What nothing refers to, the victims among it, goes into [quarantine](super::quarantine), and
//!    is free after it (G3).
//!
//! Where that gives nothing, large extents are [emptied](super::evacuation).

use super::checkpoint::Checkpointer;
use super::core::Core;
use super::evacuation::Evacuation;
use super::pacer::Pacer;
use super::relocation::Relocation;
use super::renewal::Renewal;
use super::scan::for_each_record;
use super::victims::{Choice, choose, least_gain};
use crate::error::{Error, Result};
use crate::events::{CheckpointCause, Event};
use crate::extent::{Candidate, Collected, Plan, Usage, Worth, bytes_of};
use crate::format::ids::{ExtentNo, Incarnation};
use crate::metrics::{Collection, Noted};
use crate::seeded::{Bug, seeded};
use crate::sync::{self, Arc, Condvar, Duration, Mutex, MutexGuard};
use crate::wal::Log;

/// How often what is in quarantine is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The part of the log's extent that must be garbage for it to be left early, and the pages: more
/// than what is logged to have it back.
const LEFT_PART: u64 = 4;
const LEFT_PAGES: u64 = 4;

/// Checkpoints that are written to give the end of the file back: two replace those that name it, or are
/// in it, and others the log that they keep there.
const MOST_CUTS: u32 = 6;

/// Bytes that a move counts for beside those of its record, which is looked up, logged and edited in an index
/// that is not in the processor's caches, whatever its length. A part of what an image has written in that time
/// (measured: 3 us and more, and 500 bytes a microsecond), as what is written wears the device as well.
const BYTES_PER_MOVE: f64 = 256.0;

/// Records that are looked at between two rests: as many as take no longer than a read.
const RECORDS_AT_A_TIME: usize = 64;
/// How often values are moved closer together for one put.
const MOST_PACKED: u32 = 32;
/// How often a put may lose the room that was made for it to another.
const RACES: u32 = 4;

/// Collects garbage.
#[derive(Debug)]
pub(crate) struct Collector {
    core: Arc<Core>,
    log: Arc<Log>,
    checkpointer: Arc<Checkpointer>,
    renewal: Arc<Renewal>,
    evacuation: Evacuation,
    work: Mutex<Relocation>,
    /// What it did last, or why it did nothing.
    noted: Noted,
    /// Whether somebody works. Those who wait for space look again when that changes.
    busy: Mutex<bool>,
    changed: Condvar,
}

/// The right to work, until it is dropped.
struct Turn<'a>(&'a Collector);

impl Turn<'_> {
    fn work(&self) -> MutexGuard<'_, Relocation> {
        self.0.work.lock()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.busy.lock() = false;
        self.0.changed.notify_all();
    }
}

impl Collector {
    pub(super) fn new(
        core: &Arc<Core>,
        log: &Arc<Log>,
        checkpointer: &Arc<Checkpointer>,
        renewal: &Arc<Renewal>,
    ) -> Self {
        Self {
            core: Arc::clone(core),
            log: Arc::clone(log),
            checkpointer: Arc::clone(checkpointer),
            renewal: Arc::clone(renewal),
            evacuation: Evacuation::new(core, log, renewal),
            work: Mutex::new(Relocation::new(core, log, renewal)),
            noted: Noted::default(),
            busy: Mutex::new(false),
            changed: Condvar::new(),
        }
    }

    /// What it did last, or why it did nothing.
    pub(crate) fn collection(&self) -> Collection {
        self.noted.get()
    }

    /// Bytes of large values that were moved.
    pub(crate) fn moved_large_bytes(&self) -> u64 {
        self.evacuation.copied_bytes()
    }

    /// Calls `meanwhile` the next time that large values have been copied and no record says so yet.
    #[cfg(test)]
    pub(crate) fn when_copied(&self, meanwhile: impl FnOnce() + Send + 'static) {
        self.evacuation.when_copied(Box::new(meanwhile));
    }

    /// Collects all that is worth it, whatever the contract allows.
    pub(crate) fn run(&self) -> Result<()> {
        let _hurry = self.core.governor.hurry();
        let now = self.core.space.newest_incarnation();
        let pacer = Pacer::new(&self.core, true);
        while let Some(turn) = self.take_turn(|| false) {
            let work = &mut turn.work();
            if !self.round(work, now, &pacer)? && !self.evacuate(work, None, false, &pacer)? {
                break;
            }
        }
        self.shrink(&pacer)?;
        while self.checkpointer.discard_free(true)? {}
        Ok(())
    }

    /// Gives the end of the file back, where that is worth it. The log leaves it; checkpoints that name
    /// it, or are in it, are replaced; what is left in it and has garbage is collected.
    fn shrink(&self, pacer: &Pacer<'_>) -> Result<()> {
        for _ in 0..MOST_CUTS {
            let Some(turn) = self.take_turn(|| false) else { break };
            if self.checkpointer.shrink(Worth::Some)? {
                continue;
            }
            let gain = least_gain(&self.core);
            let Some(end) = self.core.space.end_to_empty(Worth::Some, gain) else { break };
            let written = match self.log.leave_end(end) {
                Ok(()) => self.checkpointer.run(CheckpointCause::Space),
                error => error,
            };
            match written {
                Err(Error::Full { .. }) => break,
                written => written?,
            }
            let work = &mut turn.work();
            if work.open_extent().is_some_and(|(extent, _)| extent >= end) {
                work.seal(pacer).map_err(|error| self.log.failure(error))?;
            }
            let now = self.core.space.newest_incarnation();
            while self.round(work, now, pacer)? {}
        }
        Ok(())
    }

    /// Frees what can be freed, and collects garbage once if the contract wants it.
    #[cfg(test)]
    pub(crate) fn step(&self) -> Result<bool> {
        let _hurry = self.core.governor.hurry();
        self.step_at(&Pacer::new(&self.core, true))
    }

    /// Tries to have room for a put that was refused first at `since`, so that nothing is moved
    /// twice for it, and so many times; whether it is worth trying it again. Where others took what
    /// there was for it, or room of another kind is wanted, whatever can be collected is in the end.
    /// The put may be of a large value of so many `pages`.
    pub(crate) fn make_room(
        &self,
        since: Incarnation,
        refusals: u32,
        pages: Option<u64>,
    ) -> Result<bool> {
        let _hurry = self.core.governor.hurry();
        let pacer = Pacer::new(&self.core, true);
        let mut gained = false;
        loop {
            let may_try =
                || (gained || refusals < RACES) && self.core.space.has_room_for_put(pages);
            let Some(turn) = self.take_turn(may_try) else { return Ok(true) };
            let work = &mut turn.work();
            if !self.round(work, since, &pacer)? {
                // As long as anything is pinned, what is moved stays where it was as well.
                let is_pinned = self.core.index.pins().count > 0;
                if is_pinned {
                    return Ok(gained);
                }
                let may_pack = pages.is_some() && refusals <= MOST_PACKED;
                return Ok(self.evacuate(work, pages, may_pack, &pacer)? || gained);
            }
            gained = true;
        }
    }

    /// Waits until nobody else works; `None` once `enough` is done by others.
    fn take_turn(&self, enough: impl Fn() -> bool) -> Option<Turn<'_>> {
        let mut busy = self.busy.lock();
        while !enough() {
            if !*busy {
                *busy = true;
                return Some(Turn(self));
            }
            busy = self.changed.wait(busy);
        }
        None
    }

    /// Collects as it becomes due, until the store closes.
    pub(super) fn run_background(&self) {
        while self.core.garbage_bell.wait() {
            if self.log.frozen_at().is_some() {
                // It goes on being full if this cannot be.
                let _ = self.renewal.have_log(self.log.life());
            }
            // A failure has poisoned the log, or wants space that is not there: the next extent
            // tries again.
            while let Ok(true) = self.step_at(&Pacer::new(&self.core, false)) {}
            while self.is_under_way() {
                let newest = self.log.newest();
                if !self.core.garbage_bell.rest(LOOK_EVERY) {
                    return;
                }
                while let Ok(true) = self.step_at(&Pacer::new(&self.core, false)) {}
                if self.log.newest() == newest {
                    // Nobody writes. What cannot be done goes on waiting.
                    let _ = self.complete();
                }
            }
        }
    }

    /// Whether something waits for the log.
    fn is_under_way(&self) -> bool {
        self.work.lock().is_under_way() || self.renewal.quarantine.lock().wanted().is_some()
    }

    /// Has the log take all moves, and prove what is in quarantine.
    fn complete(&self) -> Result<()> {
        let Some(turn) = self.take_turn(|| false) else { return Ok(()) };
        let mut work = turn.work();
        work.finish(&Pacer::new(&self.core, false))?;
        let mut quarantine = self.renewal.quarantine.lock();
        quarantine.turn_over();
        let wanted = quarantine.wanted();
        drop(quarantine);
        wanted.map_or(Ok(()), |(_, last)| self.renewal.with_log(|| self.log.prove(last)))
    }

    fn step_at(&self, pacer: &Pacer<'_>) -> Result<bool> {
        let Some(turn) = self.take_turn(|| false) else { return Ok(false) };
        let mut work = turn.work();
        work.let_go();
        if self.renewal.quarantine.lock().turn_over() {
            return Ok(true);
        }
        if self.checkpointer.shrink(Worth::Much)? {
            return Ok(true);
        }
        if self.checkpointer.discard_free(false)? {
            pacer.pause();
            return Ok(true);
        }
        self.core.take_stock();
        if !self.core.governor.is_due() {
            self.noted.set(Collection::AtEase);
            self.core.scanned.lock().take();
            return Ok(false);
        }
        let now = self.core.space.newest_incarnation();
        if self.round(&mut work, now, pacer)? {
            return Ok(true);
        }
        match self.core.space.is_short_of_reserve() {
            true => self.evacuate(&mut work, None, false, pacer),
            false => Ok(false),
        }
    }

    /// One thing that gives space back, or brings that nearer, with extents of lives up to `since`.
    /// False if there is nothing.
    fn round(&self, work: &mut Relocation, since: Incarnation, pacer: &Pacer<'_>) -> Result<bool> {
        // An extent whose footer is due cannot be used again, nor collected.
        self.log.finish_footers()?;
        if pacer.hurries() && work.is_under_way() {
            work.finish(pacer).map_err(|error| self.log.failure(error))?;
        }
        let freed = self.renewal.quarantine.lock().turn_over();
        if freed || (self.is_pressed(pacer) && self.see_off()?) {
            return Ok(true);
        }
        let usage = self.core.take_stock();
        let Choice { victims, price } = choose(&self.core, since, &self.log.unfinished());
        // The older checkpoint is kept as long as that costs nothing.
        let costs = self.core.governor.is_due() && self.core.space.saved_without_older(price) > 0.0;
        if costs && self.checkpointer.give_up_previous()? {
            return Ok(true);
        }
        let wants_checkpoint = self.is_worth_a_checkpoint(price);
        if wants_checkpoint {
            self.checkpointer.want();
        }
        if victims.is_empty() {
            self.core.governor.learn(0, Duration::ZERO);
            self.noted.set(match (usage.held, usage.set_aside) {
                _ if wants_checkpoint => Collection::AwaitsCheckpoint,
                (0, 0) => Collection::NothingToGain,
                (0, _) => Collection::SetAside,
                _ => Collection::HeldByPins,
            });
            return Ok(self.checkpoint(&usage, pacer)? || self.last_resort(work, since, pacer)?);
        }
        self.noted.set(Collection::Collecting);
        match self.collect(work, victims, pacer) {
            // What was moved before is not free yet, as its moves are pending.
            Err(Error::Full { .. }) if pacer.hurries() && work.is_under_way() => Ok(true),
            // There is nowhere to move it.
            Err(Error::Full { .. }) => {
                Ok(self.checkpoint(&usage, pacer)? || self.has_kept_log(since, pacer)?)
            }
            collected => collected.map(|()| true),
        }
    }

    /// Where somebody waits and there is nothing to collect: gets at what is in extents that are
    /// still being written to. Whether that brought anything nearer.
    fn last_resort(
        &self,
        work: &mut Relocation,
        since: Incarnation,
        pacer: &Pacer<'_>,
    ) -> Result<bool> {
        if self.has_kept_log(since, pacer)? {
            return Ok(true);
        }
        if !pacer.hurries() {
            return Ok(false);
        }
        let whole = self.core.extent_bytes();
        let least = (whole / LEFT_PART).max(bytes_of(LEFT_PAGES));
        let has_garbage = |open: Option<(ExtentNo, u64)>, least: u64| {
            open.is_some_and(|(extent, written)| {
                let garbage = self.core.space.garbage_in(extent, written, since);
                garbage.is_some_and(|garbage| garbage >= least)
            })
        };
        // All that is written of it will do, as it need not be moved.
        let of_copies = work.open_extent();
        let written = of_copies.map_or(least, |(_, written)| written.clamp(1, least));
        if has_garbage(of_copies, written) {
            work.seal(pacer).map_err(|error| self.log.failure(error))?;
            return Ok(true);
        }
        if !has_garbage(self.log.open_extent(), least) {
            return Ok(false);
        }
        match self.log.leave_extent() {
            Ok(true) => self.has_kept_log(since, pacer),
            Ok(false) | Err(Error::Full { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has what only checkpoints keep, where somebody waits for space.
    fn has_kept_log(&self, since: Incarnation, pacer: &Pacer<'_>) -> Result<bool> {
        Ok(pacer.hurries() && self.renewal.have_kept_log(since, least_gain(&self.core))?)
    }

    /// Whether space is wanted sooner than it comes by itself.
    fn is_pressed(&self, pacer: &Pacer<'_>) -> bool {
        pacer.hurries() || self.core.governor.is_short()
    }

    /// Proves what is in quarantine, and waits for its readers. Whether anything was freed.
    fn see_off(&self) -> Result<bool> {
        let wanted = self.renewal.quarantine.lock().wanted();
        let Some((_, last)) = wanted else { return Ok(false) };
        match self.renewal.with_log(|| self.log.prove(last)) {
            Ok(()) => self.renewal.free(),
            Err(Error::Full { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Moves what is live in `victims`.
    fn collect(
        &self,
        relocation: &mut Relocation,
        mut victims: Vec<Candidate>,
        pacer: &Pacer<'_>,
    ) -> Result<()> {
        // Some may have been emptied, and used again, meanwhile.
        victims.retain(|victim| self.core.space.begin_collecting(victim.extent, victim.state));
        let begun = sync::now();
        let copied = self.copy_live(relocation, &victims, pacer);
        if copied.is_err() {
            relocation.abandon();
        }
        relocation.leave(&victims, if copied.is_ok() { Collected::Done } else { Collected::No });
        copied.map_err(|error| self.log.failure(error))?;
        let garbage = |victim: &Candidate| self.core.extent_bytes() - victim.live;
        let gained_bytes = victims.iter().map(garbage).sum();
        self.core.governor.learn(gained_bytes, pacer.busy());
        if !victims.is_empty() {
            self.core.volume.events.tell(|| Event::Collected {
                extents: victims.len() as u64,
                moved_bytes: victims.iter().map(|victim| victim.live).sum(),
                gained_bytes,
                took: begun.elapsed(),
            });
        }
        self.renewal.quarantine.lock().turn_over();
        Ok(())
    }

    fn copy_live(
        &self,
        relocation: &mut Relocation,
        victims: &[Candidate],
        pacer: &Pacer<'_>,
    ) -> Result<()> {
        for &Candidate { extent, state, .. } in victims {
            let mut seen = 0;
            for_each_record(&self.core, extent, state, pacer, |key, at, value| {
                seen += 1;
                if seen % RECORDS_AT_A_TIME == 0 {
                    pacer.pause();
                }
                let is_live = self.core.index.get_at_leisure(key) == Some(at);
                if is_live && relocation.add(key, at, value, pacer)? {
                    // What was collected before may be free by now.
                    self.renewal.quarantine.lock().turn_over();
                }
                Ok(())
            })?;
        }
        relocation.flush(pacer)
    }

    /// Empties large extents, where that makes room: as many adjacent ones as a value of `pages`
    /// wants, or more of them than before, or longer holes in them. Whether anything was moved.
    fn evacuate(
        &self,
        work: &mut Relocation,
        pages: Option<u64>,
        may_pack: bool,
        pacer: &Pacer<'_>,
    ) -> Result<bool> {
        let space = &self.core.space;
        if pages.is_some_and(|pages| !space.has_pages(pages)) {
            return Ok(false);
        }
        let unfinished = self.log.unfinished();
        let adjacent =
            pages.filter(|&pages| pages > u64::from(space.extent_pages())).and_then(|pages| {
                space.plan_adjacent(pages, space.candidates(|extent| unfinished.contains(&extent)))
            });
        let pack = || may_pack.then(|| space.plan_longer_holes()).flatten();
        let plan = adjacent.or_else(|| space.plan_gain()).or_else(pack);
        let Some(plan) = plan else { return Ok(false) };
        if plan.is_nothing() {
            return Ok(true);
        }
        if !seeded(Bug::WithheldUsed) {
            space.withhold(&plan);
        }
        let emptied = self.empty(work, &plan, pacer);
        space.release(&plan);
        self.core.measure_image();
        self.core.take_stock();
        match emptied {
            Err(Error::Full { .. }) => Ok(false),
            emptied => emptied,
        }
    }

    fn empty(&self, work: &mut Relocation, plan: &Plan, pacer: &Pacer<'_>) -> Result<bool> {
        self.noted.set(Collection::Collecting);
        let mut moved = !plan.victims.is_empty();
        if moved {
            self.collect(work, plan.victims.clone(), pacer)?;
            work.finish(pacer).map_err(|error| self.log.failure(error))?;
        }
        let (begun, before) = (sync::now(), self.evacuation.copied_bytes());
        moved |= self.evacuation.run(plan, pacer)?;
        let bytes = self.evacuation.copied_bytes() - before;
        if bytes > 0 {
            let took = begun.elapsed();
            self.core.volume.events.tell(|| Event::LargeValuesMoved { bytes, took });
        }
        self.renewal.quarantine.lock().turn_over();
        self.see_off()?;
        Ok(moved)
    }

    /// Whether log that only checkpoints keep is in the way of collecting: what another checkpoint
    /// would save the collector to move, at its `price`, costs more than what is written for it.
    fn is_worth_a_checkpoint(&self, price: f64) -> bool {
        let settled = self.core.space.extent_of(self.log.settled().page);
        let saved = self.core.space.saved_by_checkpoint(price, settled);
        let (keys, image_bytes) = self.core.index.size();
        let record_bytes = self.core.space.live_bytes() as f64 / keys.max(1) as f64;
        saved * (1.0 + BYTES_PER_MOVE / record_bytes.max(1.0)) > image_bytes as f64
    }

    /// Writes a checkpoint, if somebody waits for space and only checkpoints keep what there is.
    /// Whether that gave anything back.
    fn checkpoint(&self, usage: &Usage, pacer: &Pacer<'_>) -> Result<bool> {
        let garbage = (usage.kept * self.core.extent_bytes()).saturating_sub(usage.kept_live);
        // One extent is the tail's.
        if !pacer.hurries() || garbage <= 2 * self.core.extent_bytes() {
            return Ok(false);
        }
        // The older checkpoint keeps its log until the second from now is in force.
        for _ in 0..2 {
            self.checkpointer.run(CheckpointCause::Space)?;
            if self.core.space.usage().kept < usage.kept {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::WriteBatch;
    use crate::db::Db;
    use crate::engine::Engine;
    use crate::options::Options;

    const KEYS: u32 = 40_000;
    /// Bytes that are to be moved for each that is gained.
    const PRICE: f64 = 0.5;

    /// Whether a checkpoint is worth it where it gives back two extents of the log, which hold little else
    /// than garbage, in a store of values of so many bytes.
    fn is_worth_it(value_bytes: usize) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new().extent_bytes(256 << 10).garbage_ratio(10.0);
        let engine = Engine::open(&dir.path().join("data.vol"), &options).unwrap();
        let db = Db::new(Arc::clone(&engine));
        let value = vec![7; value_bytes];
        for first in (0..KEYS).step_by(100) {
            let mut batch = WriteBatch::new();
            (first..first + 100).for_each(|key| batch.put(key.to_be_bytes(), &value));
            db.write(&batch).unwrap();
        }
        db.checkpoint().unwrap();
        // A page each.
        (0..150_u32).for_each(|key| db.put(key.to_be_bytes(), &value).unwrap());
        engine.collector.is_worth_a_checkpoint(PRICE)
    }

    /// In bytes, an image takes more than both save.
    #[test]
    fn a_checkpoint_is_worth_more_where_records_are_short() {
        assert!(is_worth_it(8));
        assert!(!is_worth_it(400));
    }
}
