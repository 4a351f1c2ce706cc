//! Moving live records to the open value extent.

use super::core::Core;
use super::pacer::Pacer;
use super::renewal::Renewal;
use crate::device::Purpose;
use crate::durability::Durability;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::extent::{Candidate, Collected, bytes_of};
use crate::format::extent_state::ExtentState;
use crate::format::ids::{ExtentNo, PAGE_BYTES, PageNo, pages_for};
use crate::format::location::Location;
use crate::format::moves::List;
use crate::format::record::Record;
use crate::format::value_record::{ValueIdentity, encode, record_len};
use crate::seeded::{Bug, seeded};
use crate::sync::Arc;
use crate::wal::{Log, Offered, Unit};
use std::collections::VecDeque;
use std::fmt;

/// Bytes that are copied before they are made durable: one flush for some hundred records.
const COPY_BYTES: usize = 1 << 20;
/// Or so many bytes of their keys, of which further copies are made on the way into the log.
const KEY_BYTES: usize = 256 << 10;
/// Pages that are written at a time: few, as a `get` may have to wait for them.
const WRITE_PAGES: usize = 32;

/// The stream of what the collector moves.
pub(super) struct Relocation {
    core: Arc<Core>,
    log: Arc<Log>,
    renewal: Arc<Renewal>,
    open: Option<Open>,
    /// What is being moved refers to these, until so much of what was offered is done.
    in_use: VecDeque<(Offered, InUse)>,
    /// Records on their way to `next` of the open extent.
    copies: Vec<u8>,
    /// What they are copies of.
    moves: Option<List>,
}

/// An extent that nothing else may become of before the moves are done.
#[derive(Debug, Clone, Copy)]
enum InUse {
    /// To it they move, and it is full.
    Target(ExtentNo),
    /// From it they move; how far it is collected after that.
    Victim(ExtentNo, Collected),
}

/// The value extent that is appended to.
#[derive(Debug)]
struct Open {
    extent: ExtentNo,
    state: ExtentState,
    first: PageNo,
    /// Its next page, counted within it.
    next: u64,
    announced: bool,
}

impl Relocation {
    pub(super) fn new(core: &Arc<Core>, log: &Arc<Log>, renewal: &Arc<Renewal>) -> Self {
        let (core, log, renewal) = (Arc::clone(core), Arc::clone(log), Arc::clone(renewal));
        let (copies, in_use) = (Vec::new(), VecDeque::new());
        Self { core, log, renewal, open: None, in_use, copies, moves: None }
    }

    /// The extent that is appended to, and how many bytes of it are written.
    pub(super) fn open_extent(&self) -> Option<(ExtentNo, u64)> {
        self.open.as_ref().map(|open| (open.extent, bytes_of(open.next)))
    }

    /// Moves the record of `key` and `value`, which is at `from`; at the latest when
    /// [`finish`](Self::finish) is called. Where there is space to spare, some go with batches of the
    /// log. Whether others were moved now.
    pub(super) fn add(
        &mut self,
        key: &[u8],
        from: Location,
        value: &[u8],
        pacer: &Pacer<'_>,
    ) -> Result<bool> {
        // What waits must have a place to go to.
        let at_leisure = !pacer.hurries() || !self.core.governor.is_due();
        let may_wait = at_leisure && self.open.is_some();
        if may_wait && self.log.offer_record(key, from, value) {
            return Ok(false);
        }
        self.copy(key, from, value, pacer)
    }

    fn copy(
        &mut self,
        key: &[u8],
        from: Location,
        value: &[u8],
        pacer: &Pacer<'_>,
    ) -> Result<bool> {
        let keys = self.moves.as_ref().map_or(0, |moves| moves.keys().len());
        let is_much = self.copies.len() >= COPY_BYTES || keys >= KEY_BYTES;
        if is_much {
            self.flush(pacer)?;
        }
        let len = record_len(key.len(), from.value_len());
        if self.open.as_ref().is_some_and(|open| self.room_in(open, self.copies.len()) < len) {
            self.seal(pacer)?;
        }
        if self.open.is_none() {
            self.open = Some(Open::begin(&self.core)?);
        }
        self.append(key, from, value);
        Ok(is_much)
    }

    /// Bytes for further copies behind `copied` bytes in the `open` extent. What waits for padding has
    /// room beyond: else victims that are empty but for that could not be had back where no other
    /// extent can be opened.
    fn room_in(&self, open: &Open, copied: usize) -> usize {
        let beyond = copied + self.log.most_waiting();
        (self.core.extent_bytes() - bytes_of(open.next)).saturating_sub(beyond as u64) as usize
    }

