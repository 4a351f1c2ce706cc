//! Moving live records to the open value extent.

use super::core::Core;
use crate::device::Purpose;
use crate::durability::Durability;
use crate::error::Result;
use crate::extent::bytes_of;
use crate::format::extent_state::ExtentState;
use crate::format::ids::{ExtentNo, PAGE_BYTES, PageNo, pages_for};
use crate::format::location::Location;
use crate::format::log_page::PAYLOAD_BYTES;
use crate::format::record::Record;
use crate::format::value_record::{ValueIdentity, encode, record_len};
use crate::sync::Arc;
use crate::wal::{Item, Log, Unit};
use std::fmt;

/// Bytes that are copied before they are written: the largest request that NVMe devices commonly
/// take whole.
const COPY_BYTES: usize = 1 << 20;

/// The stream of what the collector moves.
pub(super) struct Relocation {
    core: Arc<Core>,
    log: Arc<Log>,
    open: Option<Open>,
    /// Records on their way to `next` of the open extent.
    copies: Vec<u8>,
    moves: Vec<Move>,
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

struct Move {
    key: Vec<u8>,
    from: Location,
    to: Location,
}

impl Relocation {
    pub(super) fn new(core: &Arc<Core>, log: &Arc<Log>) -> Self {
        let (core, log) = (Arc::clone(core), Arc::clone(log));
        Self { core, log, open: None, copies: Vec::new(), moves: Vec::new() }
    }

    /// Moves the record of `key` and `value`, which is at `from`; at the latest when
    /// [`finish`](Self::finish) is called. A key so long that the log could not say so stays.
    pub(super) fn add(&mut self, key: &[u8], from: Location, value: &[u8]) -> Result<()> {
        let to = Location::value(PageNo(0), 0, from.value_len());
        if self.log.check_size(&Unit::new(&[(Record::Relocate { key, from, to }, &[])])).is_err() {
            return Ok(());
        }
        let len = record_len(key.len(), from.value_len());
        if self.copies.len() >= COPY_BYTES {
            self.finish()?;
        }
        let extent_bytes = bytes_of(u64::from(self.core.space.extent_pages()));
        if let Some(open) = &self.open
            && bytes_of(open.next) + (self.copies.len() + len) as u64 > extent_bytes
        {
            self.finish()?;
            self.seal();
        }
        let open = match &self.open {
            Some(open) => open,
            None => self.open.insert(Open::begin(&self.core)?),
        };
        let at = bytes_of(open.next) as usize + self.copies.len();
        let page = open.first.plus((at / PAGE_BYTES) as u64);
        let offset = (at % PAGE_BYTES) as u16;
        let identity = ValueIdentity {
            store: self.core.store,
            page,
            offset,
            incarnation: open.state.incarnation,
        };
        let start = self.copies.len();
        self.copies.resize(start + len, 0);
        encode(identity, key, value, &mut self.copies[start..]);
        let to = Location::value(page, offset, from.value_len());
        self.moves.push(Move { key: key.to_vec(), from, to });
        Ok(())
    }

    /// Makes the copies durable, then has the index refer to them (G1, G2).
    pub(super) fn finish(&mut self) -> Result<()> {
        let Some(open) = self.open.as_mut().filter(|_| !self.moves.is_empty()) else {
            return Ok(());
        };
        let start = open.first.plus(open.next);
        let pages = pages_for(self.copies.len() as u64);
        let mut buf = self.core.pool.take(pages as usize)?;
        buf[..self.copies.len()].copy_from_slice(&self.copies);
        buf[self.copies.len()..].fill(0);
        self.core.volume.write(Purpose::Collection, start, &buf)?;
        self.core.volume.barrier()?;
        open.next += pages;
        self.copies.clear();
        let moves = std::mem::take(&mut self.moves);
        self.commit(&moves)
    }

    fn commit(&mut self, moves: &[Move]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let announcement = Record::Announce { extent: open.extent, state: open.state };
        let mut items: Vec<Item<'_>> = Vec::new();
        if !open.announced {
            items.push((announcement, &[]));
        }
        let most = (self.core.space.extent_pages() as usize / 4 * PAYLOAD_BYTES).min(COPY_BYTES);
        let mut bytes = Unit::new(&items).log_len();
        for Move { key, from, to } in moves {
            let record = Record::Relocate { key, from: *from, to: *to };
            if bytes + record.log_len() > most / 2 && !items.is_empty() {
                self.log.commit(&Unit::new(&items), Durability::Synced)?;
                // Only now: where there was no room for it, the next commit says it (G4).
                open.announced = true;
                items.clear();
                bytes = 0;
            }
            bytes += record.log_len();
            items.push((record, &[]));
        }
        self.log.commit(&Unit::new(&items), Durability::Synced)?;
        open.announced = true;
        Ok(())
    }

    /// The next record opens another extent.
    pub(super) fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            self.core.space.seal_value_extent(open.extent);
        }
    }
}

impl Open {
    fn begin(core: &Core) -> Result<Self> {
        let (extent, state) = core.space.open_value_extent()?;
        let first = PageNo(u64::from(extent.0) * u64::from(core.space.extent_pages()));
        Ok(Self { extent, state, first, next: 0, announced: false })
    }
}

impl fmt::Debug for Relocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relocation").field("open", &self.open).finish_non_exhaustive()
    }
}
