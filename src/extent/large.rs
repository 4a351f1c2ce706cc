//! Writing large values: data first, block by block under its checksum, then the header that
//! holds the checksums.

use super::space::Allocation;
use crate::device::{AlignedBuf, BufferPool, Purpose, Volume};
use crate::error::{Error, Result};
use crate::format::ids::{PAGE_BYTES, StoreId};
use crate::format::large::{BLOCK_BYTES, LargeIdentity, LargeShape, seal};
use crate::format::record::LargePointer;
use crate::sync::Arc;
use std::io::Read;

/// Pages of data that are copied, checksummed and written at a time: the largest request that
/// NVMe devices commonly take whole, and a whole number of blocks.
const CHUNK_PAGES: usize = 256;
/// Length from which a value is made durable before its record is written (W5), so that opening
/// never has to read it.
const BARRIERED_FROM: u32 = 16 << 20;

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
            source => {
                self.write_data(shape, allocation, source, &mut blocks)?;
                self.write_header(shape, identity, key, &blocks)?
            }
        };
        let barriered = value_len >= BARRIERED_FROM;
        if barriered {
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

    fn write_data(
        &self,
        shape: LargeShape,
        allocation: &Allocation,
        source: Source<'_>,
        blocks: &mut Vec<u32>,
    ) -> Result<()> {
        let start = allocation.page.plus(shape.header_pages());
        let mut slice: &[u8];
        let reader: &mut dyn Read = match source {
            Source::Aligned(value) => {
                blocks.extend(value.chunks(BLOCK_BYTES).map(crc32c::crc32c));
                return self.volume.write(self.purpose, start, value.as_pages());
            }
            Source::Slice(value) => {
                slice = value;
                &mut slice
            }
            Source::Reader(reader) => reader,
        };
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
