//! A large value as it is on the volume, read for being copied: no byte of it is handed on before
//! it is verified.

use super::core::Core;
use super::pacer::Pacer;
use crate::device::AlignedBuf;
use crate::extent::LargeRun;
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::format::large::{self, BLOCK_BYTES, LargeIdentity, LargeShape};
use crate::format::location::Location;
use std::io::{self, Read};

/// Bytes that are read at a time, whole blocks: few, as a `get` may have to wait for them.
const PIECE_BYTES: usize = 2 * BLOCK_BYTES;

pub(super) struct Stored<'a> {
    core: &'a Core,
    pacer: &'a Pacer<'a>,
    page: PageNo,
    identity: LargeIdentity,
    shape: LargeShape,
    /// Verified header pages.
    header: AlignedBuf,
    piece: AlignedBuf,
    /// Bytes of the value up to the end of the piece, and what of the piece was handed on.
    fetched: usize,
    piece_len: usize,
    returned: usize,
}

impl<'a> Stored<'a> {
    /// The value at `page`; `None` if its header cannot be read, or is not what was written there.
    pub(super) fn open(
        core: &'a Core,
        pacer: &'a Pacer<'a>,
        page: PageNo,
        run: LargeRun,
    ) -> Option<Self> {
        let identity = LargeIdentity { store: core.store, page, incarnation: run.incarnation };
        // As for a `get`, what fails is read once more.
        let (shape, header) = read_header(core, identity, run.pages)
            .or_else(|| read_header(core, identity, run.pages))?;
        let piece = core.pool.take(PIECE_BYTES / PAGE_BYTES).ok()?;
        let (fetched, piece_len, returned) = (0, 0, 0);
        Some(Self {
            core,
            pacer,
            page,
            identity,
            shape,
            header,
            piece,
            fetched,
            piece_len,
            returned,
        })
    }

    pub(super) fn key(&self) -> &[u8] {
        large::stated_key(&self.header, self.shape)
    }

    pub(super) fn value_len(&self) -> u32 {
        self.shape.value_len
    }

    /// Where the index has it, if it does.
    pub(super) fn location(&self) -> Location {
        Location::large(self.page, self.shape.value_len)
    }

    fn fetch_piece(&mut self) -> io::Result<()> {
        self.pacer.pause();
        self.fetch_once().or_else(|_| self.fetch_once())
    }

    fn fetch_once(&mut self) -> io::Result<()> {
        let len = PIECE_BYTES.min(self.shape.value_len as usize - self.fetched);
        let pages = len.next_multiple_of(PAGE_BYTES);
        let at = self.shape.header_pages() + (self.fetched / PAGE_BYTES) as u64;
        let buf = &mut self.piece[..pages];
        self.core.volume.read(self.page.plus(at), buf).map_err(io::Error::other)?;
        let (header, key) = (&self.header, large::stated_key(&self.header, self.shape));
        let header = large::open(header, self.identity, key, self.shape.value_len);
        if !header.is_some_and(|header| header.verifies(self.fetched / BLOCK_BYTES, &buf[..len])) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        (self.fetched, self.piece_len, self.returned) = (self.fetched + len, len, 0);
        Ok(())
    }
}

fn read_header(
    core: &Core,
    identity: LargeIdentity,
    pages: u64,
) -> Option<(LargeShape, AlignedBuf)> {
    let mut first = core.pool.take(1).ok()?;
    core.volume.read(identity.page, &mut first).ok()?;
    let shape = large::stated_shape(&first).filter(|shape| shape.pages() == pages)?;
    let header = if shape.header_pages() == 1 {
        first
    } else {
        let mut header = core.pool.take(shape.header_pages() as usize).ok()?;
        core.volume.read(identity.page, &mut header).ok()?;
        header
    };
    large::stated_shape(&header).filter(|again| *again == shape)?;
    large::open(&header, identity, large::stated_key(&header, shape), shape.value_len)?;
    Some((shape, header))
}

impl Read for Stored<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.returned == self.piece_len && self.fetched < self.shape.value_len as usize {
            self.fetch_piece()?;
        }
        let rest = &self.piece[self.returned..self.piece_len];
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        self.returned += len;
        Ok(len)
    }
}
