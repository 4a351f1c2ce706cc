//! What the log does besides commits: flushes for the weaker modes, evidence pages, footers,
//! and having the next extent ready. Each is a step that a thread calls, or a test.

use super::batch::SealIdentity;
use super::log::{Guard, Log, PanicGuard};
use super::state::State;
use super::tail::Tail;
use super::unit::Unit;
use crate::device::Purpose;
use crate::durability::Durability;
use crate::error::{Error, Result};
use crate::format::footer::{FooterHead, HEAD_BYTES, footer_pages};
use crate::format::ids::{BatchNo, ExtentNo, Generation, PAGE_BYTES};
use crate::format::log_page::{LogHeader, PAYLOAD_BYTES, PageKind, seal, write_stream};
use crate::format::record::Record;
use crate::seeded::{Bug, seeded};
use crate::sync::{self, Duration, Ordering};

/// Time after which a footer is tried again that waits for its batches to be durable.
const FOOTER_PATIENCE: Duration = Duration::from_millis(20);

/// Extents that the log leaves to get away from the end of the file: its own, and the one after it.
const MOST_LEFT: u32 = 2;

impl Log {
    /// Flushes what a weaker mode has let wait long enough, and writes evidence when the log is
    /// idle. Returns when to look again; `None` if not before something is written.
    pub(crate) fn flush_step(&self) -> Option<Duration> {
        let mut state = self.state.lock();
        if state.fatal.is_some() || state.closing || state.frozen {
            return None;
        }
        if let Some(since) = state.oldest_weak() {
            let age = sync::now().saturating_duration_since(since);
            let half_full = state.weak_bytes * 2 >= self.config.window.bytes;
            if age < self.config.window.time && !half_full {
                return Some(self.config.window.time - age);
            }
            let upto = state.last_numbered();
            // A failure has poisoned the log; whoever writes next hears of it.
            drop(self.flush(state, upto));
            return Some(Duration::ZERO);
        }
        if state.open.is_some() || !state.flights.is_empty() {
            return Some(self.config.evidence_after);
        }
        if state.tail.evidenced {
            return None;
        }
        let idle = sync::now().saturating_duration_since(state.last_seal);
        if idle < self.config.evidence_after {
            return Some(self.config.evidence_after - idle);
        }
        state = self.write_evidence(state);
        drop(state);
        None
    }

    /// Runs [`flush_step`](Self::flush_step) as things become due, until the log closes.
    pub(crate) fn run_flusher(&self) {
        let _guard = PanicGuard::new(self);
        loop {
            let due = self.flush_step();
            let mut state = self.state.lock();
            if state.closing || state.fatal.is_some() {
                return;
            }
            match due {
                Some(Duration::ZERO) => {
                    // Whoever made it durable is about to say so, if it was not this thread.
                    drop(state);
                    if !seeded(Bug::FlusherSpins) {
                        sync::yield_now();
                    }
                }
                Some(limit) => drop(self.flusher.wait_for(state, limit)),
                None if self.has_news(&state) => {}
                None => {
                    state.flusher_asleep = true;
                    state = self.flusher.wait(state);
                    state.flusher_asleep = false;
                }
            }
        }
    }

    /// Whether something came after the last look of the flusher.
    fn has_news(&self, state: &State) -> bool {
        !state.frozen
            && (state.open.is_some() || !state.flights.is_empty() || !state.tail.evidenced)
    }

    /// Rouses the flusher where it sleeps without a limit, or has to act at once.
    pub(super) fn wake_flusher(&self, state: &mut State) {
        let urgent = state.weak_bytes * 2 >= self.config.window.bytes && state.weak_bytes > 0;
        if state.flusher_asleep || urgent {
            state.flusher_asleep = false;
            self.flusher.notify_all();
        }
    }

