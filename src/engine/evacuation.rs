//! Emptying large extents: every live value that touches one is copied elsewhere, so that the
//! extent is free.
//!
//! 1. A [plan](crate::extent::Plan) says which extents gain what is wanted. They are withheld:
//!    nothing goes there meanwhile.
//! 2. Each value is verified and written elsewhere, under a header of its new place. What cannot be
//!    read stays, for whoever asks for it to hear.
//! 3. The copies are made durable; then a record for each says where the value is from now on (G1).
//!    It expects the value where it was, so a put or a delete that came first wins (G2): the copy is
//!    garbage then.
//! 4. Where a value was goes into quarantine like all that nothing refers to any more (G3). It may be
//!    free before all moves are logged, but not used again, as it is withheld: so a location that is
//!    expected is that of one value only.
//!
//! What is logged of it is barren: the index refers to pages of large extents by these records, not to
//! the log, and checkpoints list the values and the extents. So the log for it can always be had
//! [back](super::renewal).

use super::core::Core;
use super::pacer::Pacer;
use super::renewal::Renewal;
use super::stored::Stored;
use crate::device::Purpose;
use crate::durability::Durability;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::extent::large::{LargeWriter, Source};
use crate::extent::{Allocation, LargeRun, Plan, bytes_of};
use crate::format::ids::PageNo;
use crate::format::location::Location;
use crate::format::record::{Expected, LargePointer, Record};
use crate::seeded::{Bug, seeded};
#[cfg(test)]
use crate::sync::Mutex;
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::wal::{Item, Log, Unit};
use std::fmt;

/// Bytes that are copied before they are made durable, and values: one flush for all.
const COPY_BYTES: u64 = 16 << 20;
const COPIES: usize = 64;
/// Announcements that go into the log together.
const ANNOUNCED_TOGETHER: usize = 16;

pub(super) struct Evacuation {
    core: Arc<Core>,
    log: Arc<Log>,
    renewal: Arc<Renewal>,
    /// Bytes that were copied since the store was opened.
    copied_bytes: AtomicU64,
    /// What a test does between copying and logging.
    #[cfg(test)]
    meanwhile: Mutex<Option<Meanwhile>>,
}

#[cfg(test)]
type Meanwhile = Box<dyn FnOnce() + Send>;

/// A value that was copied.
struct Copied {
    key: Vec<u8>,
    from: Location,
    allocation: Allocation,
    pointer: LargePointer,
}

impl Evacuation {
    pub(super) fn new(core: &Arc<Core>, log: &Arc<Log>, renewal: &Arc<Renewal>) -> Self {
        Self {
            core: Arc::clone(core),
            log: Arc::clone(log),
            renewal: Arc::clone(renewal),
            copied_bytes: AtomicU64::new(0),
            #[cfg(test)]
            meanwhile: Mutex::new(None),
        }
    }

    #[cfg(test)]
    pub(super) fn when_copied(&self, meanwhile: Meanwhile) {
        *self.meanwhile.lock() = Some(meanwhile);
    }

    pub(super) fn copied_bytes(&self) -> u64 {
        self.copied_bytes.load(Ordering::Relaxed)
    }

    /// Moves what is live out of the extents of `plan`, which are withheld. Whether anything
    /// changed: it did not where there is no room for the copies any more.
    pub(super) fn run(&self, plan: &Plan, pacer: &Pacer<'_>) -> Result<bool> {
        let mut copies = Vec::new();
        let mut changed = false;
        for &(page, run) in &plan.values {
            match self.copy(page, run, pacer)? {
                Outcome::Copied(copied) => copies.push(copied),
                Outcome::Gone => changed = true,
                Outcome::NoRoom => break,
            }
            let bytes: u64 = copies.iter().map(|copied| bytes_of(copied.allocation.pages)).sum();
            if bytes >= COPY_BYTES || copies.len() >= COPIES {
                changed |= self.log_moves(&mut copies, pacer)?;
            }
        }
        Ok(self.log_moves(&mut copies, pacer)? || changed)
    }

