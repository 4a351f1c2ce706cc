//! Anonymous memory straight from the kernel, for I/O.

use super::fork::ForkGuard;
use crate::error::{Error, Result};
use crate::format::ids::PAGE_BYTES;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::Arc;

pub(super) type MapError = Errno;

/// A huge page of x86-64, and of others that have pages of 4 KiB.
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Owns a zero-filled mapping that forked children do not inherit: a child that wrote to an
/// inherited page while the device was still filling it could otherwise make the parent miss
/// the data.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    /// In a child the address range is a hole that something else may have filled since.
    born_in: ForkGuard,
}

// SAFETY: the mapping belongs to the process, not to a thread, and a `Mapping` owns it whole.
unsafe impl Send for Mapping {}

// SAFETY: through `&Mapping` only the address and length can be read.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `bytes` zeros, more than none.
    pub(super) fn new(bytes: usize) -> Result<Self> {
        let born_in = ForkGuard::new();
        let start = map_pages(bytes).map_err(allocate_error)?;
        let mapping = Self { start, bytes, born_in };
        mapping.keep_from_children().map_err(allocate_error)?;
        Ok(mapping)
    }

    /// Maps `bytes` zeros, whole huge pages of them, that the kernel backs by huge pages where it
    /// can: a page table entry, and a miss of the TLB, for 2 MiB instead of 4 KiB.
    pub(super) fn in_huge_pages(bytes: usize) -> Result<Self> {
        assert!(bytes.is_multiple_of(HUGE_PAGE_BYTES), "whole huge pages");
        // Not all kernels place what is that long where a huge page can begin.
        let mut mapping = Self::new(bytes + HUGE_PAGE_BYTES - PAGE_BYTES)?;
        mapping.keep_aligned(bytes).map_err(allocate_error)?;
        // SAFETY: the range is exactly the mapping that `self` owns.
        let advised = unsafe { madvise(mapping.start.cast(), bytes, MmapAdvise::MADV_HUGEPAGE) };
        // A kernel without them backs it by others.
        let _ = advised;
        Ok(mapping)
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Cuts it down to the `bytes` from the first place on where a huge page can begin.
    fn keep_aligned(&mut self, bytes: usize) -> Result<(), MapError> {
        let head = self.start.align_offset(HUGE_PAGE_BYTES);
        let tail = self.bytes - head - bytes;
        // SAFETY: the offset is within the mapping.
        let start = unsafe { self.start.add(head) };
        // SAFETY: the offset is within the mapping, or at its end.
        let end = unsafe { start.add(bytes) };
        if head > 0 {
            // SAFETY: the part before `start` is of the mapping, and nothing uses it yet.
            unsafe { munmap(self.start.cast(), head) }?;
        }
        (self.start, self.bytes) = (start, bytes + tail);
        if tail > 0 {
            // SAFETY: as before, for the part from `end` on.
            unsafe { munmap(end.cast(), tail) }?;
        }
        self.bytes = bytes;
        Ok(())
    }

    fn keep_from_children(&self) -> Result<(), MapError> {
        // SAFETY: the range is exactly the mapping that `self` owns.
        unsafe { madvise(self.start.cast(), self.bytes, MmapAdvise::MADV_DONTFORK) }
    }

    /// Gives the memory behind part of the mapping back; it reads as zeros when next touched.
    ///
    /// # Safety
    ///
    /// The `bytes` from `start` on lie in this mapping, and nothing else uses them.
    pub(super) unsafe fn release(&self, start: NonNull<u8>, bytes: usize) {
        if self.born_in.is_child() {
            return;
        }
        // SAFETY: the caller vouches for the range, and the mapping exists in this process.
        let released = unsafe { madvise(start.cast(), bytes, MmapAdvise::MADV_DONTNEED) };
        // A program that locks all its memory keeps this too, until the mapping goes.
        let _ = released;
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.born_in.is_child() {
            return;
        }
        // SAFETY: `self` owns the mapping, which exists in this process, and is going away;
        // whatever borrowed from it has ended.
        let unmapped = unsafe { munmap(self.start.cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "a mapping that exists can be unmapped");
    }
}

/// Maps `bytes` zeros that the caller must unmap.
pub(super) fn map_pages(bytes: usize) -> Result<NonNull<u8>, MapError> {
    let bytes = NonZeroUsize::new(bytes).ok_or(Errno::EINVAL)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new private mapping at an address of the kernel's choice overlaps nothing.
    let start = unsafe { mmap_anonymous(None, bytes, access, MapFlags::MAP_PRIVATE) }?;
    Ok(start.cast())
}

pub(super) fn allocate_error(cause: impl Into<io::Error>) -> Error {
    let path = Arc::new(PathBuf::from("memory"));
    Error::Io { op: "allocate", page: 0, path, source: Arc::new(cause.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::fork::tests::in_child;

    #[test]
    fn too_much_is_an_error() {
        let refused = Mapping::new(1 << 60).unwrap_err();
        assert!(matches!(refused, Error::Io { op: "allocate", .. }), "{refused}");
    }

    #[test]
    fn nothing_is_an_error() {
        assert!(matches!(Mapping::new(0), Err(Error::Io { op: "allocate", .. })));
    }

    #[test]
    fn huge_pages_begin_where_they_can() {
        for pages in 1..4 {
            let mapping = Mapping::in_huge_pages(pages * HUGE_PAGE_BYTES).unwrap();
            assert!(mapping.start().addr().get().is_multiple_of(HUGE_PAGE_BYTES));
            // SAFETY: the mapping is this long, writable, and nobody else's.
            unsafe { mapping.start().as_ptr().write_bytes(7, pages * HUGE_PAGE_BYTES) };
        }
    }

    #[test]
    fn nothing_stays_mapped_beside_huge_pages() {
        let mapped = || -> usize {
            let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
            statm.split(' ').next().unwrap().parse::<usize>().unwrap() * PAGE_BYTES
        };
        // Enough of them to be seen beside what other threads map meanwhile.
        let before = mapped();
        for _ in 0..10_000 {
            drop(Mapping::in_huge_pages(HUGE_PAGE_BYTES).unwrap());
        }
        assert!(mapped() < before + (8 << 30));
    }

    #[test]
    fn a_child_does_not_inherit_it_and_may_drop_it() {
        let mapping = Mapping::new(4096).unwrap();
        let start = mapping.start();
        let verdict = in_child(|| {
            // Something else moves in where the parent's mapping is.
            let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED_NOREPLACE;
            let (hint, bytes) = (NonZeroUsize::new(start.addr().get()), 4096.try_into().unwrap());
            // SAFETY: MAP_FIXED_NOREPLACE fails rather than replace anything.
            let Ok(tenant) = (unsafe { mmap_anonymous(hint, bytes, access, flags) }) else {
                return 2;
            };
            let tenant = tenant.cast::<u8>();
            // SAFETY: the tenant was just mapped, writable.
            unsafe { tenant.write_volatile(7) };
            drop(mapping);
            // SAFETY: the tenant is still mapped, which is what this shows.
            unsafe { tenant.read_volatile() }
        });
        assert_eq!(verdict, 7);
    }
}
