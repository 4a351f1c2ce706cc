//! Reads the log back, from the anchor to its end, and tells a torn tail from corruption.
//!
//! 1. A page is accepted only if it chains from the page before it (W4): next in its extent, or
//!    first in the extent's successor.
//! 2. A sealed extent with a footer is not read: a footer exists only where every batch before
//!    it is durable.
//! 3. At the first batch that is not whole, the rest of the extent and every successor that is
//!    named are searched. If any page there proves that batch durable, it was damaged later, and
//!    nothing is opened (W1). Otherwise its writing was cut short, and it was never acked.
//! 4. Large values of the batches that nothing proves durable are verified (W5): one that is not
//!    whole ends the log before its batch.

use super::listing::Listing;
use super::tail::Tail;
use super::window::Window;
use crate::device::{BufferPool, Volume};
use crate::error::{Error, Result};
use crate::format::footer::FooterHead;
use crate::format::ids::{BatchNo, ExtentNo, Generation, Incarnation, PAGE_BYTES, PageNo, StoreId};
use crate::format::listed::{List, Lister};
use crate::format::log_page::{self, LogHeader, PageKind, payload, place};
use crate::format::record::{Entries, Entry, Record, decode_record, encode_batch_entry};
use crate::format::superblock::Anchor;
use crate::seeded::{Bug, seeded};
use std::collections::{BTreeSet, VecDeque};

/// What replay hands its findings to.
pub(crate) trait Sink {
    /// Takes the entries of batches that are accepted for good, in log order. False if they make no sense.
    fn accept<'e>(&mut self, entries: impl Iterator<Item = Option<Entry<'e>>>) -> bool;

    /// Whether the large value that a record refers to is whole on the device.
    fn is_whole(&mut self, record: &Record<'_>) -> Result<bool>;

    /// How far replay has come: batches and log extents so far.
    fn progress(&mut self, batch: BatchNo, extents: usize);
}

/// What was found after the accepted end, and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// The first page that was not accepted.
    pub(crate) page: PageNo,
    /// The batch that would have been there.
    pub(crate) batch: BatchNo,
    /// Valid pages of this log after it.
    pub(crate) pages: u64,
}

/// The log as replay found it.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// The accepted end.
    pub(crate) tail: Tail,
    /// Sealed extents without a footer.
    pub(crate) footers: VecDeque<Tail>,
    /// Every extent of the log, in order.
    pub(crate) extents: Vec<(ExtentNo, Incarnation)>,
    /// The highest batch that some page proves durable.
    pub(crate) proved: BatchNo,
    /// The newest superblock that some page knows of.
    pub(crate) generation: Generation,
    pub(crate) dropped: Option<Dropped>,
    /// Extents that were read page by page.
    pub(crate) walked: u64,
}

/// Why the log was not replayed.
#[derive(Debug)]
pub(crate) enum ReplayError {
    /// A batch is missing at this page, and a later page proves it durable (W1): whoever reads the log
    /// and does not find that proof would end it too early.
    LaterProof(PageNo),
    /// It cannot be read, or makes no sense.
    Other(Error),
}

impl From<Error> for ReplayError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<ReplayError> for Error {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::LaterProof(page) => {
                corrupt(page, "a later page proves that the log goes on here")
            }
            ReplayError::Other(error) => error,
        }
    }
}

/// A batch that nothing has proved yet.
#[derive(Debug)]
struct Unproven {
    entries: Vec<u8>,
    /// Where the log ended before it.
    before: Tail,
    tail_listed: usize,
    sealed_extents: usize,
    log_extents: usize,
    batch: BatchNo,
    pages: u64,
}

impl Unproven {
    fn accept(&self, sink: &mut impl Sink) -> Result<()> {
        let sound = sink.accept(Entries::new(&self.entries));
        let page = self.before.next_page();
        if sound { Ok(()) } else { Err(corrupt(page, "a record of this batch makes no sense")) }
    }
}

/// A pass over the log.
pub(crate) struct Replay<'a, S> {
    volume: &'a Volume,
    store: StoreId,
    window: Window,
    sink: &'a mut S,
    out: Replayed,
    unproven: VecDeque<Unproven>,
    trusts_footers: bool,
    /// Pages of the last footer, once there was one.
    footer_pages: u32,
}

