//! Moves that the collector wants logged, in what batches leave of their last pages: padding is
//! written anyway.
//!
//! 1. The collector offers a list, and goes on with its work.
//! 2. Whoever leads a batch tops it up from the list before it is sealed.
//! 3. What is left where nobody leads any more, the collector commits itself.

use super::batch::Batch;
use super::log::{Guard, Log, PanicGuard};
use super::state::State;
use super::tail::Tail;
use super::unit::Unit;
use crate::durability::Durability;
use crate::error::Result;
use crate::format::ids::{BatchNo, PAGE_BYTES};
use crate::format::log_page::PAYLOAD_BYTES;
use crate::format::moves::{Cuts, List};
use crate::format::record::{HEAD_BYTES, RECORD_ALIGN, Record};

/// The part of a list that a batch takes at least, whether it is to spare or not: so the collector
/// keeps step with the writers.
const LEAST_PART: usize = 8;

/// What waits to be logged.
#[derive(Debug, Default)]
pub(super) struct Filler {
    cuts: Option<Cuts>,
    /// The last batch that took some of it.
    last: BatchNo,
}

impl Log {
    /// Has `moves` logged soon, once those that were offered before are.
    pub(crate) fn offer(&self, moves: List) -> Result<()> {
        let _guard = PanicGuard::new(self);
        self.see_taken(self.state.lock())?.filler.cuts = Cuts::new(moves);
        Ok(())
    }

    /// Waits until all that was offered is durable and applied.
    pub(crate) fn drain(&self) -> Result<()> {
        let _guard = PanicGuard::new(self);
        let mut state = self.see_taken(self.state.lock())?;
        let last = state.filler.last;
        state = self.flush(state, last)?;
        while state.settled.batch < last {
            // It is durable, and being applied.
            state.check_alive()?;
            state = self.turn.wait(state);
        }
        Ok(())
    }

    /// Waits until batches have taken all that was offered.
    fn see_taken<'a>(&'a self, mut state: Guard<'a>) -> Result<Guard<'a>> {
        while state.filler.cuts.is_some() {
            state.check_open()?;
            let is_led = state.open.as_ref().is_some_and(|batch| batch.led);
            state = if is_led || state.busy > 0 {
                self.turn.wait(state)
            } else {
                self.commit_moves(state)?
            };
        }
        Ok(state)
    }

    /// Gives up what is left of what was offered.
    pub(crate) fn withdraw(&self) {
        self.state.lock().filler.cuts = None;
    }

    fn commit_moves<'a>(&'a self, mut state: Guard<'a>) -> Result<Guard<'a>> {
        let moves = state.filler.cut(self.longest_list());
        drop(state);
        if let Some(moves) = moves {
            let moves = moves.bytes();
            let items = [(Record::Relocate { moves }, moves)];
            self.commit(&Unit::new(&items), Durability::Synced)?;
        }
        Ok(self.state.lock())
    }

    /// Bytes of moves that any batch takes that has nothing else.
    pub(crate) fn longest_list(&self) -> usize {
        (self.config.extent_pages / 4) as usize * PAYLOAD_BYTES - HEAD_BYTES - RECORD_ALIGN
    }

    /// Tops the open batch up with moves that wait.
    pub(super) fn top_up(state: &mut State) {
        let State { open: Some(batch), filler, tail, .. } = state else { return };
        let Some(cuts) = &filler.cuts else { return };
        let spare = batch.pages() * PAYLOAD_BYTES - batch.stream_len();
        let wanted = cuts.rest_len() / LEAST_PART;
        let more = wanted.saturating_sub(spare).div_ceil(PAYLOAD_BYTES) * PAYLOAD_BYTES;
        for room in [spare + more, spare] {
            // The record's head, and what its end may be padded by.
            let Some(room) = room.checked_sub(HEAD_BYTES + RECORD_ALIGN) else { continue };
            if !batch.has_room_for_moves(room, tail) {
                continue;
            }
            if let Some(moves) = filler.cut(room) {
                let moves = moves.bytes();
                batch.push(&Record::Relocate { moves }, &[], moves);
                filler.last = batch.number;
            }
            return;
        }
    }
}

impl Filler {
    /// Takes up to `room` bytes of moves.
    fn cut(&mut self, room: usize) -> Option<List> {
        let cuts = self.cuts.as_mut()?;
        let moves = cuts.cut(room);
        if cuts.rest_len() == 0 {
            self.cuts = None;
        }
        moves
    }
}

impl Batch {
    /// Whether buffer and extent take `len` more bytes of moves.
    fn has_room_for_moves(&self, len: usize, tail: &Tail) -> bool {
        let demand = self.demand_with_moves(len);
        demand.pages * PAGE_BYTES <= self.buf.len() && tail.fits(demand)
    }
}