    /// Adds a copy to those on their way to the open extent, which has room for it.
    fn append(&mut self, key: &[u8], from: Location, value: &[u8]) {
        let open = self.open.as_ref().expect("an extent is open");
        let start = self.copies.len();
        let at = bytes_of(open.next) as usize + start;
        let page = open.first.plus((at / PAGE_BYTES) as u64);
        let offset = (at % PAGE_BYTES) as u16;
        let identity = ValueIdentity {
            store: self.core.store,
            page,
            offset,
            incarnation: open.state.incarnation,
        };
        let end = start + record_len(key.len(), from.value_len());
        let fits = bytes_of(open.next) + end as u64 <= self.core.extent_bytes();
        assert!(fits, "G1: copies are within the extent that is announced for them");
        self.copies.resize(end, 0);
        encode(identity, key, value, &mut self.copies[start..]);
        let to = Location::value(page, offset, from.value_len());
        self.moves.get_or_insert_with(|| List::new(to)).push(key, from);
    }

    /// Writes the copies and makes them durable, then has the log say where they are (G1, G2).
    pub(super) fn flush(&mut self, pacer: &Pacer<'_>) -> Result<()> {
        let whole_pages = self.copies.len().next_multiple_of(PAGE_BYTES);
        match &self.open {
            Some(open) if self.room_in(open, whole_pages) == 0 => self.seal(pacer),
            _ => self.write_copies(pacer),
        }
    }

    fn write_copies(&mut self, pacer: &Pacer<'_>) -> Result<()> {
        let Some(open) = self.open.as_mut().filter(|_| self.moves.is_some()) else {
            return Ok(());
        };
        let start = open.first.plus(open.next);
        let pages = pages_for(self.copies.len() as u64);
        let mut buf = self.core.pool.take(pages as usize)?;
        buf[..self.copies.len()].copy_from_slice(&self.copies);
        buf[self.copies.len()..].fill(0);
        for (i, piece) in buf.chunks(WRITE_PAGES * PAGE_BYTES).enumerate() {
            let at = start.plus((i * WRITE_PAGES) as u64);
            self.core.volume.write(Purpose::Collection, at, piece)?;
            pacer.pause();
        }
        if !seeded(Bug::CopiesWithoutBarrier) {
            self.core.volume.barrier()?;
        }
        open.next += pages;
        self.copies.clear();
        pacer.pause();
        // Should there be no log for them, they are garbage, and what comes next begins elsewhere.
        let moves = self.moves.take();
        if let Err(error) = open.announce(&self.log, &self.renewal) {
            self.moves = moves.filter(|_| seeded(Bug::DroppedCopiesListed));
            return Err(error);
        }
        if let Some(moves) = moves {
            self.log.offer(moves, &|life| self.renewal.have_log(life))?;
        }
        pacer.waited();
        self.let_go();
        Ok(())
    }

    /// Writes what there is for the open extent, what waits for padding included; the next record opens
    /// another.
    pub(super) fn seal(&mut self, pacer: &Pacer<'_>) -> Result<()> {
        let written = self.append_waiting().and_then(|()| self.write_copies(pacer));
        self.log.release_records(written.is_ok());
        // Where that failed, what waits may have no room there any more.
        if written.is_ok() || self.open.as_ref().is_some_and(|open| self.room_in(open, 0) == 0) {
            self.leave_open();
        }
        written
    }

    fn leave_open(&mut self) {
        let offered = self.log.offered();
        // G3: what waited is moved by the last of the lists, whichever victim it is from.
        for (until, _) in &mut self.in_use {
            *until = offered;
        }
        let open = self.open.take();
        self.in_use.extend(open.map(|open| (offered, InUse::Target(open.extent))));
    }

    /// Waits until all that was added is where it moves to, or stays where it is for want of space.
    pub(super) fn finish(&mut self, pacer: &Pacer<'_>) -> Result<()> {
        let done = self.append_waiting().or_else(|error| self.leave_waiting(error));
        let written = done.and_then(|()| self.write_copies(pacer));
        if self.open.as_ref().is_some_and(|open| self.room_in(open, 0) == 0) {
            self.leave_open();
        }
        let drained = written.and_then(|()| self.log.drain(&|life| self.renewal.have_log(life)));
        self.log.release_records(drained.is_ok());
        pacer.waited();
        self.let_go();
        drained
    }

