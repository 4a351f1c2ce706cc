//! What the collector wants logged, in what batches leave of their last pages: padding is written
//! anyway.
//!
//! 1. The collector offers lists of moves, and some of the live records themselves, and goes on with
//!    its work. A record is put again if its key is still where it was: then it needs no move, and
//!    takes nothing of the collector's own stream.
//! 2. Whoever leads a batch tops it up before it is sealed: with records that fit, if there are puts in
//!    it, then with moves. What holds no put may be log that is had back as there is nothing live in
//!    it, which a record would be.
//!    Of each it takes few, as whoever is in the batch waits until all of it is applied.
//! 3. Where too many lists wait, or somebody waits for all of them, batches take pages for them; and
//!    where nobody writes, the collector commits batches of nothing else. Records that still wait then
//!    are copied like others.

use super::batch::Batch;
use super::log::{Guard, Log, PanicGuard};
use super::state::State;
use super::tail::Tail;
use super::unit::Unit;
use crate::durability::Durability;
use crate::error::{Error, Result};
use crate::format::ids::{BatchNo, Incarnation, PAGE_BYTES};
use crate::format::location::Location;
use crate::format::log_page::PAYLOAD_BYTES;
use crate::format::moves::{Cuts, List};
use crate::format::record::{Expected, HEAD_BYTES, RECORD_ALIGN, Record};
use crate::format::value_record::record_len;
use crate::seeded::{Bug, seeded};
use crate::sync::Ordering;
use std::collections::VecDeque;

/// Lists that may wait: so many that most moves find room that is to spare, and so few that what
/// they leave is empty soon.
const MOST_LISTS: usize = 4;
/// The part of an extent that may wait as records: so much that batches find some that fit while the
/// collector writes copies, and so little that a volume of few and short extents does not wait for them.
const WAITING_PART: usize = 256;
/// The longest of them: a batch of nothing else must take it, in extents of any size.
const MOST_RECORD_BYTES: usize = PAYLOAD_BYTES / 2;
/// Records that a batch takes in which others are.
const MOST_RECORDS: usize = 8;
/// Moves that it takes, and more for each of its records: as many as come with the puts, as a rule; more
/// where more lists wait than may; and many where writers are held back until there is space, as there are
/// several moves for each put where little of what is collected is garbage. Each takes about a microsecond to
/// apply where the index is not in the processor's caches.
const MOVES: (usize, usize) = (16, 1);
const URGENT_MOVES: (usize, usize) = (32, 4);
const HELD_BACK_MOVES: (usize, usize) = (64, 16);
/// Moves that a batch takes in which nobody else is: others may wait for its turn to be over.
const MOST_MOVES: usize = 1024;
/// Records that do not fit, after which the others are not tried.
const MOST_MISFITS: usize = 64;

/// Has log back where there is none after the extent that is in this life; whether it did.
pub(super) type Renew<'a> = &'a dyn Fn(Incarnation) -> Result<bool>;

/// How many lists, and how many records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Offered {
    lists: u64,
    records: u64,
}

impl Offered {
    /// Whether that is as many as `others`, or more.
    pub(crate) fn covers(self, others: Self) -> bool {
        self.lists >= others.lists && self.records >= others.records
    }
}

/// A live record that is to be put again.
#[derive(Clone, Debug)]
struct Live {
    from: Location,
    /// Key and value.
    bytes: Vec<u8>,
    key_len: usize,
}

impl Live {
    fn record(&self) -> (Record<'_>, &[u8]) {
        let (key, value) = self.bytes.split_at(self.key_len);
        let expected = (!seeded(Bug::RewriteUnconditional)).then_some(Expected::At(self.from));
        (Record::Put { key, value_len: value.len() as u32, expected }, value)
    }

    /// Bytes that it takes where it is copied.
    fn len(&self) -> usize {
        record_len(self.key_len, self.from.value_len())
    }
}

/// What waits to be logged.
#[derive(Debug, Default)]
pub(super) struct Filler {
    /// Records that wait, in the order in which they were offered, and the numbers that they have in it.
    waiting: VecDeque<(u64, Live)>,
    /// Bytes that they take where they are copied.
    waiting_bytes: usize,
    /// Numbers of records that batches have taken, but those that are done.
    taken_records: VecDeque<(u64, BatchNo)>,
    /// Records that were offered.
    records: u64,
    /// Whether those that wait are being copied, so that no batch may take them.
    withheld: bool,
    /// What is left of the lists that were offered.
    lists: VecDeque<Cuts>,
    /// Lists that may be left waiting; batches take the others whole.
    leave: usize,
    /// For each list of which nothing is left, but those that are done: the batch that took the last.
    taken: VecDeque<BatchNo>,
    /// Lists that are durable and applied.
    done: u64,
    /// The last batch that took any moves.
    last: BatchNo,
}

