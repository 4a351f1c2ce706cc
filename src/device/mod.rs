//! The engine's one way to bytes that outlive the process.
//!
//! [`Device`] is the seam: a real file or block device stands behind it in production, a
//! simulated one in tests. It is small enough that the simulated one can be exact.

mod buffer;
mod direct;
mod file;
mod fork;
mod info;
mod lock;
mod mapping;
mod open;
mod pool;
mod transfer;
mod volume;

use crate::format::ids::{PAGE_BYTES, PageNo};
use std::io;

pub use buffer::AlignedBuf;
pub use direct::{DirectIo, DirectState};
pub(crate) use fork::ForkGuard;
pub use info::{DeviceInfo, WriteCache};
#[cfg(test)]
use open::Opened;
pub(crate) use open::open;
pub(crate) use pool::BufferPool;
pub(crate) use volume::{Purpose, Traffic, Volume};

/// An array of 4 KiB pages. Writes are unordered and volatile until a barrier that starts after
/// they returned has itself returned.
pub(crate) trait Device: Send + Sync + std::fmt::Debug {
    /// Pages that exist now.
    fn len_pages(&self) -> u64;

    /// Fills `buf` (whole pages, page-aligned memory) from `page` on. Fails with
    /// `UnexpectedEof` where pages do not exist.
    fn read(&self, page: PageNo, buf: &mut [u8]) -> io::Result<()>;

    /// Writes `buf` (whole pages, page-aligned memory) to `page` on, all of it or an error.
    fn write(&self, page: PageNo, buf: &[u8]) -> io::Result<()>;

    /// Writes `head` to `page` on, and `rest` behind it: in one transfer, where there is such a thing. An
    /// error leaves either of them written, or part of it.
    fn write_both(&self, page: PageNo, head: &[u8], rest: &[u8]) -> io::Result<()> {
        self.write(page, head)?;
        self.write(page.plus((head.len() / PAGE_BYTES) as u64), rest)
    }

    /// Makes every write that has returned durable, file size included.
    fn barrier(&self) -> io::Result<()>;

    /// Makes `pages` pages exist, the new ones reading as zeros, their space allocated. A no-op
    /// where they exist already. Durable after a barrier.
    fn grow(&self, pages: u64) -> io::Result<()>;

    /// Tells the device that `count` pages from `page` on hold nothing of value. What they read
    /// as afterwards is undefined.
    #[cfg_attr(not(test), expect(dead_code, reason = "no page is given up while a volume is open"))]
    fn discard(&self, page: PageNo, count: u64) -> io::Result<()>;

    /// Releases the device and its lock once transfers under way have ended. Every later call
    /// fails.
    fn close(&self);
}