    /// Adds what still waits to the copies. No batch takes it until it is released.
    fn append_waiting(&mut self) -> Result<()> {
        let log = Arc::clone(&self.log);
        log.withhold_records(|key, from, value| {
            if self.core.index.get_at_leisure(key) == Some(from) {
                if self.open.is_none() {
                    self.open = Some(Open::begin(&self.core)?);
                }
                self.append(key, from, value);
            }
            Ok(())
        })
    }

    /// Where there is no room for what waits, extents that may hold some of it can be collected again.
    fn leave_waiting(&mut self, error: Error) -> Result<()> {
        let Error::Full { .. } = error else { return Err(error) };
        for (_, in_use) in &mut self.in_use {
            if let InUse::Victim(_, collected) = in_use {
                *collected = Collected::No;
            }
        }
        Ok(())
    }

    /// Whether moves are pending.
    pub(super) fn is_under_way(&self) -> bool {
        !self.in_use.is_empty()
    }

    /// Gives up what has not been offered to the log; the copies are garbage.
    pub(super) fn abandon(&mut self) {
        self.copies.clear();
        self.moves = None;
    }

    /// All moves from `victims` that there will be are offered.
    pub(super) fn leave(&mut self, victims: &[Candidate], collected: Collected) {
        let offered = self.log.offered();
        let victim = |victim: &Candidate| (offered, InUse::Victim(victim.extent, collected));
        self.in_use.extend(victims.iter().map(victim));
        self.let_go();
    }

    /// Lets go of the extents of which all moves are done.
    pub(super) fn let_go(&mut self) {
        let moved = self.log.moved();
        while let Some(&(offered, extent)) = self.in_use.front()
            && moved.covers(offered)
        {
            match extent {
                InUse::Target(extent) => self.core.space.seal_value_extent(extent),
                InUse::Victim(extent, collected) => {
                    let live_bytes = self.core.space.set_collected(extent, collected);
                    if collected == Collected::Done && live_bytes > 0 {
                        // What is live there now could not be moved.
                        let page = u64::from(extent.0) * u64::from(self.core.space.extent_pages());
                        self.core.volume.events.tell(|| Event::SetAside { page, live_bytes });
                    }
                }
            }
            self.in_use.pop_front();
        }
    }
}

impl Open {
    fn begin(core: &Core) -> Result<Self> {
        let (extent, state) = core.space.open_value_extent()?;
        let first = PageNo(u64::from(extent.0) * u64::from(core.space.extent_pages()));
        Ok(Self { extent, state, first, next: 0, announced: false })
    }

    /// G4: the log says what the extent is before it says what is in it.
    fn announce(&mut self, log: &Log, renewal: &Renewal) -> Result<()> {
        if !self.announced && !seeded(Bug::ValuesUnannounced) {
            let record = Record::Announce { extent: self.extent, state: self.state };
            let items = [(record, &[][..])];
            self.announced = seeded(Bug::AnnouncedOnce);
            renewal.with_log(|| log.commit(&Unit::new(&items), Durability::Synced))?;
            self.announced = true;
        }
        Ok(())
    }
}