impl Log {
    /// Has `moves` logged after what was offered before. `renew` has log back where there is none.
    pub(crate) fn offer(&self, moves: List, renew: Renew<'_>) -> Result<()> {
        let _guard = PanicGuard::new(self);
        let mut state = self.see_taken(self.state.lock(), MOST_LISTS - 1, renew)?;
        let filler = &mut state.filler;
        filler.leave = MOST_LISTS;
        filler.lists.extend(Cuts::new(moves));
        Ok(())
    }

    /// Has the value of `key`, which is at `from`, put again if there is little that waits; whether
    /// it will be.
    pub(crate) fn offer_record(&self, key: &[u8], from: Location, value: &[u8]) -> bool {
        if !self.takes_records.load(Ordering::Relaxed) {
            return false;
        }
        let (len, most) = (record_len(key.len(), from.value_len()), self.most_waiting());
        if len > most.min(MOST_RECORD_BYTES) {
            return false;
        }
        let live = Live { from, bytes: [key, value].concat(), key_len: key.len() };
        let mut state = self.state.lock();
        let fits = state.filler.waiting_bytes + len <= most;
        let takes = fits && !state.filler.withheld && state.check_open().is_ok();
        if takes {
            state.filler.add_record(live);
        }
        self.takes_records.store(takes, Ordering::Relaxed);
        takes
    }

    /// Bytes that the records that wait take where they are copied, at most.
    pub(crate) fn most_waiting(&self) -> usize {
        self.config.extent_pages as usize * PAGE_BYTES / WAITING_PART
    }

    /// Withholds the records that wait, and shows them to `copy`: key, place and value.
    pub(crate) fn withhold_records(
        &self,
        mut copy: impl FnMut(&[u8], Location, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut state = self.state.lock();
        state.filler.withheld = true;
        let waiting: Vec<Live> =
            state.filler.waiting.iter().map(|(_, live)| live.clone()).collect();
        drop(state);
        waiting.iter().try_for_each(|live| {
            let (key, value) = live.bytes.split_at(live.key_len);
            copy(key, live.from, value)
        })
    }

    /// Lets go of the records that were withheld: they are where they were copied to, or wait again.
    pub(crate) fn release_records(&self, copied: bool) {
        let filler = &mut self.state.lock().filler;
        filler.withheld = false;
        if copied {
            filler.waiting.clear();
            filler.waiting_bytes = 0;
        }
        self.takes_records.store(true, Ordering::Relaxed);
    }

    /// How much was offered in all.
    pub(crate) fn offered(&self) -> Offered {
        self.state.lock().filler.offered()
    }

    /// How much of that is durable and applied.
    pub(crate) fn moved(&self) -> Offered {
        let mut state = self.state.lock();
        let settled = state.settled.batch;
        state.filler.done_by(settled)
    }

    /// Waits until all lists that were offered are durable and applied, and all records that were taken.
    pub(crate) fn drain(&self, renew: Renew<'_>) -> Result<()> {
        let _guard = PanicGuard::new(self);
        let state = self.see_taken(self.state.lock(), 0, renew)?;
        let last = state.filler.last;
        self.settle_to(state, last)
    }

    /// Makes all that has a number durable, and waits until it is applied.
    pub(crate) fn settle_all(&self) -> Result<()> {
        let _guard = PanicGuard::new(self);
        let state = self.state.lock();
        let last = state.last_numbered();
        self.settle_to(state, last)
    }

    fn settle_to<'a>(&'a self, state: Guard<'a>, last: BatchNo) -> Result<()> {
        let mut state = self.flush(state, last)?;
        while state.settled.batch < last {
            // It is durable, and being applied.
            state.check_alive()?;
            state = self.turn.wait(state);
        }
        Ok(())
    }

    /// Waits until no more than `leave` lists wait.
    fn see_taken<'a>(
        &'a self,
        mut state: Guard<'a>,
        leave: usize,
        renew: Renew<'_>,
    ) -> Result<Guard<'a>> {
        while state.filler.lists.len() > leave {
            state.check_open()?;
            state.filler.leave = leave;
            let is_led = state.open.as_ref().is_some_and(|batch| batch.led);
            state = if is_led || state.busy > 0 {
                self.turn.wait(state)
            } else {
                let life = state.tail.incarnation;
                drop(state);
                match self.commit(&Unit::new(&[(Record::Noop, &[])]), Durability::Synced) {
                    Err(Error::Full { .. }) if renew(life)? => {}
                    committed => committed.map(|_| ())?,
                }
                self.state.lock()
            };
        }
        Ok(state)
    }

    /// Tops the open batch up with what waits; it may have been `held_back` for want of space.
    pub(super) fn top_up(&self, state: &mut State, held_back: bool) {
        let State { open: Some(batch), filler, tail, .. } = state else { return };
        let most = filler.most_moves(batch, held_back);
        if filler.fill_with_records(batch, tail) {
            self.takes_records.store(true, Ordering::Relaxed);
        }
        if filler.lists.is_empty() {
            return;
        }
        let spare = batch.pages() * PAYLOAD_BYTES - batch.stream_len();
        let more = filler.wanted().saturating_sub(spare).next_multiple_of(PAYLOAD_BYTES);
        let mut rooms = [spare + more, spare].into_iter();
        if let Some(room) = rooms.find(|&room| batch.has_room_for_moves(room, tail)) {
            filler.fill(batch, room, most);
        }
    }
}

