//! What the log's lock protects, and the transitions that need nothing else.

use super::batch::{Batch, SealIdentity, copy_value, demand_of};
use super::completion::{Completion, Stage};
use super::filler::Filler;
use super::spares::Spares;
use super::tail::Tail;
use super::unit::Unit;
use super::wakers::Wakers;
use crate::device::AlignedBuf;
use crate::error::Error;
use crate::format::ids::{BatchNo, ExtentNo, Generation, PAGE_BYTES, PageNo, StoreId};
use crate::format::image::Position;
use crate::format::location::Location;
use crate::format::record::{Entries, Entry};
use crate::format::superblock::Anchor;
use crate::seeded::{Bug, seeded};
use crate::sync::{Arc, Instant};
use std::collections::VecDeque;

/// A sealed batch that is not durable yet.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) number: BatchNo,
    pub(super) start: PageNo,
    /// Its last page.
    end: Anchor,
    /// The D that its pages carry.
    proves: BatchNo,
    pages: usize,
    /// Its pages, until they are written.
    buf: Option<Arc<AlignedBuf>>,
    pub(super) on_device: bool,
    values_under_way: usize,
    pub(super) synced: bool,
    /// Whether it becomes visible once written.
    written_visible: bool,
    entries: Arc<Vec<u8>>,
    applied: usize,
    outcomes: Vec<bool>,
    grows: usize,
    weak_bytes: u64,
    weak_since: Option<Instant>,
    done: Arc<Completion>,
}

/// What a leader has to write.
pub(super) struct Sealed {
    pub(super) number: BatchNo,
    pub(super) start: PageNo,
    pub(super) buf: Arc<AlignedBuf>,
    pub(super) len: usize,
}

/// Entries to apply, outside the lock.
pub(super) struct Unapplied {
    pub(super) number: BatchNo,
    pub(super) entries: Arc<Vec<u8>>,
    pub(super) from: usize,
}

/// A completed stage to announce, outside the lock.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) done: Arc<Completion>,
    pub(super) stage: Stage,
    pub(super) outcomes: Vec<bool>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) tail: Tail,
    pub(super) open: Option<Batch>,
    pub(super) flights: VecDeque<Flight>,
    /// What may fill up batches.
    pub(super) filler: Filler,
    /// Units with puts that were numbered.
    pub(super) puts_placed: u64,
    /// Every batch up to this one has been handed to the device.
    pub(super) written: BatchNo,
    /// D: every batch up to this one was written before a barrier that returned.
    pub(super) durable: BatchNo,
    /// The highest batch that a durable page proves: one that carries a D as high.
    pub(super) proved: BatchNo,
    /// The last page of the last batch that is durable and applied.
    pub(super) settled: Anchor,
    /// The highest `written` that a barrier has begun to cover.
    pub(super) covering: BatchNo,
    /// Batches that keep the pipe busy.
    pub(super) busy: usize,
    /// Writers that wait for room in the open batch.
    pub(super) waiting_for_room: usize,
    /// Record bytes acknowledged, or soon to be, before they are durable.
    pub(super) weak_bytes: u64,
    /// The extent that will follow the successor.
    pub(super) spare: Option<ExtentNo>,
    /// Sealed extents whose footers are to be written.
    pub(super) footers: VecDeque<Tail>,
    /// The one whose footer is being written.
    pub(super) footer_in_hand: Option<ExtentNo>,
    /// Whether a page of evidence is on its way to where the next batch goes.
    pub(super) evidence_in_flight: bool,
    /// Bytes of records in the last batch.
    pub(super) last_stream_len: usize,
    /// When the last batch was sealed.
    pub(super) last_seal: Instant,
    pub(super) flusher_asleep: bool,
    pub(super) upkeep_due: bool,
    /// The log is never added to: recovery found no room to begin an epoch.
    pub(super) frozen: bool,
    pub(super) fatal: Option<Arc<Error>>,
    pub(super) closing: bool,
    pub(super) spares: Spares,
}