impl fmt::Debug for Relocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relocation").field("open", &self.open).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Db;
    use crate::engine::Engine;
    use crate::format::location::Home;
    use crate::options::Options;
    use crate::sync::Ordering;

    fn value(number: u32) -> Vec<u8> {
        number.to_le_bytes().repeat(250)
    }

    /// Keys 0 to 599, of a kilobyte each, in extents of 128 pages; nothing is collected by itself.
    fn filled(dir: &tempfile::TempDir) -> (Arc<Engine>, Db) {
        let options = Options::new().extent_bytes(512 << 10).volume_bytes(16 << 20);
        let options = options.garbage_ratio(10.0);
        let engine = Engine::open(&dir.path().join("data.vol"), &options).unwrap();
        let db = Db::new(Arc::clone(&engine));
        (0..600_u32).for_each(|number| db.put(number.to_be_bytes(), value(number)).unwrap());
        (engine, db)
    }

    fn location(engine: &Engine, number: u32) -> Location {
        engine.locate(&number.to_be_bytes()).unwrap().unwrap()
    }

    #[test]
    fn records_that_no_batch_takes_are_copied() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, db) = filled(&dir);
        db.checkpoint().unwrap();
        db.checkpoint().unwrap();
        let left: Vec<u32> = (0..600).filter(|number| number % 2 == 0).collect();
        (0..600_u32).filter(|n| n % 2 == 1).for_each(|n| db.delete(n.to_be_bytes()).unwrap());
        db.collect_garbage().unwrap();
        let homes = left.iter().map(|&number| location(&engine, number).home());
        assert!(homes.filter(|&home| home == Home::Value).count() > left.len() / 2);
        assert_eq!(engine.log.moved(), engine.log.offered());
        let assert_all = |db: &Db| {
            let all = left.iter().all(|&n| db.get(n.to_be_bytes()).unwrap().unwrap() == value(n));
            assert!(all && db.len() == left.len() as u64 && db.check().unwrap().is_clean());
        };
        assert_all(&db);
        db.close().unwrap();
        assert_all(&Db::open(dir.path().join("data.vol")).unwrap());
    }

    /// What holds no put may be had back as log in which nothing is live.
    #[test]
    fn a_batch_without_puts_takes_no_record() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, db) = filled(&dir);
        let from = location(&engine, 7);
        assert!(engine.log.offer_record(&7_u32.to_be_bytes(), from, &value(7)));
        db.delete(9_u32.to_be_bytes()).unwrap();
        assert_eq!(location(&engine, 7), from);
        db.put("another", "value").unwrap();
        assert_ne!(location(&engine, 7), from);
    }

    /// Who puts waits until all that is in the batch is applied.
    #[test]
    fn a_batch_takes_few_moves_beside_a_put() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, db) = filled(&dir);
        let pacer = Pacer::new(&engine.core, false);
        let mut work = Relocation::new(&engine.core, &engine.log, &engine.renewal);
        for number in 0..400 {
            let from = location(&engine, number);
            work.copy(&number.to_be_bytes(), from, &value(number), &pacer).unwrap();
        }
        work.flush(&pacer).unwrap();
        let moved = || {
            let homes = (0..400).map(|number| location(&engine, number).home());
            homes.filter(|&home| home == Home::Value).count()
        };
        assert_eq!(moved(), 0, "they wait");
        for most in [17, 34] {
            db.put("small", "value").unwrap();
            assert!((most - 16..=most).contains(&moved()), "{}", moved());
        }
        // Where nobody else commits, all of them.
        work.finish(&pacer).unwrap();
        assert_eq!(moved(), 400);
    }

    #[test]
    fn a_batch_takes_few_of_the_records_that_wait() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new().extent_bytes(32 << 20).volume_bytes(1 << 30);
        let engine = Engine::open(&dir.path().join("data.vol"), &options).unwrap();
        let db = Db::new(Arc::clone(&engine));
        db.put("key", "").unwrap();
        let from = engine.locate(b"key").unwrap().unwrap();
        let mut offered = 0;
        while engine.log.offer_record(b"key", from, b"") {
            offered += 1;
        }
        assert!(offered > 4000, "{offered}");
        // None of them moves it: but for the first, it is somewhere else.
        let batches = |engine: &Engine| engine.log.newest().0;
        let before = batches(&engine);
        while engine.log.moved() != engine.log.offered() {
            db.put("other", "value").unwrap();
        }
        let taken = batches(&engine) - before;
        assert!(taken >= offered / 8, "{taken} batches for {offered}");
        assert_eq!(db.get("key").unwrap().unwrap(), b""[..]);
    }

    #[test]
    fn a_record_that_waits_takes_the_rest_of_a_page() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, db) = filled(&dir);
        let from = location(&engine, 7);
        assert!(engine.log.offer_record(&7_u32.to_be_bytes(), from, &value(7)));
        let written = db.metrics().written.log;
        db.put("another", "value").unwrap();
        assert_eq!(db.metrics().written.log - written, PAGE_BYTES as u64);
        let now = location(&engine, 7);
        assert!(now != from && now.home() == Home::Log);
        assert_eq!(db.get(7_u32.to_be_bytes()).unwrap().unwrap(), value(7));
        assert_eq!(engine.log.moved(), engine.log.offered());
    }

    #[test]
    fn a_record_that_waits_loses_to_what_comes_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, db) = filled(&dir);
        let snapshot = db.snapshot();
        let offer = |number: u32| {
            let from = location(&engine, number);
            assert!(engine.log.offer_record(&number.to_be_bytes(), from, &value(number)));
        };
        offer(7);
        db.put(7_u32.to_be_bytes(), "new").unwrap();
        offer(8);
        let mut batch = crate::WriteBatch::new();
        batch.delete(8_u32.to_be_bytes());
        batch.put(9_u32.to_be_bytes(), value(9));
        db.write(&batch).unwrap();
        assert_eq!(engine.log.moved(), engine.log.offered());
        let assert_lost = |db: &Db| {
            assert_eq!(db.get(7_u32.to_be_bytes()).unwrap().unwrap(), "new".as_bytes());
            assert_eq!(db.get(8_u32.to_be_bytes()).unwrap(), None);
            assert_eq!(db.len(), 599);
        };
        assert_lost(&db);
        assert_eq!(snapshot.get(7_u32.to_be_bytes()).unwrap().unwrap(), value(7));
        assert_eq!(snapshot.get(8_u32.to_be_bytes()).unwrap().unwrap(), value(8));
        drop(snapshot);
        db.close().unwrap();
        assert_lost(&Db::open(dir.path().join("data.vol")).unwrap());
    }

    /// Else victims of which only that is live would hold space that no copy could give back.
    #[test]
    fn nothing_waits_once_the_extent_that_has_room_for_it_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, _db) = filled(&dir);
        let pacer = Pacer::new(&engine.core, false);
        let mut work = Relocation::new(&engine.core, &engine.log, &engine.renewal);
        let waiting = || {
            let mut waiting = 0;
            let count = |_: &[u8], _, _: &[u8]| {
                waiting += 1;
                Ok(())
            };
            engine.log.withhold_records(count).unwrap();
            engine.log.release_records(false);
            waiting
        };
        let mut number = 0;
        let mut add = |work: &mut Relocation| {
            let from = location(&engine, number);
            work.add(&number.to_be_bytes(), from, &value(number), &pacer).unwrap();
            number += 1;
        };
        while work.open_extent().is_none() || waiting() == 0 {
            add(&mut work);
        }
        let full = work.open_extent().unwrap().0;
        while work.open_extent().is_some_and(|(extent, _)| extent == full) {
            add(&mut work);
        }
        assert_eq!(waiting(), 0);
        work.finish(&pacer).unwrap();
        assert!(!work.is_under_way());
        for number in 0..number {
            assert_eq!(engine.get(&number.to_be_bytes()).unwrap().unwrap(), value(number));
        }
    }

    /// What was copied meanwhile is garbage, and stays where it was.
    #[test]
    fn where_there_is_no_log_copies_are_dropped_and_the_next_ones_are_not_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, db) = filled(&dir);
        let pacer = Pacer::new(&engine.core, true);
        let mut work = Relocation::new(&engine.core, &engine.log, &engine.renewal);
        let places: Vec<_> = (0..600).map(|number| location(&engine, number)).collect();
        let copy = |work: &mut Relocation, number: u32| {
            let (key, from) = (number.to_be_bytes(), places[number as usize]);
            work.copy(&key, from, &value(number), &pacer).map(drop)
        };
        engine.renewal.refuses.store(true, Ordering::Relaxed);
        let mut copied = 0;
        let refused = loop {
            match copy(&mut work, copied) {
                Ok(()) => copied += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, Error::Full { .. }), "{refused}");
        assert!((400..550).contains(&copied), "an extent was filled: {copied}");
        copy(&mut work, 550).unwrap();
        assert!(matches!(work.finish(&pacer), Err(Error::Full { .. })));
        assert_eq!(work.open_extent().unwrap().1, PAGE_BYTES as u64, "it is gone on with");
        engine.renewal.refuses.store(false, Ordering::Relaxed);
        copy(&mut work, 551).unwrap();
        work.finish(&pacer).unwrap();
        for number in (0..copied).chain([550]) {
            assert_eq!(location(&engine, number), places[number as usize], "{number}");
        }
        assert_eq!(location(&engine, 551).home(), Home::Value);
        let assert_all = |db: &Db| {
            let shows = |n: u32| db.get(n.to_be_bytes()).unwrap().unwrap() == value(n);
            assert!((0..600).all(shows) && db.check().unwrap().is_clean());
        };
        assert_all(&db);
        db.close().unwrap();
        // G4: the log says what the extent is.
        assert_all(&Db::open(dir.path().join("data.vol")).unwrap());
    }

    #[test]
    fn long_records_do_not_wait_for_padding() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, db) = filled(&dir);
        db.put("long", [1; 3000]).unwrap();
        let from = engine.locate(b"long").unwrap().unwrap();
        assert!(!engine.log.offer_record(b"long", from, &[1; 3000]));
    }
}
