//! The part of the log that replay has in memory.

use crate::device::{AlignedBuf, BufferPool, Volume};
use crate::error::Result;
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::seeded::{Bug, seeded};

/// Pages read ahead, within an extent.
pub(super) struct Window {
    buf: AlignedBuf,
    start: PageNo,
    count: u64,
    extent_pages: u64,
}

/// Tries of a page that cannot be read; then it is an error, never a torn tail (W1).
const READ_TRIES: u32 = 3;

impl Window {
    pub(super) fn new(pool: &BufferPool, extent_pages: u32) -> Result<Self> {
        let buf = pool.take((extent_pages as usize).min(256))?;
        Ok(Self { buf, start: PageNo(0), count: 0, extent_pages: u64::from(extent_pages) })
    }

    /// The bytes of a page, and pages after it for later; `None` where the volume has no such
    /// page.
    pub(super) fn page(&mut self, volume: &Volume, at: PageNo) -> Result<Option<&[u8]>> {
        let most = (self.buf.len() / PAGE_BYTES) as u64;
        self.page_and(volume, at, most)
    }

    /// The bytes of a page after which nothing may be wanted.
    pub(super) fn page_alone(&mut self, volume: &Volume, at: PageNo) -> Result<Option<&[u8]>> {
        self.page_and(volume, at, 1)
    }

    fn page_and(&mut self, volume: &Volume, at: PageNo, most: u64) -> Result<Option<&[u8]>> {
        if at.0 >= volume.len_pages() {
            return Ok(None);
        }
        if at < self.start || at.0 >= self.start.0 + self.count {
            self.fill(volume, at, most)?;
        }
        let offset = (at.0 - self.start.0) as usize * PAGE_BYTES;
        Ok(Some(&self.buf[offset..offset + PAGE_BYTES]))
    }

    fn fill(&mut self, volume: &Volume, at: PageNo, most: u64) -> Result<()> {
        let to_extent_end = self.extent_pages - at.0 % self.extent_pages;
        let count = most.min(to_extent_end).min(volume.len_pages() - at.0);
        self.count = 0;
        if volume.read(at, &mut self.buf[..count as usize * PAGE_BYTES]).is_ok() {
            (self.start, self.count) = (at, count);
            return Ok(());
        }
        let mut tries = READ_TRIES;
        loop {
            match volume.read(at, &mut self.buf[..PAGE_BYTES]) {
                Ok(()) => break,
                Err(_) if seeded(Bug::UnreadableIsTorn) => {
                    self.buf[..PAGE_BYTES].fill(0);
                    break;
                }
                Err(error) if tries == 0 => return Err(error),
                Err(_) => tries -= 1,
            }
        }
        (self.start, self.count) = (at, 1);
        Ok(())
    }
}