impl<'a, S: Sink> Replay<'a, S> {
    /// Starts after `anchor`, which must be readable and what the superblock says it is.
    pub(crate) fn new(
        volume: &'a Volume,
        pool: &BufferPool,
        store: StoreId,
        extent_pages: u32,
        anchor: Anchor,
        sink: &'a mut S,
    ) -> Result<Self> {
        let mut window = Window::new(pool, extent_pages)?;
        let page = window.page(volume, anchor.page)?.unwrap_or(&[0; PAGE_BYTES]);
        let header = log_page::open(page, store, anchor.page)
            .filter(|_| log_page::checksum(page) == anchor.chain)
            .ok_or(corrupt(anchor.page, "the page that anchors the log is damaged"))?;
        let extent = ExtentNo((anchor.page.0 / u64::from(extent_pages)) as u32);
        let tail = Tail {
            extent,
            incarnation: header.incarnation,
            successor: header.successor,
            epoch: anchor.epoch,
            chain: anchor.chain,
            batch: anchor.batch,
            next: (anchor.page.0 % u64::from(extent_pages)) as u32 + 1,
            extent_pages,
            listed: Listing::default(),
            naming: Some(anchor.batch),
            closed: false,
            evidenced: false,
        };
        let out = Replayed {
            extents: vec![(extent, tail.incarnation)],
            tail,
            footers: VecDeque::new(),
            proved: anchor.batch,
            generation: header.generation,
            dropped: None,
            walked: 0,
        };
        Ok(Self {
            volume,
            store,
            window,
            sink,
            out,
            unproven: VecDeque::new(),
            trusts_footers: true,
            footer_pages: 0,
        })
    }

    /// Every batch up to `proved` is in the log: an image shows them.
    pub(crate) fn proving(mut self, proved: BatchNo) -> Self {
        self.out.proved = self.out.proved.max(proved);
        self
    }

    /// Reads every page, though a footer lists what is in it.
    pub(crate) fn without_footers(mut self) -> Self {
        self.trusts_footers = false;
        self
    }

    /// Reads the log to its end.
    pub(crate) fn run(mut self) -> Result<Replayed, ReplayError> {
        let mut sealed = self.take_footer()?;
        loop {
            if !sealed && self.accept_next()? {
                continue;
            }
            match self.enter_successor()? {
                Some(by_footer) => sealed = by_footer,
                None => break,
            }
        }
        self.search_for_proof()?;
        self.verify_unproven()?;
        Ok(self.out)
    }