impl State {
    /// The newest batch that has a number.
    pub(super) fn last_numbered(&self) -> BatchNo {
        self.open.as_ref().map_or(self.tail.batch, |batch| batch.number)
    }

    /// By how much puts that may not be applied yet make the index longer.
    pub(super) fn unapplied_growth(&self) -> usize {
        let open = self.open.as_ref().map_or(0, |batch| batch.grows);
        open + self.flights.iter().map(|flight| flight.grows).sum::<usize>()
    }

    /// How much of the extent of the tail, which has `pages`, is used.
    pub(super) fn fill(&self, pages: u32) -> f64 {
        f64::from(self.tail.next) / f64::from(pages)
    }

    /// Whether the open batch has room for `unit`.
    pub(super) fn open_takes(&self, unit: &Unit<'_>) -> bool {
        let takes =
            |batch: &Batch| batch.has_buffer_for(unit) && self.tail.fits(batch.demand_with(unit));
        self.open.as_ref().is_some_and(takes)
    }

    /// Whether a batch could be opened for `unit` where the tail is.
    pub(super) fn takes_fresh(&self, unit: &Unit<'_>) -> bool {
        self.tail.fits(demand_of(unit))
    }

    /// Refuses new work on a closed or poisoned log.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        if let Some(cause) = &self.fatal {
            return Err(Error::Poisoned { cause: Arc::clone(cause) });
        }
        match (self.closing, self.frozen) {
            (true, _) => Err(Error::Closed),
            (false, true) => Err(Error::Full { pinned_by: None }),
            (false, false) => Ok(()),
        }
    }

    /// Refuses to go on with work in hand on a poisoned log.
    pub(super) fn check_alive(&self) -> Result<(), Error> {
        match &self.fatal {
            Some(cause) => Err(Error::Poisoned { cause: Arc::clone(cause) }),
            None => Ok(()),
        }
    }

    /// Seals the open batch: its pages get their place in the chain.
    pub(super) fn seal(
        &mut self,
        store: StoreId,
        generation: Generation,
        now: Instant,
    ) -> Option<Sealed> {
        let mut batch = self.open.take()?;
        assert_eq!(batch.number, self.tail.batch.next(), "W4: batches are consecutive");
        assert_eq!(batch.start, self.tail.next_page(), "W3: a batch starts at the tail");
        let durable = self.durable;
        let chain = batch.seal(&SealIdentity { store, generation, durable, tail: &self.tail });
        let pages = batch.pages();
        self.tail.chain = chain;
        self.tail.batch = batch.number;
        self.tail.next += pages as u32 - u32::from(seeded(Bug::PageWrittenAgain));
        self.tail.listed.extend(&batch.listed);
        let listed = std::mem::take(&mut batch.listed);
        self.spares.keep_listed(listed);
        self.tail.naming.get_or_insert(batch.number);
        self.tail.evidenced = false;
        self.busy += 1;
        self.last_seal = now;
        self.last_stream_len = batch.stream_len();
        let buf = batch.buf;
        let sealed = Sealed {
            number: batch.number,
            start: batch.start,
            buf: Arc::clone(&buf),
            len: pages * PAGE_BYTES,
        };
        self.flights.push_back(Flight {
            number: batch.number,
            start: batch.start,
            end: Anchor {
                page: batch.start.plus(pages as u64 - 1),
                chain,
                batch: batch.number,
                epoch: self.tail.epoch,
            },
            proves: durable,
            pages,
            buf: Some(buf),
            on_device: false,
            values_under_way: batch.values_under_way,
            synced: batch.synced,
            written_visible: batch.written || seeded(Bug::AckAtWritten),
            entries: batch.entries,
            applied: batch.applied,
            outcomes: batch.outcomes,
            grows: batch.grows,
            weak_bytes: batch.weak_bytes,
            weak_since: batch.weak_since,
            done: batch.done,
        });
        Some(sealed)
    }

    /// A large value of a record in batch `number` is written.
    pub(super) fn value_written(&mut self, number: BatchNo) {
        let open = self.open.as_mut().filter(|batch| batch.number == number);
        let count = match open {
            Some(batch) => Some(&mut batch.values_under_way),
            None => {
                let flight = self.flights.iter_mut().find(|flight| flight.number == number);
                flight.map(|flight| &mut flight.values_under_way)
            }
        };
        *count.expect("W5: a batch stays until its values are written") -= 1;
    }

    /// Whether large values of the sealed batch `number` are still being written.
    pub(super) fn awaits_values_of(&self, number: BatchNo) -> bool {
        let flight = self.flights.iter().find(|flight| flight.number == number);
        flight.is_some_and(|flight| flight.values_under_way > 0)
    }

    /// Whether large values in batches up to `number` are.
    pub(super) fn awaits_values(&self, number: BatchNo) -> bool {
        let open = self.open.as_ref().filter(|batch| batch.number <= number);
        let sealed = self.flights.iter().take_while(|flight| flight.number <= number);
        open.is_some_and(|batch| batch.values_under_way > 0)
            || sealed.into_iter().any(|flight| flight.values_under_way > 0)
    }

    /// A batch has been handed to the device.
    pub(super) fn mark_written(&mut self, number: BatchNo) {
        for flight in &mut self.flights {
            if flight.number == number {
                assert_eq!(flight.values_under_way, 0, "W5: its values are written");
                flight.on_device = true;
                if let Some(buf) = flight.buf.take() {
                    self.spares.keep_buf(buf);
                }
                if !flight.synced {
                    self.busy -= 1;
                }
            }
            let next = flight.number == self.written.next() || seeded(Bug::WrittenOutOfOrder);
            if next && flight.on_device {
                self.written = flight.number;
            }
        }
    }

    /// Whether a batch that must be durable is written and no barrier covers it.
    pub(super) fn barrier_is_due(&self) -> bool {
        self.flights
            .iter()
            .take_while(|flight| flight.number <= self.written)
            .any(|flight| flight.synced && flight.number > self.covering)
    }

    /// The highest batch that may be visible (L2): durable, or written where a weaker op waits
    /// for no more.
    fn visible(&self) -> BatchNo {
        if self.fatal.is_some() {
            return self.durable;
        }
        if seeded(Bug::VisibleBeforeDurable) {
            return self.written;
        }
        self.flights
            .iter()
            .take_while(|flight| flight.number <= self.written)
            .filter(|flight| flight.written_visible)
            .map(|flight| flight.number)
            .fold(self.durable, BatchNo::max)
    }

    /// The oldest sealed batch up to `target`, or up to what may be visible, that is not
    /// applied.
    pub(super) fn next_unapplied(&self, target: BatchNo) -> Option<Unapplied> {
        let target = target.max(self.visible());
        let flight = self
            .flights
            .iter()
            .take_while(|flight| flight.number <= target)
            .find(|flight| flight.applied < flight.entries.len())
            .filter(|flight| flight.values_under_way == 0 || seeded(Bug::UnwrittenValueSeen))?;
        Some(Unapplied {
            number: flight.number,
            entries: Arc::clone(&flight.entries),
            from: flight.applied,
        })
    }

    /// A batch has been applied to its end.
    pub(super) fn mark_applied(&mut self, number: BatchNo, outcomes: Vec<bool>) {
        if let Some(flight) = self.flights.iter_mut().find(|flight| flight.number == number) {
            flight.applied = flight.entries.len();
            flight.outcomes.extend(outcomes);
        }
    }

    /// Drops the batches that are durable and applied, and says what was reached.
    pub(super) fn retire(&mut self) -> Vec<Reached> {
        let mut reached = self.spares.reached();
        while let Some(flight) = self.flights.front() {
            let applied = flight.applied == flight.entries.len();
            if flight.number > self.durable || !applied {
                break;
            }
            let Some(flight) = self.flights.pop_front() else { break };
            self.settled = flight.end;
            self.proved = self.proved.max(flight.proves);
            self.busy -= usize::from(flight.synced);
            self.weak_bytes -= flight.weak_bytes;
            self.spares.keep_entries(flight.entries);
            self.spares.keep_done(Arc::clone(&flight.done));
            let (done, outcomes) = (flight.done, flight.outcomes);
            reached.push(Reached { done, stage: Stage::Durable, outcomes });
        }
        for flight in self.flights.iter().take_while(|f| f.number <= self.written) {
            if flight.written_visible && flight.applied == flight.entries.len() {
                reached.push(Reached {
                    done: Arc::clone(&flight.done),
                    stage: Stage::Written,
                    outcomes: flight.outcomes.clone(),
                });
            }
        }
        reached
    }

    /// How far the log is applied. The caller holds `order`.
    pub(super) fn applied(&self) -> Position {
        let mut position = Position::after(self.settled.batch);
        for flight in &self.flights {
            if flight.applied < flight.entries.len() {
                return within(flight.number, &flight.entries[..flight.applied]).max(position);
            }
            position = Position::after(flight.number);
        }
        let open = self.open.as_ref().filter(|_| !seeded(Bug::OpenBatchNotCounted));
        open.map_or(position, |batch| {
            within(batch.number, &batch.entries[..batch.applied]).max(position)
        })
    }

    /// Answers of a batch that is sealed and applied.
    pub(super) fn outcomes_of(&self, number: BatchNo) -> Option<&[bool]> {
        self.flights.iter().find(|f| f.number == number).map(|f| f.outcomes.as_slice())
    }

    /// When the oldest op of a weaker mode that is not durable was accepted.
    pub(super) fn oldest_weak(&self) -> Option<Instant> {
        let open = self.open.as_ref().and_then(|batch| batch.weak_since);
        self.flights.iter().find_map(|flight| flight.weak_since).or(open)
    }

    /// Copies a value out of a batch that is not on the device yet.
    pub(super) fn copy_unwritten(&self, location: Location, key_len: usize) -> Option<Vec<u8>> {
        let open = self.open.as_ref().and_then(|batch| batch.copy_value(location, key_len));
        open.or_else(|| {
            self.flights.iter().find_map(|flight| {
                let pages = &flight.buf.as_ref()?[..flight.pages * PAGE_BYTES];
                copy_value(flight.start, pages, location, key_len)
            })
        })
    }

    /// E1p: whoever waits hears of it, and nothing is written any more. Returns who is to be woken
    /// once the lock is not held.
    pub(super) fn poison(&mut self, cause: Error) -> (Arc<Error>, Vec<Wakers>) {
        let cause = Arc::clone(self.fatal.get_or_insert_with(|| Arc::new(cause)));
        let mut wakers = Vec::new();
        // After a panic even a durable batch may never be applied.
        let panicked = matches!(*cause, Error::Panicked);
        let durable = self.durable;
        for flight in self.flights.iter().filter(|flight| panicked || flight.number > durable) {
            let failed = flight.done.fail(Error::Indeterminate { cause: Arc::clone(&cause) });
            wakers.extend(failed.into_iter().flatten());
        }
        if let Some(batch) = &self.open {
            let failed = batch.done.fail(Error::Poisoned { cause: Arc::clone(&cause) });
            wakers.extend(failed.into_iter().flatten());
        }
        (cause, wakers)
    }
}

/// The position in batch `number` after the entries that are `applied` of it.
fn within(number: BatchNo, applied: &[u8]) -> Position {
    let records = Entries::new(applied).filter(|e| matches!(e, Some(Entry::Record { .. })));
    Position { batch: number, records: records.count() as u32 }
}
