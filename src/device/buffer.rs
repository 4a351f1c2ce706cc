//! Page-aligned memory that devices can transfer to and from.

use super::mapping::{HUGE_PAGE_BYTES, Mapping, allocate_error};
use super::pool::Block;
use crate::error::Result;
use crate::format::ids::PAGE_BYTES;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;

/// Page-aligned memory that a value can be written from without being copied first.
///
/// It holds exactly as many bytes as were asked for, in whole pages of 4096 of its own. A
/// process forked while it exists does not inherit the memory, and must not touch it.
///
/// ```
/// use extentdb::AlignedBuf;
///
/// let mut buf = AlignedBuf::new(10_000)?;
/// assert_eq!(buf.len(), 10_000);
/// assert_eq!(buf.as_ptr().addr() % 4096, 0);
/// buf[..5].copy_from_slice(b"hello");
/// assert_eq!(&buf[..6], b"hello\0");
/// # Ok::<(), extentdb::Error>(())
/// ```
pub struct AlignedBuf {
    /// Start of `memory`, which nothing else refers to while `self` exists.
    start: NonNull<u8>,
    len: usize,
    /// Holds on to the memory; never read.
    _memory: Memory,
}

/// Where a buffer's memory goes when it is dropped.
enum Memory {
    Mapping { _unmapped_on_drop: Mapping },
    Pooled { _returned_on_drop: Block },
}

// SAFETY: the buffer is the only owner of plain bytes that belong to no thread.
unsafe impl Send for AlignedBuf {}

// SAFETY: `&AlignedBuf` gives nothing but shared reads of plain bytes.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// A buffer of `len` zeros.
    ///
    /// ```
    /// let buf = extentdb::AlignedBuf::new(3)?;
    /// assert_eq!(&buf[..], [0, 0, 0]);
    /// # Ok::<(), extentdb::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) when the operating system has no memory to give.
    pub fn new(len: usize) -> Result<Self> {
        // Nothing is mapped for nothing, so an empty buffer has one page that it does not show.
        let bytes = len.max(1).checked_next_multiple_of(PAGE_BYTES);
        let bytes = bytes.ok_or_else(|| allocate_error(io::ErrorKind::OutOfMemory))?;
        Ok(Self::mapped(Mapping::new(bytes)?, len))
    }

    /// A buffer of zeros in `count` huge pages, where the system has them.
    pub(crate) fn in_huge_pages(count: usize) -> Result<Self> {
        let len = count * HUGE_PAGE_BYTES;
        Ok(Self::mapped(Mapping::in_huge_pages(len)?, len))
    }

    /// A buffer of the first `len` bytes of `mapping`, which has whole pages for them.
    fn mapped(mapping: Mapping, len: usize) -> Self {
        let start = mapping.start();
        Self { start, len, _memory: Memory::Mapping { _unmapped_on_drop: mapping } }
    }

    /// A buffer with a copy of `bytes`.
    ///
    /// ```
    /// use extentdb::AlignedBuf;
    ///
    /// let buf = AlignedBuf::from_slice(b"value")?;
    /// assert_eq!(&buf[..], b"value");
    /// # Ok::<(), extentdb::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) when the operating system has no memory to give.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        let mut buf = Self::new(bytes.len())?;
        buf.copy_from_slice(bytes);
        Ok(buf)
    }

    /// A buffer of the first `len` bytes of `block`, which has at least as many.
    pub(super) fn pooled(block: Block, len: usize) -> Self {
        assert!(len <= block.bytes(), "a pooled buffer fits its block");
        Self { start: block.start(), len, _memory: Memory::Pooled { _returned_on_drop: block } }
    }

    /// The first `len` bytes of it; what is left of the last page is zeros.
    pub(crate) fn shortened(mut self, len: usize) -> Self {
        assert!(len <= self.len, "a buffer is shortened");
        self.len = len;
        self.as_pages_mut()[len..].fill(0);
        self
    }

    /// Number of bytes.
    ///
    /// ```
    /// let buf = extentdb::AlignedBuf::new(5000)?;
    /// assert_eq!(buf.len(), 5000);
    /// # Ok::<(), extentdb::Error>(())
    /// ```
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    ///
    /// ```
    /// assert!(extentdb::AlignedBuf::new(0)?.is_empty());
    /// assert!(!extentdb::AlignedBuf::new(1)?.is_empty());
    /// # Ok::<(), extentdb::Error>(())
    /// ```
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, and those up to the end of the last page, which are zeros unless written.
    pub(crate) fn as_pages(&self) -> &[u8] {
        // SAFETY: `start` is that of at least `page_bytes` initialised bytes, which `self` owns
        // alone and which are borrowed for as long as the slice.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.page_bytes()) }
    }

    /// Like [`as_pages`](Self::as_pages), to be changed.
    pub(crate) fn as_pages_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_pages`, and `self` is borrowed mutably for as long as the slice.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.page_bytes()) }
    }

    /// Never overflows: the memory has at least as many.
    const fn page_bytes(&self) -> usize {
        self.len.next_multiple_of(PAGE_BYTES)
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.as_pages()[..self.len]
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.len;
        &mut self.as_pages_mut()[..len]
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for AlignedBuf {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn check(len: usize, pages: usize) {
        let mut buf = AlignedBuf::new(len).unwrap();
        assert_eq!((buf.len(), buf.is_empty()), (len, len == 0));
        assert_eq!(buf.as_pages().len(), pages * PAGE_BYTES);
        assert_eq!(buf.as_ptr().addr() % PAGE_BYTES, 0);
        assert!(buf.as_pages().iter().all(|&b| b == 0));
        buf.as_pages_mut().fill(0xA5);
        assert!(buf.iter().all(|&b| b == 0xA5));
    }

    #[test]
    fn any_length_gets_whole_zeroed_pages() {
        for (len, pages) in [(0, 0), (1, 1), (4095, 1), (4096, 1), (4097, 2), (3 << 20, 768)] {
            check(len, pages);
        }
    }

    #[test]
    fn the_rest_of_the_last_page_is_zeros() {
        let buf = AlignedBuf::from_slice(&[0xFF; 5000]).unwrap();
        assert!(buf.iter().all(|&b| b == 0xFF));
        assert!(buf.as_pages()[5000..].iter().all(|&b| b == 0));
    }

    #[test]
    fn impossible_lengths_are_errors() {
        for len in [usize::MAX, usize::MAX - PAGE_BYTES, isize::MAX as usize] {
            assert!(matches!(AlignedBuf::new(len), Err(Error::Io { op: "allocate", .. })));
        }
    }

    #[test]
    fn it_moves_between_threads() {
        let mut buf = AlignedBuf::new(4096).unwrap();
        let buf = std::thread::spawn(move || {
            buf[17] = 1;
            buf
        });
        assert_eq!(buf.join().unwrap()[17], 1);
    }
}
