//! The batch being filled: records go into page payloads, their entries beside them.

use super::completion::Completion;
use super::spares::Spares;
use super::tail::Tail;
use super::unit::Unit;
use crate::device::AlignedBuf;
use crate::format::ids::{BatchNo, Generation, PAGE_BYTES, PageNo, StoreId};
use crate::format::listed::{BATCH_BYTES, Lister, MOST_RELOCATE_BYTES};
use crate::format::location::Location;
use crate::format::log_page::{
    HEADER_BYTES as PAGE_HEADER_BYTES, LogHeader, PAYLOAD_BYTES, PageKind, pages_for_stream, place,
    seal, write_stream,
};
use crate::format::record::{MAX_PREFIX_BYTES, Record, encode_batch_entry};
use crate::sync::{Arc, Instant};

/// A batch that has its place in the log and still takes records.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) number: BatchNo,
    pub(super) start: PageNo,
    pub(super) buf: Arc<AlignedBuf>,
    stream_len: usize,
    pub(super) entries: Arc<Vec<u8>>,
    /// What a footer lists of them.
    pub(super) listed: Vec<u8>,
    lister: Lister,
    /// Bytes of `entries` that have been applied already, for a weaker mode.
    pub(super) applied: usize,
    /// Results of conditional records applied already.
    pub(super) outcomes: Vec<bool>,
    /// Bytes of keys and heads of the puts in it.
    pub(super) grows: usize,
    /// Records, and conditional ones, so far.
    pub(super) records: usize,
    pub(super) conditionals: usize,
    /// Large values of its records that are still being written (W5).
    pub(super) values_under_way: usize,
    /// Whether some writer has taken on to write it.
    pub(super) led: bool,
    /// Whether the committer was called to lead it, should nobody else.
    pub(super) summoned: bool,
    /// Whether a `Synced` writer waits for it.
    pub(super) synced: bool,
    /// Whether a `Written` writer waits for it.
    pub(super) written: bool,
    /// Bytes of records that were acked, or will be, before they are durable; large values count.
    pub(super) weak_bytes: u64,
    /// When the first of these came.
    pub(super) weak_since: Option<Instant>,
    pub(super) done: Arc<Completion>,
}

/// Pages and footer bytes that something would add to the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    pub(super) pages: usize,
    pub(super) listed: usize,
}

impl Batch {
    /// Nobody else refers to `buf`.
    pub(super) fn new(
        number: BatchNo,
        tail: &Tail,
        buf: Arc<AlignedBuf>,
        spares: &mut Spares,
    ) -> Self {
        let (mut entries, mut listed) = (spares.entries(), spares.listed());
        let start = tail.next_page();
        encode_batch_entry(number, sole(&mut entries));
        let lister = Lister::begin(number, start, &mut listed);
        Self {
            number,
            start,
            buf,
            stream_len: 0,
            entries,
            listed,
            lister,
            applied: 0,
            outcomes: Vec::new(),
            grows: 0,
            records: 0,
            conditionals: 0,
            values_under_way: 0,
            led: false,
            summoned: false,
            synced: false,
            written: false,
            weak_bytes: 0,
            weak_since: None,
            done: spares.done(),
        }
    }

    /// Bytes of records.
    pub(super) fn stream_len(&self) -> usize {
        self.stream_len
    }

    /// What the batch would need of its extent with `unit` in it.
    pub(super) fn demand_with(&self, unit: &Unit<'_>) -> Demand {
        Demand {
            pages: pages_for_stream(self.stream_len + unit.log_len()),
            listed: self.listed.len() + unit.listed_len(),
        }
    }

    /// What it would need with `len` bytes of relocations in it, `records` of them at most: footers
    /// list all of them.
    pub(super) fn demand_with_moves(&self, len: usize, records: usize) -> Demand {
        Demand {
            pages: pages_for_stream(self.stream_len + len),
            listed: self.listed.len() + records * MOST_RELOCATE_BYTES + len,
        }
    }

    /// Whether the buffer takes `unit` as well.
    pub(super) fn has_buffer_for(&self, unit: &Unit<'_>) -> bool {
        self.demand_with(unit).pages * PAGE_BYTES <= self.buf.len()
    }