impl Filler {
    fn offered(&self) -> Offered {
        Offered {
            lists: self.done + (self.taken.len() + self.lists.len()) as u64,
            records: self.records,
        }
    }

    fn add_record(&mut self, live: Live) {
        self.waiting_bytes += live.len();
        self.waiting.push_back((self.records, live));
        self.records += 1;
    }

    /// Puts records into `batch` that fit into what is left of its last page; whether there was any.
    fn fill_with_records(&mut self, batch: &mut Batch, tail: &Tail) -> bool {
        if batch.grows == 0 || self.withheld {
            return false;
        }
        let pages = batch.pages();
        let (mut taken, mut misfits) = (0, 0);
        while taken < MOST_RECORDS
            && misfits < MOST_MISFITS
            && let Some((number, live)) = self.waiting.get(misfits)
        {
            let items = [live.record()];
            let unit = Unit::new(&items);
            let demand = batch.demand_with(&unit);
            let fits = demand.pages == pages && batch.has_buffer_for(&unit);
            if !fits || !tail.fits(demand) {
                misfits += 1;
                continue;
            }
            let [(record, value)] = items;
            batch.push(&record, record.key(), value);
            self.last = batch.number;
            self.waiting_bytes -= live.len();
            self.taken_records.push_back((*number, batch.number));
            self.waiting.remove(misfits);
            taken += 1;
        }
        taken > 0
    }

    /// Moves that `batch` takes at most, in which there is nothing of what waits yet.
    fn most_moves(&self, batch: &Batch, held_back: bool) -> usize {
        if batch.stream_len() <= HEAD_BYTES {
            return MOST_MOVES;
        }
        let is_urgent = self.lists.len() > self.leave;
        let (least, per_record) = match (held_back, is_urgent) {
            (true, _) => HELD_BACK_MOVES,
            (false, true) => URGENT_MOVES,
            (false, false) => MOVES,
        };
        least + batch.records * per_record
    }

    /// Bytes that the next batch is to take, whether they are to spare or not.
    fn wanted(&self) -> usize {
        let urgent = self.lists.len().saturating_sub(self.leave);
        let record = |cuts: &Cuts| HEAD_BYTES + RECORD_ALIGN + cuts.rest_len();
        self.lists.iter().take(urgent).map(record).sum()
    }

    /// Puts into `batch` what it has `room` for, `most` moves at most.
    fn fill(&mut self, batch: &mut Batch, mut room: usize, mut most: usize) {
        // A record has a head, and its end may be padded.
        while most > 0
            && let Some(cuts) = self.lists.front_mut()
            && let Some(bytes) = room.checked_sub(HEAD_BYTES + RECORD_ALIGN)
            && let Some((moves, count)) = cuts.cut(bytes, most)
        {
            let record = Record::Relocate { moves: moves.bytes(), keys: moves.keys() };
            batch.push(&record, &[], moves.bytes());
            room -= record.log_len();
            most -= count;
            self.last = batch.number;
            if cuts.rest_len() == 0 {
                self.lists.pop_front();
                self.taken.push_back(batch.number);
            }
        }
    }

    /// Counts what is done once all batches up to `settled` are.
    fn done_by(&mut self, settled: BatchNo) -> Offered {
        while self.taken.front().is_some_and(|&batch| batch <= settled) {
            self.taken.pop_front();
            self.done += 1;
        }
        while self.taken_records.front().is_some_and(|&(_, batch)| batch <= settled) {
            self.taken_records.pop_front();
        }
        let waits = self.waiting.front().map(|&(number, _)| number);
        let taken = self.taken_records.iter().map(|&(number, _)| number);
        let records = taken.chain(waits).min().unwrap_or(self.records);
        Offered { lists: self.done, records }
    }
}

impl Batch {
    /// Whether buffer and extent take `len` more bytes of lists.
    fn has_room_for_moves(&self, len: usize, tail: &Tail) -> bool {
        let demand = self.demand_with_moves(len, MOST_LISTS);
        demand.pages * PAGE_BYTES <= self.buf.len() && tail.fits(demand)
    }
}
