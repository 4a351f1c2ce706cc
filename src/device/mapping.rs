//! Anonymous memory straight from the kernel, for I/O.

use super::fork::ForkGuard;
use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::Arc;

pub(super) type MapError = Errno;

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

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
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