    /// The value at `page` cannot be read.
    fn set_aside(&self, page: PageNo, run: LargeRun) {
        self.core.space.set_run_aside(page, run);
        let (page, live_bytes) = (page.0, bytes_of(run.pages));
        self.core.volume.events.tell(|| Event::SetAside { page, live_bytes });
    }

    fn copy(&self, page: PageNo, run: LargeRun, pacer: &Pacer<'_>) -> Result<Outcome> {
        let Core { index, space, .. } = &*self.core;
        let Some(mut stored) = Stored::open(&self.core, pacer, page, run) else {
            self.set_aside(page, run);
            return Ok(Outcome::Gone);
        };
        let (key, value_len, from) = (stored.key().to_vec(), stored.value_len(), stored.location());
        if index.get_at_leisure(&key) != Some(from) {
            // It is dead by now; or it is not of the key that it says, and cannot be moved.
            if space.large_at(page).is_some_and(|run| run.live) {
                space.set_run_aside(page, run);
            }
            return Ok(Outcome::Gone);
        }
        let record = move_of(&key, from, LargePointer::default());
        if self.log.check_size(&Unit::new(&[(record, &[])])).is_err() {
            // Its key is so long that the log could not say so.
            space.set_run_aside(page, run);
            return Ok(Outcome::Gone);
        }
        let Some(allocation) = space.allocate_copy(run.pages) else { return Ok(Outcome::NoRoom) };
        let Core { volume, pool, store, .. } = &*self.core;
        let writer = LargeWriter { volume, pool, store: *store, purpose: Purpose::Collection };
        match writer.write(&allocation, &key, value_len, Source::Reader(&mut stored)) {
            Ok(pointer) => {
                self.copied_bytes.fetch_add(bytes_of(run.pages), Ordering::Relaxed);
                Ok(Outcome::Copied(Copied { key, from, allocation, pointer }))
            }
            Err(Error::Source { .. }) => {
                space.give_back(&allocation);
                self.set_aside(page, run);
                Ok(Outcome::Gone)
            }
            Err(error) => Err(self.log.failure(error)),
        }
    }

    /// Makes the copies durable, and has the log say where they are. Whether there were any.
    fn log_moves(&self, copies: &mut Vec<Copied>, pacer: &Pacer<'_>) -> Result<bool> {
        if copies.is_empty() {
            return Ok(false);
        }
        pacer.pause();
        #[cfg(test)]
        if let Some(meanwhile) = self.meanwhile.lock().take() {
            meanwhile();
        }
        if !seeded(Bug::LargeCopiesWithoutBarrier) {
            self.core.volume.barrier().map_err(|error| self.log.failure(error))?;
        }
        let copies = std::mem::take(copies);
        let mut rest = &copies[..];
        let mut logged = self.announce(rest);
        while logged.is_ok() && !rest.is_empty() {
            logged = self.log_some(rest).map(|left| rest = left);
        }
        if let Err(Error::Full { .. } | Error::Closed) = logged {
            // Nothing refers to what was not logged, nor will.
            rest.iter().for_each(|copied| self.core.space.give_back(&copied.allocation));
        }
        pacer.waited();
        logged.map(|()| true)
    }

    /// G4: the log says what an extent is before it says what is in it.
    fn announce(&self, copies: &[Copied]) -> Result<()> {
        let announced = copies.iter().flat_map(|copied| &copied.allocation.announce);
        let items: Vec<Item<'_>> = announced
            .map(|&(extent, state)| (Record::Announce { extent, state }, &[][..]))
            .collect();
        for some in items.chunks(ANNOUNCED_TOGETHER) {
            let unit = Unit::giving_back(some);
            self.renewal.with_log(|| self.log.commit(&unit, Durability::Synced))?;
        }
        copies.iter().for_each(|copied| self.core.space.announced(&copied.allocation));
        Ok(())
    }