    /// Appends a record; `value` is empty unless it travels with the record. The caller has
    /// checked that it fits.
    pub(super) fn push(&mut self, record: &Record<'_>, key: &[u8], value: &[u8]) {
        let mut prefix = [0; MAX_PREFIX_BYTES];
        let prefix_len = record.encode_prefix(&mut prefix);
        let key_at = self.stream_len + prefix_len;
        let next = self.stream_len + record.log_len();
        assert!(pages_for_stream(next) * PAGE_BYTES <= self.buf.len(), "record fits its batch");
        let buf = sole(&mut self.buf);
        write_stream(buf, self.stream_len, &prefix[..prefix_len]);
        write_stream(buf, key_at, key);
        write_stream(buf, key_at + key.len(), value);
        let padding = key_at + key.len() + value.len();
        write_stream(buf, padding, &[0; 8][..next - padding]);
        let (page, offset) = place(self.start, key_at);
        record.encode_entry(page, offset, sole(&mut self.entries));
        self.lister.list(record, &mut self.listed);
        self.records += 1;
        self.conditionals += usize::from(record.is_conditional());
        self.stream_len = next;
    }

    /// Gives every page its identity and checksum. Returns the last page's checksum.
    pub(super) fn seal(&mut self, identity: &SealIdentity<'_>) -> u32 {
        let count = self.pages();
        let mut chain = identity.tail.chain;
        let pages = &mut sole(&mut self.buf)[..count * PAGE_BYTES];
        for (i, page) in pages.chunks_exact_mut(PAGE_BYTES).enumerate() {
            let used = (self.stream_len - i * PAYLOAD_BYTES).min(PAYLOAD_BYTES);
            let header = LogHeader {
                index: i as u32,
                count: count as u32,
                used: used as u16,
                page: self.start.plus(i as u64),
                batch: self.number,
                chain,
                ..identity.header(PageKind::Batch)
            };
            chain = seal(page, &header);
        }
        chain
    }

    /// Pages in use.
    pub(super) fn pages(&self) -> usize {
        pages_for_stream(self.stream_len)
    }

    /// Copies out the value at `location`, if it is in this batch.
    pub(super) fn copy_value(&self, location: Location, key_len: usize) -> Option<Vec<u8>> {
        copy_value(self.start, &self.buf[..self.pages() * PAGE_BYTES], location, key_len)
    }
}

/// What the pages of a batch carry beside their own place.
pub(super) struct SealIdentity<'a> {
    pub(super) store: StoreId,
    pub(super) generation: Generation,
    pub(super) durable: BatchNo,
    pub(super) tail: &'a Tail,
}

impl SealIdentity<'_> {
    /// A header for a single page without payload, at the tail.
    pub(super) fn header(&self, kind: PageKind) -> LogHeader {
        LogHeader {
            kind,
            used: 0,
            store: self.store,
            epoch: self.tail.epoch,
            chain: self.tail.chain,
            page: self.tail.next_page(),
            batch: BatchNo(0),
            durable: self.durable,
            incarnation: self.tail.incarnation,
            successor: self.tail.successor,
            generation: self.generation,
            index: 0,
            count: 1,
        }
    }
}

/// Copies the value at `location` out of the `pages` that start at `start`.
pub(super) fn copy_value(
    start: PageNo,
    pages: &[u8],
    location: Location,
    key_len: usize,
) -> Option<Vec<u8>> {
    let first = location.page().0.checked_sub(start.0)? as usize;
    if first * PAGE_BYTES >= pages.len() {
        return None;
    }
    let mut at = first * PAYLOAD_BYTES + location.offset() as usize + key_len;
    let end = at + location.value_len() as usize;
    let mut value = Vec::with_capacity(location.value_len() as usize);
    while at < end {
        let within = at % PAYLOAD_BYTES;
        let len = (end - at).min(PAYLOAD_BYTES - within);
        let from = at / PAYLOAD_BYTES * PAGE_BYTES + PAGE_HEADER_BYTES + within;
        value.extend_from_slice(&pages[from..from + len]);
        at += len;
    }
    Some(value)
}

/// What only the open batch refers to until it is sealed.
fn sole<T>(shared: &mut Arc<T>) -> &mut T {
    Arc::get_mut(shared).expect("a batch shares nothing before it is sealed")
}

/// What an empty batch would need of its extent with `unit` in it.
pub(super) fn demand_of(unit: &Unit<'_>) -> Demand {
    Demand { pages: pages_for_stream(unit.log_len()), listed: BATCH_BYTES + unit.listed_len() }
}
