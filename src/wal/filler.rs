//! Moves that the collector wants logged, in what batches leave of their last pages: padding is
//! written anyway.
//!
//! 1. The collector offers a list, and goes on with its work.
//! 2. Whoever leads a batch tops it up from the lists before it is sealed.
//! 3. Where too many lists wait, or somebody waits for all of them, batches take pages for them; and
//!    where nobody writes, the collector commits batches of nothing else.

use super::batch::Batch;
use super::log::{Guard, Log, PanicGuard};
use super::state::State;
use super::tail::Tail;
use super::unit::Unit;
use crate::durability::Durability;
use crate::error::{Error, Result};
use crate::format::ids::{BatchNo, Incarnation, PAGE_BYTES};
use crate::format::log_page::PAYLOAD_BYTES;
use crate::format::moves::{Cuts, List};
use crate::format::record::{HEAD_BYTES, RECORD_ALIGN, Record};
use std::collections::VecDeque;

/// Lists that may wait: so many that most moves find room that is to spare, and so few that what
/// they leave is empty soon.
const MOST_LISTS: usize = 4;

/// Has log back where there is none after the extent that is in this life; whether it did.
pub(super) type Renew<'a> = &'a dyn Fn(Incarnation) -> Result<bool>;

/// What waits to be logged.
#[derive(Debug, Default)]
pub(super) struct Filler {
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
    /// Has `moves` logged after what was offered before. Returns how many lists were offered in all.
    /// `renew` has log back where there is none.
    pub(crate) fn offer(&self, moves: List, renew: Renew<'_>) -> Result<u64> {
        let _guard = PanicGuard::new(self);
        let mut state = self.see_taken(self.state.lock(), MOST_LISTS - 1, renew)?;
        let filler = &mut state.filler;
        filler.leave = MOST_LISTS;
        filler.lists.extend(Cuts::new(moves));
        Ok(filler.offered())
    }

    /// How many of the lists that were offered are durable and applied.
    pub(crate) fn moved(&self) -> u64 {
        let mut state = self.state.lock();
        let settled = state.settled.batch;
        state.filler.done_by(settled)
    }

    /// Waits until all that was offered is durable and applied.
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

    /// Bytes of moves that any batch takes that has nothing else, but for what makes it one.
    pub(crate) fn longest_list(&self) -> usize {
        let page = self.config.extent_pages as usize / 4 * PAYLOAD_BYTES;
        page - 2 * HEAD_BYTES - RECORD_ALIGN
    }

    /// Tops the open batch up with moves that wait.
    pub(super) fn top_up(state: &mut State) {
        let State { open: Some(batch), filler, tail, .. } = state else { return };
        if filler.lists.is_empty() {
            return;
        }
        let spare = batch.pages() * PAYLOAD_BYTES - batch.stream_len();
        let more = filler.wanted().saturating_sub(spare).next_multiple_of(PAYLOAD_BYTES);
        let mut rooms = [spare + more, spare].into_iter();
        if let Some(room) = rooms.find(|&room| batch.has_room_for_moves(room, tail)) {
            filler.fill(batch, room);
        }
    }
}

impl Filler {
    fn offered(&self) -> u64 {
        self.done + (self.taken.len() + self.lists.len()) as u64
    }

    /// Bytes that the next batch is to take, whether they are to spare or not.
    fn wanted(&self) -> usize {
        let urgent = self.lists.len().saturating_sub(self.leave);
        let record = |cuts: &Cuts| HEAD_BYTES + RECORD_ALIGN + cuts.rest_len();
        self.lists.iter().take(urgent).map(record).sum()
    }

    /// Puts into `batch` what it has `room` for.
    fn fill(&mut self, batch: &mut Batch, mut room: usize) {
        // A record has a head, and its end may be padded.
        while let Some(cuts) = self.lists.front_mut()
            && let Some(most) = room.checked_sub(HEAD_BYTES + RECORD_ALIGN)
            && let Some(moves) = cuts.cut(most)
        {
            let moves = moves.bytes();
            let record = Record::Relocate { moves };
            batch.push(&record, &[], moves);
            room -= record.log_len();
            self.last = batch.number;
            if cuts.rest_len() == 0 {
                self.lists.pop_front();
                self.taken.push_back(batch.number);
            }
        }
    }

    /// Counts the lists that are done once all batches up to `settled` are.
    fn done_by(&mut self, settled: BatchNo) -> u64 {
        while self.taken.front().is_some_and(|&batch| batch <= settled) {
            self.taken.pop_front();
            self.done += 1;
        }
        self.done
    }
}

impl Batch {
    /// Whether buffer and extent take `len` more bytes of lists.
    fn has_room_for_moves(&self, len: usize, tail: &Tail) -> bool {
        let demand = self.demand_with_moves(len, MOST_LISTS);
        demand.pages * PAGE_BYTES <= self.buf.len() && tail.fits(demand)
    }
}