    /// Writes a page that names D where the next batch will start (W6). Not in the chain, no
    /// barrier: it costs nobody anything, and the next batch overwrites it.
    fn write_evidence<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        let mut page = match self.buffer(1) {
            Ok(page) => page,
            // Evidence can wait for memory.
            Err(_) => return state,
        };
        let identity = SealIdentity {
            store: self.config.store,
            generation: Generation(self.generation.load(Ordering::SeqCst)),
            durable: state.durable,
            tail: &state.tail,
        };
        let mut header = identity.header(PageKind::Evidence);
        header.page.0 -= u64::from(seeded(Bug::EvidenceOverBatch));
        seal(&mut page, &header);
        state.evidence_in_flight = true;
        drop(state);
        let written = self.volume.write(Purpose::Upkeep, header.page, &page);
        state = self.state.lock();
        state.evidence_in_flight = false;
        state.tail.evidenced |= state.tail.next_page() == header.page;
        self.turn.notify_all();
        match written {
            Ok(()) => state,
            Err(error) => self.poison(state, error),
        }
    }

    /// Writes the footer of the oldest sealed extent once all in it is durable. Returns whether
    /// it did. No barrier: a missing footer costs reading, nothing else.
    pub(crate) fn footer_step(&self) -> Result<bool> {
        let mut state = self.state.lock();
        state.check_alive()?;
        if state.frozen {
            return Ok(false);
        }
        let durable = state.durable;
        let Some(sealed) = state
            .footers
            .front()
            .filter(|tail| tail.batch <= durable || seeded(Bug::FooterBeforeDurable))
        else {
            return Ok(false);
        };
        let mut pages = self.buffer(footer_pages(sealed.listed.len()))?;
        let Some(sealed) = state.footers.pop_front() else { return Ok(false) };
        state.footer_in_hand = Some(sealed.extent);
        drop(state);
        let start = self.fill_footer(&sealed, durable, &mut pages);
        let written = self.volume.write(Purpose::Upkeep, start, &pages);
        let mut state = self.state.lock();
        state.footer_in_hand = None;
        self.turn.notify_all();
        drop(self.or_poison(state, written)?);
        Ok(true)
    }

    /// Writes the footers that are due, and waits for the one that somebody else is writing.
    pub(crate) fn finish_footers(&self) -> Result<()> {
        while self.footer_step()? {}
        let mut state = self.state.lock();
        while state.footer_in_hand.is_some() {
            state.check_alive()?;
            state = self.turn.wait(state);
        }
        Ok(())
    }

    /// The extent of the tail, and how many bytes of it are written; none if it takes no more.
    pub(crate) fn open_extent(&self) -> Option<(ExtentNo, u64)> {
        let state = self.state.lock();
        let written = u64::from(state.tail.next) * PAGE_BYTES as u64;
        (!state.frozen).then_some((state.tail.extent, written))
    }

    /// Has the log go on in the successor, so that what is in the extent of the tail can be
    /// collected; whether it did.
    pub(crate) fn leave_extent(&self) -> Result<bool> {
        let _guard = PanicGuard::new(self);
        let mut state = self.state.lock();
        let left = state.tail.incarnation;
        // W4: a page of it names the successor.
        if state.tail.naming.is_none() {
            return Ok(false);
        }
        while state.tail.incarnation == left {
            state.check_open()?;
            state = match &state.open {
                Some(batch) if batch.led => self.wait_for_room(state),
                Some(_) => self.lead(state, None),
                None => self.rotate(state, false)?,
            };
        }
        drop(state);
        // What comes next is anchored there.
        self.commit(&Unit::new(&[(Record::Noop, &[])]), Durability::Synced)
    }

    /// Has the log go on before `end`, as far as it is there or after it, or would go there.
    pub(crate) fn leave_end(&self, end: ExtentNo) -> Result<()> {
        for _ in 0..MOST_LEFT {
            let mut state = self.state.lock();
            if let Some(spare) = state.spare.take_if(|spare| *spare >= end) {
                self.host.return_extent(spare);
            }
            let last = state.tail.extent.max(state.tail.successor);
            let is_there = !state.frozen && last >= end;
            drop(state);
            if !is_there || !self.leave_extent()? {
                break;
            }
        }
        Ok(())
    }

    fn fill_footer(
        &self,
        sealed: &Tail,
        durable: BatchNo,
        pages: &mut [u8],
    ) -> crate::format::ids::PageNo {
        let durable = if seeded(Bug::FooterBeforeDurable) { sealed.batch } else { durable };
        assert!(sealed.batch <= durable, "a footer proves the batches of its extent");
        let count = pages.len() / PAGE_BYTES;
        let first = u64::from(sealed.extent_pages) - count as u64;
        let start = sealed.first_page().plus(first);
        let head = FooterHead {
            chain: sealed.chain,
            epoch: sealed.epoch,
            batch: sealed.batch,
            listed_len: sealed.listed.len() as u32,
        };
        write_stream(pages, 0, &head.encode());
        write_stream(pages, HEAD_BYTES, &sealed.listed);
        let identity = SealIdentity {
            store: self.config.store,
            generation: Generation(self.generation.load(Ordering::SeqCst)),
            durable,
            tail: sealed,
        };
        let stream_len = HEAD_BYTES + sealed.listed.len();
        for (i, page) in pages.chunks_exact_mut(PAGE_BYTES).enumerate() {
            let used = (stream_len - i * PAYLOAD_BYTES).min(PAYLOAD_BYTES);
            let header = LogHeader {
                index: i as u32,
                count: count as u32,
                used: used as u16,
                page: start.plus(i as u64),
                batch: sealed.batch,
                ..identity.header(PageKind::Footer)
            };
            seal(page, &header);
        }
        start
    }

    /// Has the successor prepared and the extent after it chosen, ahead of need.
    pub(crate) fn supply_step(&self) -> Result<()> {
        let state = self.state.lock();
        state.check_alive()?;
        let successor = state.tail.successor;
        let short = state.spare.is_none() && !state.frozen;
        drop(state);
        if !self.host.is_prepared(successor) {
            // Done when the extent of the tail is half full, or sooner.
            let is_behind = |done| done < 2.0 * self.state.lock().fill(self.config.extent_pages);
            let prepared = self.host.prepare(successor, &is_behind);
            let state = self.state.lock();
            drop(self.or_poison(state, prepared)?);
        }
        if short {
            match self.host.reserve_extent(true) {
                Ok(extent) => self.keep_spare(&mut self.state.lock(), extent),
                Err(Error::Full { .. }) => {}
                Err(error) => drop(self.or_poison(self.state.lock(), Err(error))?),
            }
        }
        Ok(())
    }

    /// Runs [`supply_step`](Self::supply_step) and [`footer_step`](Self::footer_step) as the tail
    /// moves on, until the log closes.
    pub(crate) fn run_upkeep(&self) {
        let _guard = PanicGuard::new(self);
        loop {
            // A failure has poisoned the log; whoever writes next hears of it.
            let _ = self.supply_step();
            while let Ok(true) = self.footer_step() {}
            let mut state = self.state.lock();
            while !state.upkeep_due && !state.closing && state.fatal.is_none() {
                state = if state.footers.is_empty() {
                    self.upkeep.wait(state)
                } else {
                    state.upkeep_due = true;
                    self.upkeep.wait_for(state, FOOTER_PATIENCE)
                };
            }
            if state.closing || state.fatal.is_some() {
                return;
            }
            state.upkeep_due = false;
        }
    }

    /// Refuses new writers, makes all that was accepted durable, and leaves evidence of it.
    pub(crate) fn close(&self) -> Result<()> {
        let _guard = PanicGuard::new(self);
        let mut state = self.state.lock();
        state.check_alive()?;
        state.closing = true;
        self.flusher.notify_all();
        self.upkeep.notify_all();
        let upto = state.last_numbered();
        state = self.flush(state, upto)?;
        while state.evidence_in_flight && state.fatal.is_none() {
            state = self.turn.wait(state);
        }
        if !state.tail.evidenced && !state.frozen {
            state = self.write_evidence(state);
        }
        drop(state);
        while self.footer_step()? {}
        let state = self.state.lock();
        drop(self.barrier(state));
        self.state.lock().check_alive()
    }
}
