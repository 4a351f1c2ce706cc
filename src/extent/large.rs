//! Writing large values: data, block by block under its checksum, and the header that holds the
//! checksums. The device has one part of the data while the next one is copied and checksummed.

use super::space::Allocation;
use crate::device::{AlignedBuf, BufferPool, Part, Purpose, Volume, Writes};
use crate::error::{Error, Result};
use crate::format::ids::{PAGE_BYTES, StoreId};
use crate::format::large::{BLOCK_BYTES, LargeIdentity, LargeShape, seal};
use crate::format::record::LargePointer;
use crate::seeded::{Bug, seeded};
use crate::sync::Arc;
use std::io::Read;
use std::ops::Range;

/// Data that is copied, checksummed and written at a time, a whole number of blocks: little enough
/// that the device begins soon, enough that each is worth a transfer.
const CHUNK_BYTES: usize = 128 << 10;
/// Length from which a value is made durable before its record is written (W5), so that opening
/// never has to read it. Less in tests, whose volumes are short.
const BARRIERED_FROM: u32 = if cfg!(test) { 70_001 } else { 16 << 20 };

/// Where the bytes of a large value come from.
pub(crate) enum Source<'a> {
    /// The caller's memory: copied before it is checksummed, as the caller might change it.
    Slice(&'a [u8]),
    /// Memory that was handed over and is aligned for the device: written as it is.
    Aligned(&'a Arc<AlignedBuf>),
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

impl<'a> LargeWriter<'a> {
    /// Begins to write the value to the pages of `allocation`. The pointer belongs in the record, whose
    /// batch does not count as written before what is under way is (W5): nothing is where the value had
    /// to be durable before its record.
    pub(crate) fn begin(
        &self,
        allocation: &Allocation,
        key: &[u8],
        value_len: u32,
        mut source: Source<'_>,
    ) -> Result<(LargePointer, Option<Writes<'a>>)> {
        let shape = LargeShape { key_len: key.len(), value_len };
        assert_eq!(allocation.pages, shape.pages(), "the allocation fits the value");
        let identity = LargeIdentity {
            store: self.store,
            page: allocation.page,
            incarnation: allocation.incarnation,
        };
        let mut writes = self.volume.begin_writes(self.purpose, allocation.page);
        let data = allocation.page.plus(shape.header_pages());
        let mut blocks = vec![0; shape.blocks()];
        let len = value_len as usize;
        // The first chunk goes with the header, once that is known: last, but for a reader.
        let first = 0..len.min(CHUNK_BYTES);
        let head = match source {
            Source::Reader(_) => Some(self.chunk(&mut source, &first, &mut blocks, |_| {})?),
            _ => None,
        };
        for at in (CHUNK_BYTES..len).step_by(CHUNK_BYTES) {
            let page = data.plus((at / PAGE_BYTES) as u64);
            let push = |chunk: &Part| writes.push(page, vec![chunk.clone()]);
            self.chunk(&mut source, &(at..len.min(at + CHUNK_BYTES)), &mut blocks, push)?;
        }
        let head = match head {
            Some(head) => head,
            None => self.chunk(&mut source, &first, &mut blocks, |_| {})?,
        };
        let mut header = self.pool.take(shape.header_pages() as usize)?;
        let checksum = seal(&mut header, identity, key, value_len, &blocks);
        writes.push(allocation.page, vec![Part::all(header), head]);
        let (page, incarnation) = (allocation.page, allocation.incarnation);
        let barriered = value_len >= BARRIERED_FROM;
        let pointer = LargePointer { page, checksum, incarnation, barriered };
        if barriered && !seeded(Bug::LongNotBarriered) {
            writes.wait()?;
            self.volume.barrier()?;
            return Ok((pointer, None));
        }
        Ok((pointer, Some(writes)))
    }

    /// Writes the value to the pages of `allocation`.
    pub(crate) fn write(
        &self,
        allocation: &Allocation,
        key: &[u8],
        value_len: u32,
        source: Source<'_>,
    ) -> Result<LargePointer> {
        let (pointer, writes) = self.begin(allocation, key, value_len, source)?;
        writes.map_or(Ok(()), |mut writes| writes.wait())?;
        Ok(pointer)
    }

    /// The `bytes` of data, in whole pages, of which `blocks` has the checksums once they are `pushed`.
    fn chunk(
        &self,
        source: &mut Source<'_>,
        bytes: &Range<usize>,
        blocks: &mut [u32],
        push: impl FnOnce(&Part),
    ) -> Result<Part> {
        let (len, whole) = (bytes.len(), bytes.len().next_multiple_of(PAGE_BYTES));
        let copy = |fill: &mut dyn FnMut(&mut [u8]) -> Result<()>| -> Result<Part> {
            let mut buf = self.pool.take(whole / PAGE_BYTES)?;
            fill(&mut buf[..len])?;
            buf[len..].fill(0);
            Ok(Part::all(buf))
        };
        let chunk = match source {
            Source::Aligned(value) => {
                Part::new(Arc::clone(value), bytes.start..bytes.start + whole)
            }
            Source::Slice(value) => copy(&mut |buf| {
                buf.copy_from_slice(&value[bytes.clone()]);
                Ok(())
            })?,
            Source::Reader(reader) => copy(&mut |buf| fill(reader, buf))?,
        };
        push(&chunk);
        let sums = chunk.as_slice()[..len].chunks(BLOCK_BYTES).map(crc32c::crc32c);
        blocks[bytes.start / BLOCK_BYTES..].iter_mut().zip(sums).for_each(|(at, sum)| *at = sum);
        Ok(chunk)
    }
}

fn fill(reader: &mut dyn Read, buf: &mut [u8]) -> Result<()> {
    reader.read_exact(buf).map_err(|source| Error::Source { source: Arc::new(source) })
}
