//! The engine's one way to bytes that outlive the process.
//!
//! [`Device`] is the seam: a real file or block device stands behind it in production, a
//! simulated one in tests. It is small enough that the simulated one can be exact.

mod background;
mod buffer;
mod direct;
mod file;
mod fork;
mod info;
mod lock;
#[cfg(test)]
mod many_test;
mod mapping;
mod open;
mod plain;
mod pool;
#[cfg(all(test, extentdb_tsan))]
mod race_test;
mod ring;
mod transfer;
mod uring;
mod volume;
mod writes;
#[cfg(test)]
mod writes_test;

use crate::format::ids::PageNo;
use std::io;

pub(crate) use background::{gives_way, giving_way, insisting};
pub use buffer::AlignedBuf;
pub use direct::{DirectIo, DirectState};
pub(crate) use fork::ForkGuard;
pub use info::{DeviceInfo, WriteCache};
pub(crate) use mapping::HUGE_PAGE_BYTES;
#[cfg(test)]
use open::Opened;
pub(crate) use open::open;
pub(crate) use pool::BufferPool;
pub use uring::{IoUring, IoUringState};
pub(crate) use volume::{Purpose, Traffic, Volume, Writes};
pub(crate) use writes::Part;

/// Reads of one [`Device::read_many`] that are under way at once, at most.
pub(crate) const READS_IN_FLIGHT: usize = 64;

/// One of many reads.
#[derive(Debug)]
pub(crate) struct ReadRequest {
    /// Tells it from the others.
    pub(crate) tag: usize,
    pub(crate) page: PageNo,
    /// Whole pages, to be filled from `page` on.
    pub(crate) buf: AlignedBuf,
}

/// Takes back a read and what became of it.
pub(crate) type ReadDone<'a, E> = dyn FnMut(ReadRequest, Result<(), E>) + 'a;

/// Writes that are under way together: in any order, and unordered with all others. Dropped, they are
/// waited for.
pub(crate) trait DeviceWrites {
    /// Has `parts` written to `page` on, one after the other. What is in them must not change before
    /// it is written.
    fn push(&mut self, page: PageNo, parts: Vec<Part>);

    /// Waits until all that was pushed is written, all of it or an error.
    fn wait(&mut self) -> io::Result<()>;
}

/// An array of 4 KiB pages. Writes are unordered and volatile until a barrier that starts after
/// they returned has itself returned.
pub(crate) trait Device: Send + Sync + std::fmt::Debug {
    /// Pages that exist now.
    fn len_pages(&self) -> u64;

    /// Fills `buf` (whole pages, page-aligned memory) from `page` on. Fails with
    /// `UnexpectedEof` where pages do not exist.
    fn read(&self, page: PageNo, buf: &mut [u8]) -> io::Result<()>;

    /// Does all `requests`, up to [`READS_IN_FLIGHT`] at a time and in any order, and hands each to
    /// `done` with what [`read`](Self::read) would have answered. Neither of the two may use the
    /// device.
    fn read_many(
        &self,
        requests: &mut dyn Iterator<Item = ReadRequest>,
        done: &mut ReadDone<'_, io::Error>,
    ) {
        for mut request in requests {
            let outcome = self.read(request.page, &mut request.buf);
            done(request, outcome);
        }
    }

    /// Writes `buf` (whole pages, page-aligned memory) to `page` on, all of it or an error.
    fn write(&self, page: PageNo, buf: &[u8]) -> io::Result<()>;

    /// Writes that go on while the caller does something else. Closing the device waits for them.
    fn begin_writes(&self) -> Box<dyn DeviceWrites + '_>;

    /// Makes every write that has returned durable, file size included.
    fn barrier(&self) -> io::Result<()>;

    /// Makes `pages` pages exist, the new ones reading as zeros, their space allocated. A no-op
    /// where they exist already. Durable after a barrier.
    fn grow(&self, pages: u64) -> io::Result<()>;

    /// Makes all but the first `pages` pages not exist, where the device can: it is then as long, or as
    /// long as before. No page that goes may be in use. Durable after a barrier.
    fn shrink(&self, pages: u64) -> io::Result<()>;

    /// Tells the device that `count` pages from `page` on hold nothing of value. What they read
    /// as afterwards is undefined. Fails with `Unsupported` where the device has no use for that.
    fn discard(&self, page: PageNo, count: u64) -> io::Result<()>;

    /// Has space for `count` pages from `page` on, which may have been discarded.
    fn allocate(&self, page: PageNo, count: u64) -> io::Result<()>;

    /// Whether pages may have no space, as they were discarded.
    fn may_have_holes(&self) -> io::Result<bool>;

    /// Releases the device and its lock once transfers under way have ended. Every later call
    /// fails.
    fn close(&self);
}