    /// Logs as many of the first moves as go into a batch; returns the others.
    fn log_some<'c>(&self, copies: &'c [Copied]) -> Result<&'c [Copied]> {
        let mut items: Vec<Item<'_>> = Vec::new();
        for Copied { key, from, pointer, .. } in copies {
            items.push((move_of(key, *from, *pointer), &[]));
            if items.len() > 1 && self.log.check_size(&Unit::new(&items)).is_err() {
                items.pop();
                break;
            }
        }
        let unit = Unit::giving_back(&items);
        let answers = self.renewal.with_log(|| self.log.commit_all(&unit, Durability::Synced))?;
        let (logged, rest) = copies.split_at(items.len());
        for (copied, moved) in logged.iter().zip(answers) {
            if !moved && !seeded(Bug::LargeCopyLost) {
                self.core.space.lose_large(&copied.allocation);
            }
        }
        Ok(rest)
    }
}

impl fmt::Debug for Evacuation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evacuation")
            .field("copied_bytes", &self.copied_bytes)
            .finish_non_exhaustive()
    }
}

enum Outcome {
    Copied(Copied),
    /// It was not live any more, or stays where it is.
    Gone,
    NoRoom,
}

/// The record that says where the value of `key` is from now on, if it is still where it was.
fn move_of(key: &[u8], from: Location, pointer: LargePointer) -> Record<'_> {
    // The copy was made durable before (W5).
    let pointer = LargePointer { barriered: true, ..pointer };
    let expected = Some(Expected::At(from)).filter(|_| !seeded(Bug::LargeMoveUnconditional));
    Record::PutLarge { key, value_len: from.value_len(), pointer, expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Db;
    use crate::engine::Engine;
    use crate::format::ids::PAGE_BYTES;
    use crate::format::location::Home;
    use crate::options::Options;

    /// 16 pages an extent: a value of 13 pages and one of 3 fill one.
    const LONG: usize = 12 * PAGE_BYTES;
    const SHORT: usize = 2 * PAGE_BYTES;

    fn value(name: &str, len: usize) -> Vec<u8> {
        name.bytes().cycle().take(len).collect()
    }

    /// Five extents, each full: `a0` and `b0`, `a1` and `b1` ...
    fn filled(dir: &tempfile::TempDir) -> (Arc<Engine>, Db) {
        let options = Options::new().extent_bytes(64 << 10).volume_bytes(4 << 20);
        let options = options.large_min(4096);
        let engine = Engine::open(&dir.path().join("data.vol"), &options).unwrap();
        let db = Db::new(Arc::clone(&engine));
        for i in 0..5 {
            for (letter, len) in [("a", LONG), ("b", SHORT)] {
                let key = format!("{letter}{i}");
                db.put(&key, value(&key, len)).unwrap();
            }
        }
        (engine, db)
    }

    fn location(engine: &Engine, key: &str) -> Location {
        let found = engine.locate(key.as_bytes()).unwrap().unwrap();
        assert_eq!(found.home(), Home::Large);
        found
    }

    fn assert_has(db: &Db, keys: &[&str]) {
        for key in keys {
            let len = if key.starts_with('a') { LONG } else { SHORT };
            assert_eq!(db.get(key).unwrap().unwrap(), value(key, len), "{key}");
        }
        assert_eq!(db.len(), keys.len() as u64);
        assert!(db.check().unwrap().is_clean());
    }

    #[test]
    fn what_is_live_leaves_extents_in_which_little_is() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, db) = filled(&dir);
        let before = db.metrics();
        for key in ["a0", "a2", "a3"] {
            db.delete(key).unwrap();
        }
        db.collect_garbage().unwrap();
        let after = db.metrics();
        let extent = engine.core.extent_bytes();
        assert_eq!(after.large_bytes, before.large_bytes - 2 * extent);
        assert_eq!(after.moved_large_bytes, 2 * 3 * PAGE_BYTES as u64);
        assert_eq!(after.written.collected, after.moved_large_bytes);
        let left = ["a1", "a4", "b0", "b1", "b2", "b3", "b4"];
        assert_has(&db, &left);
        // There is nothing more to gain.
        db.collect_garbage().unwrap();
        assert_eq!(db.metrics().moved_large_bytes, after.moved_large_bytes);
        db.close().unwrap();
        let db = Db::open(dir.path().join("data.vol")).unwrap();
        assert_has(&db, &left);
        assert_eq!(db.metrics().large_bytes, after.large_bytes);
    }

    #[test]
    fn what_comes_first_wins_and_the_copy_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, db) = filled(&dir);
        for key in ["a0", "a2", "a3"] {
            db.delete(key).unwrap();
        }
        let meanwhile = db.clone();
        engine.when_copied(move || {
            meanwhile.delete("b0").unwrap();
            meanwhile.put("b2", value("b2", SHORT)).unwrap();
        });
        db.collect_garbage().unwrap();
        assert!(db.metrics().moved_large_bytes > 0);
        assert_has(&db, &["a1", "a4", "b1", "b2", "b3", "b4"]);
        db.collect_garbage().unwrap();
        // Two extents with 13 and 3 pages, one with 9.
        assert_eq!(db.metrics().large_bytes, 3 * engine.core.extent_bytes());
        db.close().unwrap();
        let db = Db::open(dir.path().join("data.vol")).unwrap();
        assert_has(&db, &["a1", "a4", "b1", "b2", "b3", "b4"]);
    }

    #[test]
    fn what_cannot_be_read_stays_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, db) = filled(&dir);
        for key in ["a0", "a2", "a3"] {
            db.delete(key).unwrap();
        }
        let places: Vec<_> = ["b0", "b2", "b3"].map(|key| location(&engine, key)).into();
        // One has a damaged block, one a damaged header.
        for (at, page) in [(0, places[0].page().plus(2)), (1, places[1].page())] {
            let mut buf = engine.core.pool.take(1).unwrap();
            engine.core.volume.read(page, &mut buf).unwrap();
            buf[100 + at] ^= 1;
            engine.core.volume.write(Purpose::Large, page, &buf).unwrap();
        }
        for _ in 0..2 {
            db.collect_garbage().unwrap();
            for (key, place) in ["b0", "b2"].iter().zip(&places) {
                assert_eq!(location(&engine, key), *place);
                let error = db.get(key).unwrap_err();
                assert!(matches!(error, Error::Corrupt { page, .. } if page == place.page().0));
            }
            assert_eq!(db.get("b3").unwrap().unwrap(), value("b3", SHORT));
            assert!(db.health().is_healthy());
        }
    }

    #[test]
    fn what_a_snapshot_shows_is_there_after_it_moved() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, db) = filled(&dir);
        for key in ["a0", "a2"] {
            db.delete(key).unwrap();
        }
        let holder = db.clone();
        let held = Arc::new(crate::sync::Mutex::new(None));
        let set = Arc::clone(&held);
        engine.when_copied(move || *set.lock() = Some(holder.snapshot()));
        let before = location(&engine, "b0");
        db.collect_garbage().unwrap();
        assert_ne!(location(&engine, "b0"), before, "it was moved");
        let extents = db.metrics().large_bytes / engine.core.extent_bytes();
        let snapshot = held.lock().take().unwrap();
        // Nothing takes the place of what it shows.
        for i in 0..20 {
            db.put(format!("c{i}"), value("c", LONG)).unwrap();
        }
        assert_eq!(snapshot.get("b0").unwrap().unwrap(), value("b0", SHORT));
        assert_eq!(engine.fetch(b"b0", before).unwrap(), value("b0", SHORT));
        drop(snapshot);
        for i in 0..20 {
            db.delete(format!("c{i}")).unwrap();
        }
        db.collect_garbage().unwrap();
        let left = db.metrics().large_bytes / engine.core.extent_bytes();
        assert!(left < extents, "{left} of {extents}");
        assert_has(&db, &["a1", "a3", "a4", "b0", "b1", "b2", "b3", "b4"]);
    }
}