    /// Accepts what is at the next page of the extent, if it chains. A page of evidence is not
    /// accepted: the log goes on in the successor, or nowhere.
    fn accept_next(&mut self) -> Result<bool> {
        let tail = &self.out.tail;
        if tail.next >= tail.extent_pages {
            return Ok(false);
        }
        let at = tail.next_page();
        let Some(header) = self.chained(at)? else { return Ok(false) };
        let tail = &self.out.tail;
        let same_epoch = header.epoch == tail.epoch && header.incarnation == tail.incarnation;
        match header.kind {
            PageKind::Batch if same_epoch && header.batch == tail.batch.next() => {
                self.accept_batch(&header)
            }
            PageKind::Epoch if header.epoch > tail.epoch && header.batch == tail.batch => {
                self.accept_epoch(at, &header)?;
                Ok(true)
            }
            PageKind::Evidence if same_epoch => {
                self.out.tail.evidenced = true;
                self.prove(&header)?;
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    fn accept_epoch(&mut self, at: PageNo, header: &LogHeader) -> Result<()> {
        let page = self.window.page(self.volume, at)?.unwrap_or(&[0; PAGE_BYTES]);
        let tail = &mut self.out.tail;
        tail.chain = log_page::checksum(page);
        tail.epoch = header.epoch;
        tail.next += 1;
        tail.name_successor(header.successor, header.batch);
        self.prove(header)
    }

    /// Accepts the batch whose first page is next, if all its pages are there.
    fn accept_batch(&mut self, first: &LogHeader) -> Result<bool> {
        let Some((stream, chain, last)) = self.read_batch(first)? else { return Ok(false) };
        let start = self.out.tail.next_page();
        let mut entries = Vec::with_capacity(stream.len() / 8);
        encode_batch_entry(first.batch, &mut entries);
        let mut listed = Vec::with_capacity(stream.len() / 8);
        let mut lister = Lister::begin(first.batch, start, &mut listed);
        let mut at = 0;
        while at < stream.len() {
            let found = decode_record(&stream, at)
                .ok_or(corrupt(start, "a record in a valid page makes no sense"))?;
            let (page, offset) = place(start, found.key_at);
            found.record.encode_entry(page, offset, &mut entries);
            lister.list(&found.record, &mut listed);
            at = found.next;
        }
        self.unproven.push_back(Unproven {
            before: self.out.tail.clone_place(),
            tail_listed: self.out.tail.listed.len(),
            sealed_extents: self.out.footers.len(),
            log_extents: self.out.extents.len(),
            batch: first.batch,
            pages: u64::from(first.count),
            entries,
        });
        let tail = &mut self.out.tail;
        tail.listed.extend(&listed);
        tail.chain = chain;
        tail.batch = first.batch;
        tail.next += first.count;
        tail.name_successor(first.successor, first.batch);
        self.sink.progress(first.batch, self.out.extents.len());
        self.prove(&last)?;
        Ok(true)
    }

    /// The stream of the batch, the checksum of its last page, and that page's header.
    fn read_batch(&mut self, first: &LogHeader) -> Result<Option<(Vec<u8>, u32, LogHeader)>> {
        let tail = &self.out.tail;
        if first.index != 0 || first.count > tail.extent_pages - tail.next {
            return Ok(None);
        }
        let mut stream = Vec::new();
        let mut chain = tail.chain;
        let mut last = *first;
        for index in 0..first.count {
            let at = first.page.plus(u64::from(index));
            let Some(page) = self.window.page(self.volume, at)? else { return Ok(None) };
            let Some(header) = log_page::open(page, self.store, at) else {
                if seeded(Bug::PartOfBatchTaken) && index > 0 {
                    break;
                }
                return Ok(None);
            };
            let expected = LogHeader { page: at, index, chain, used: header.used, ..*first };
            let full = index + 1 == first.count || header.used as usize == log_page::PAYLOAD_BYTES;
            if (header != expected || !full) && !seeded(Bug::BatchPagesUnchecked) {
                return Ok(None);
            }
            stream.extend_from_slice(payload(page, &header));
            chain = log_page::checksum(page);
            last = header;
        }
        Ok(Some((stream, chain, last)))
    }

    /// Goes on in the successor, if its first page chains from here. Says whether a footer
    /// stood in for the whole extent.
    fn enter_successor(&mut self) -> Result<Option<bool>> {
        let at = self.first_page_of(self.out.tail.successor);
        let volume_extents = self.volume.len_pages() / u64::from(self.out.tail.extent_pages);
        if self.out.extents.len() as u64 > volume_extents {
            return Err(corrupt(at, "the log runs through itself"));
        }
        // The footer may make this the only page that is read here.
        self.window.page_alone(self.volume, at)?;
        let Some(header) = self.chained(at)? else { return Ok(None) };
        let tail = &self.out.tail;
        let follows = match header.kind {
            PageKind::Batch => header.epoch == tail.epoch && header.batch == tail.batch.next(),
            PageKind::Epoch => header.epoch > tail.epoch && header.batch == tail.batch,
            PageKind::Evidence | PageKind::Footer => false,
        };
        if !follows {
            return Ok(None);
        }
        let (sealed_extents, walked) = (self.out.footers.len(), self.out.walked);
        let sealed = self.out.tail.clone();
        self.out.tail = sealed.rotated(header.incarnation, header.successor);
        self.out.extents.push((self.out.tail.extent, header.incarnation));
        if !sealed.is_by_footer() {
            self.out.footers.push_back(sealed.clone());
            self.out.walked += 1;
        }
        if self.take_footer()? {
            return Ok(Some(true));
        }
        if self.accept_next()? {
            return Ok(Some(false));
        }
        // Its first batch is torn: the log ends where it ended before.
        self.out.tail = Tail { closed: !seeded(Bug::TornSuccessorForgotten), ..sealed };
        self.out.extents.pop();
        self.out.footers.truncate(sealed_extents);
        self.out.walked = walked;
        Ok(None)
    }

    /// Takes the whole extent at the tail from its footer, if it has a valid one.
    fn take_footer(&mut self) -> Result<bool> {
        if !self.trusts_footers {
            return Ok(false);
        }
        let Some((header, stream)) = self.read_footer() else { return Ok(false) };
        let first = self.out.tail.first_page();
        let (head, list) = FooterHead::decode(&stream)
            .ok_or(corrupt(first, "the footer of this extent makes no sense"))?;
        let proves = head.batch >= self.out.tail.batch && header.durable >= head.batch;
        let successor = self.first_page_of(header.successor);
        self.window.page_alone(self.volume, successor)?;
        // A footer that one open could not read, the next one may: the log then went on in this
        // extent, and not where the footer says.
        let followed = self.chained_from(head.chain, successor)?.is_some();
        if !proves || !(followed || seeded(Bug::FooterNotFollowed)) {
            return Ok(false);
        }
        self.prove(&header)?;
        let covered = self.out.tail.batch;
        let fresh = List::new(list)
            .after(covered)
            .ok_or(corrupt(first, "the footer of this extent makes no sense"))?;
        // An open from an anchor within the extent does not know what was there before it, nor
        // does the footer that comes of it.
        let next = fresh.clone().next().flatten();
        let gap = next != Some(Entry::Batch(covered.next()));
        if gap && head.batch != covered && !seeded(Bug::FooterWithGap) {
            return Ok(false);
        }
        if !self.sink.accept(fresh) {
            return Err(corrupt(first, "the footer of this extent makes no sense"));
        }
        let tail = &mut self.out.tail;
        tail.chain = head.chain;
        tail.epoch = head.epoch;
        tail.batch = head.batch;
        tail.next = tail.extent_pages;
        tail.name_successor(header.successor, head.batch);
        self.sink.progress(head.batch, self.out.extents.len());
        Ok(true)
    }

    /// The header and the stream of the extent's footer. Damaged or unreadable, it is no loss:
    /// the pages that it lists are read instead.
    fn read_footer(&mut self) -> Option<(LogHeader, Vec<u8>)> {
        let tail = &self.out.tail;
        let end = tail.first_page().plus(u64::from(tail.extent_pages));
        let incarnation = tail.incarnation;
        let room = tail.extent_pages - 1;
        let at = PageNo(end.0 - 1);
        // It is likely to be as long as the one before: one read will do then.
        if (1..room).contains(&self.footer_pages) {
            let start = PageNo(end.0 - u64::from(self.footer_pages));
            let _ = self.window.page(self.volume, start);
        }
        let page = self.window.page_alone(self.volume, at).ok()??;
        let last = log_page::open(page, self.store, at).filter(|header| {
            header.kind == PageKind::Footer
                && header.incarnation == incarnation
                && header.index + 1 == header.count
                && header.count <= room
        })?;
        self.footer_pages = last.count;
        let mut stream = Vec::new();
        for index in 0..last.count {
            let at = PageNo(end.0 - u64::from(last.count - index));
            let page = self.window.page(self.volume, at).ok()??;
            let header = log_page::open(page, self.store, at)?;
            if header != (LogHeader { page: at, index, used: header.used, ..last }) {
                return None;
            }
            stream.extend_from_slice(payload(page, &header));
        }
        Some((last, stream))
    }

    /// The header at `at`, if the page is valid and chains from the tail.
    fn chained(&mut self, at: PageNo) -> Result<Option<LogHeader>> {
        self.chained_from(self.out.tail.chain, at)
    }

    /// The header at `at`, if the page is valid and comes after one with checksum `chain`.
    fn chained_from(&mut self, chain: u32, at: PageNo) -> Result<Option<LogHeader>> {
        let Some(page) = self.window.page(self.volume, at)? else { return Ok(None) };
        Ok(log_page::open(page, self.store, at).filter(|header| header.chain == chain))
    }

    fn first_page_of(&self, extent: ExtentNo) -> PageNo {
        PageNo(u64::from(extent.0) * u64::from(self.out.tail.extent_pages))
    }

    /// An accepted page says what was durable when it was written.
    fn prove(&mut self, header: &LogHeader) -> Result<()> {
        self.out.proved = self.out.proved.max(header.durable);
        self.out.generation = self.out.generation.max(header.generation);
        let proved = self.out.proved;
        let count = self.unproven.iter().take_while(|unproven| unproven.batch <= proved).count();
        self.unproven.drain(..count).try_for_each(|unproven| unproven.accept(self.sink))
    }

    /// W1: looks for pages that prove the batch after the accepted end durable.
    fn search_for_proof(&mut self) -> Result<(), ReplayError> {
        let missing = self.out.tail.batch.next();
        let break_at = self.break_page();
        if seeded(Bug::ProofNotSought) {
            return Ok(());
        }
        if self.out.proved >= missing {
            return Err(ReplayError::LaterProof(break_at));
        }
        let torn = self.is_torn(break_at)?;
        let mut pages = 0;
        let mut seen = BTreeSet::from([self.out.tail.extent]);
        let mut regions = VecDeque::from([(self.out.tail.extent, self.out.tail.next)]);
        if seen.insert(self.out.tail.successor) && !seeded(Bug::ProofInOneExtent) {
            regions.push_back((self.out.tail.successor, 0));
        }
        while let Some((extent, first)) = regions.pop_front() {
            for index in first..self.out.tail.extent_pages {
                let at = self.first_page_of(extent).plus(u64::from(index));
                let Some(header) = self.live_header(at)? else { continue };
                // Pages other than its header are written only when an epoch has begun for good.
                let later = header.epoch > self.out.tail.epoch && !seeded(Bug::LaterEpochNoProof);
                let begun = later && header.kind != PageKind::Epoch;
                let proves = match seeded(Bug::BatchesCounted) {
                    true => header.batch.0 >= missing.0 + 2,
                    false => header.durable >= missing,
                };
                if proves || begun {
                    return Err(ReplayError::LaterProof(break_at));
                }
                if !seeded(Bug::ProofNotCarriedBack) {
                    self.prove(&header)?;
                }
                let records = matches!(header.kind, PageKind::Batch | PageKind::Epoch);
                pages += u64::from(records && header.batch >= missing);
                if seen.insert(header.successor) && !seeded(Bug::ProofInOneExtent) {
                    regions.push_back((header.successor, 0));
                }
            }
        }
        if torn || pages > 0 {
            self.out.dropped = Some(Dropped { page: break_at, batch: missing, pages });
        }
        Ok(())
    }

    /// The page at which the log did not go on.
    fn break_page(&self) -> PageNo {
        let tail = &self.out.tail;
        if tail.next < tail.extent_pages && !tail.evidenced && !tail.closed {
            tail.next_page()
        } else {
            self.first_page_of(tail.successor)
        }
    }

    /// Whether the log's writing at the break, or at the start of the successor, was cut short,
    /// or damaged since. Both may hold anything from an earlier life, or what an earlier epoch
    /// left, which is void whether it is whole or not (R2).
    fn is_torn(&mut self, break_at: PageNo) -> Result<bool> {
        let successor = self.first_page_of(self.out.tail.successor);
        for at in [break_at, successor] {
            let Some(page) = self.window.page(self.volume, at)? else { continue };
            if log_page::is_spoiled(page, self.store, at, self.out.tail.epoch) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The header at `at`, if it is a valid page that the current epoch, or a later one, wrote.
    fn live_header(&mut self, at: PageNo) -> Result<Option<LogHeader>> {
        let (epoch, life) = (self.out.tail.epoch, self.out.tail.incarnation);
        let Some(page) = self.window.page(self.volume, at)? else { return Ok(None) };
        // Pages of an earlier life of their extent prove nothing new, and lead astray.
        Ok(log_page::open(page, self.store, at)
            .filter(|header| header.epoch >= epoch && header.incarnation >= life))
    }

    /// W5: ends the log before the first unproven batch with a large value that is not whole.
    fn verify_unproven(&mut self) -> Result<()> {
        while let Some(unproven) = self.unproven.pop_front() {
            for entry in Entries::new(&unproven.entries) {
                if let Some(Entry::Record { record, .. }) = entry
                    && !self.sink.is_whole(&record)?
                {
                    self.cut_before(unproven);
                    return Ok(());
                }
            }
            unproven.accept(self.sink)?;
        }
        Ok(())
    }

    fn cut_before(&mut self, unproven: Unproven) {
        let pages = unproven.pages + self.unproven.iter().map(|later| later.pages).sum::<u64>();
        let mut later = self.out.footers.split_off(unproven.sealed_extents);
        let holder = later.pop_front().unwrap_or_else(|| self.out.tail.clone());
        let mut listed = holder.listed;
        listed.truncate(unproven.tail_listed);
        self.out.tail = Tail { listed, ..unproven.before };
        self.out.extents.truncate(unproven.log_extents);
        let page = self.out.tail.next_page();
        self.out.dropped = Some(Dropped { page, batch: unproven.batch, pages });
        self.unproven.clear();
    }
}

fn corrupt(page: PageNo, what: &'static str) -> Error {
    Error::Corrupt { page: page.0, key: None, what }
}
