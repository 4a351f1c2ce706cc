//! Writing large values: data first, block by block under its checksum, then the header that
//! holds the checksums.

use super::space::Allocation;
use crate::device::{AlignedBuf, BufferPool, Purpose, Volume};
use crate::error::{Error, Result};
use crate::format::ids::{PAGE_BYTES, StoreId};
use crate::format::large::{BLOCK_BYTES, LargeIdentity, LargeShape, seal};
use crate::format::record::LargePointer;
use crate::seeded::{Bug, seeded};
use crate::sync::{self, Arc};
use std::io::Read;

/// Pages of data that are copied, checksummed and written at a time: the largest request that
/// NVMe devices commonly take whole, and a whole number of blocks.
const CHUNK_PAGES: usize = 256;
/// Length from which a value is made durable before its record is written (W5), so that opening
/// never has to read it. Less in tests, whose volumes are short.
const BARRIERED_FROM: u32 = if cfg!(test) { 70_001 } else { 16 << 20 };

/// Chunks that are copied ahead of the one that is written.
const CHUNKS_AHEAD: usize = 1;
/// Length from which it pays to start a thread that checksums a value while it is written.
const OVERLAPPED_FROM: usize = 4 << 20;

/// Where the bytes of a large value come from.
pub(crate) enum Source<'a> {
    /// The caller's memory: copied before it is checksummed, as the caller might change it.
    Slice(&'a [u8]),
    /// Memory that was handed over and is aligned for the device: written as it is.
    Aligned(&'a AlignedBuf),
    /// A reader, to be read for exactly the announced length.
    Reader(&'a mut dyn Read),
}

/// Writes one large value.
pub(crate) struct LargeWriter<'a> {
    pub(crate) volume: &'a Volume,
    pub(crate) pool: &'a BufferPool,
    pub(crate) store: StoreId,
    pub(crate) purpose: Purpose,
}

impl LargeWriter<'_> {
    /// Writes the value to the pages of `allocation`. The pointer belongs in the record, which
    /// must not be written before this has returned.
    pub(crate) fn write(
        &self,
        allocation: &Allocation,
        key: &[u8],
        value_len: u32,
        source: Source<'_>,
    ) -> Result<LargePointer> {
        let shape = LargeShape { key_len: key.len(), value_len };
        assert_eq!(allocation.pages, shape.pages(), "the allocation fits the value");
        let identity = LargeIdentity {
            store: self.store,
            page: allocation.page,
            incarnation: allocation.incarnation,
        };
        let mut blocks = Vec::with_capacity(shape.blocks());
        let whole = shape.pages() as usize <= CHUNK_PAGES + shape.header_pages() as usize;
        let checksum = match source {
            Source::Slice(value) if whole => {
                self.write_at_once(shape, identity, key, value, &mut blocks)?
            }
            Source::Aligned(value) => {
                self.write_aligned(shape, identity, key, value, &mut blocks)?
            }
            Source::Slice(value) => {
                self.write_slice(shape, allocation, value, &mut blocks)?;
                self.write_header(shape, identity, key, &blocks)?
            }
            Source::Reader(reader) => {
                self.write_read(shape, allocation, reader, &mut blocks)?;
                self.write_header(shape, identity, key, &blocks)?
            }
        };
        let barriered = value_len >= BARRIERED_FROM;
        if barriered && !seeded(Bug::LongNotBarriered) {
            self.volume.barrier()?;
        }
        Ok(LargePointer {
            page: allocation.page,
            checksum,
            incarnation: allocation.incarnation,
            barriered,
        })
    }

    /// One write for header and data.
    fn write_at_once(
        &self,
        shape: LargeShape,
        identity: LargeIdentity,
        key: &[u8],
        value: &[u8],
        blocks: &mut Vec<u32>,
    ) -> Result<u32> {
        let mut buf = self.pool.take(shape.pages() as usize)?;
        let (header, data) = buf.split_at_mut(shape.header_pages() as usize * PAGE_BYTES);
        data[..value.len()].copy_from_slice(value);
        data[value.len()..].fill(0);
        blocks.extend(data[..value.len()].chunks(BLOCK_BYTES).map(crc32c::crc32c));
        let checksum = seal(header, identity, key, shape.value_len, blocks);
        self.volume.write(self.purpose, identity.page, &buf)?;
        Ok(checksum)
    }

    /// As it is: up to a few mebibytes in one transfer behind its header; a longer one while it is
    /// checksummed.
    fn write_aligned(
        &self,
        shape: LargeShape,
        identity: LargeIdentity,
        key: &[u8],
        value: &AlignedBuf,
        blocks: &mut Vec<u32>,
    ) -> Result<u32> {
        let checksum = || value.chunks(BLOCK_BYTES).map(crc32c::crc32c).collect::<Vec<_>>();
        if value.len() < OVERLAPPED_FROM {
            *blocks = checksum();
            let mut header = self.pool.take(shape.header_pages() as usize)?;
            let sum = seal(&mut header, identity, key, shape.value_len, blocks);
            self.volume.write_both(self.purpose, identity.page, &header, value.as_pages())?;
            return Ok(sum);
        }
        let start = identity.page.plus(shape.header_pages());
        let write = || self.volume.write(self.purpose, start, value.as_pages());
        let (sums, written) = sync::both(checksum, write);
        written?;
        *blocks = sums;
        self.write_header(shape, identity, key, blocks)
    }

    /// Copies and checksums one chunk while the one before it is written.
    fn write_slice(
        &self,
        shape: LargeShape,
        allocation: &Allocation,
        value: &[u8],
        blocks: &mut Vec<u32>,
    ) -> Result<()> {
        let start = allocation.page.plus(shape.header_pages());
        let copy = |chunk: &[u8]| {
            let pages = chunk.len().div_ceil(PAGE_BYTES);
            let mut buf = self.pool.take(pages)?;
            buf[..chunk.len()].copy_from_slice(chunk);
            buf[chunk.len()..].fill(0);
            let blocks = buf[..chunk.len()].chunks(BLOCK_BYTES).map(crc32c::crc32c);
            Ok((blocks.collect::<Vec<_>>(), buf))
        };
        let chunks = value.chunks(CHUNK_PAGES * PAGE_BYTES).map(copy);
        let mut page = start;
        sync::for_each_ahead(chunks, CHUNKS_AHEAD, |chunk: Result<_>| {
            let (sums, buf) = chunk?;
            blocks.extend(sums);
            self.volume.write(self.purpose, page, &buf)?;
            page = page.plus((buf.len() / PAGE_BYTES) as u64);
            Ok(())
        })
    }

    fn write_read(
        &self,
        shape: LargeShape,
        allocation: &Allocation,
        reader: &mut dyn Read,
        blocks: &mut Vec<u32>,
    ) -> Result<()> {
        let start = allocation.page.plus(shape.header_pages());
        let mut buf = self.pool.take(CHUNK_PAGES)?;
        let mut at = 0;
        while at < shape.value_len as usize {
            let len = buf.len().min(shape.value_len as usize - at);
            fill(reader, &mut buf[..len])?;
            let padded = len.next_multiple_of(PAGE_BYTES);
            buf[len..padded].fill(0);
            blocks.extend(buf[..len].chunks(BLOCK_BYTES).map(crc32c::crc32c));
            let page = start.plus((at / PAGE_BYTES) as u64);
            self.volume.write(self.purpose, page, &buf[..padded])?;
            at += len;
        }
        Ok(())
    }

    fn write_header(
        &self,
        shape: LargeShape,
        identity: LargeIdentity,
        key: &[u8],
        blocks: &[u32],
    ) -> Result<u32> {
        let mut header = self.pool.take(shape.header_pages() as usize)?;
        let checksum = seal(&mut header, identity, key, shape.value_len, blocks);
        self.volume.write(self.purpose, identity.page, &header)?;
        Ok(checksum)
    }
}

fn fill(reader: &mut dyn Read, buf: &mut [u8]) -> Result<()> {
    reader.read_exact(buf).map_err(|source| Error::Source { source: Arc::new(source) })
}
