//! Writes that go on while their caller does something else.
//!
//! Through io_uring, where that can be had. Where it cannot, they are done when they are waited for, those
//! of adjacent pages in one transfer.

use super::file::{FileDevice, Held};
use super::ring::{FILE, Request, Ring, offset_of};
use super::transfer::write_whole;
use super::{AlignedBuf, DeviceWrites};
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::sync::{Arc, ReadGuard};
use io_uring::{opcode, squeue};
use nix::sys::uio::pwritev;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// Bytes that wait for a transfer where there is no ring: a mebibyte, and what goes before it.
pub(super) const MAX_DEFERRED_BYTES: usize = (1 << 20) + (64 << 10);

/// Whole pages of a buffer, which others may read meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    buf: Arc<AlignedBuf>,
    bytes: Range<usize>,
}

impl Part {
    /// The pages of `buf` that `bytes` are.
    pub(crate) fn new(buf: Arc<AlignedBuf>, bytes: Range<usize>) -> Self {
        let whole = bytes.start.is_multiple_of(PAGE_BYTES) && bytes.end.is_multiple_of(PAGE_BYTES);
        assert!(whole && bytes.end <= buf.as_pages().len(), "whole pages of the buffer");
        Self { buf, bytes }
    }

    /// All of `buf`.
    pub(crate) fn all(buf: AlignedBuf) -> Self {
        let bytes = 0..buf.as_pages().len();
        Self::new(Arc::new(buf), bytes)
    }

    /// Those pages of it that `bytes` are.
    #[cfg(test)]
    pub(super) fn cut(&self, bytes: Range<usize>) -> Self {
        let start = self.bytes.start;
        Self::new(Arc::clone(&self.buf), start + bytes.start..start + bytes.end)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.buf.as_pages()[self.bytes.clone()]
    }
}

/// One write, of `parts` one after the other.
pub(super) struct WriteRequest {
    page: PageNo,
    parts: Vec<Part>,
    /// Of `parts`, for the kernel.
    vectors: Vec<libc::iovec>,
}

// SAFETY: the vectors point into buffers that the parts own, and are read by the kernel alone.
unsafe impl Send for WriteRequest {}

// SAFETY: the vectors, and the pages that they point to, are owned by the request and lie outside of
// it; `vectors` is not changed once the request exists.
unsafe impl Request for WriteRequest {
    /// Chunks of a value: what a device has to do while the next one is made.
    const IN_FLIGHT: usize = 8;
    const CODE: u8 = opcode::Writev::CODE;

    fn entry(&mut self) -> squeue::Entry {
        let (vectors, count) = (self.vectors.as_ptr(), self.vectors.len() as u32);
        opcode::Writev::new(FILE, vectors, count).offset(offset_of(self.page)).build()
    }
}

impl WriteRequest {
    fn new(page: PageNo, parts: Vec<Part>) -> Self {
        let vector = |part: &Part| {
            let bytes = part.as_slice();
            libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
        };
        Self { page, vectors: parts.iter().map(vector).collect(), parts }
    }

    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }

    fn end(&self) -> PageNo {
        self.page.plus((self.len() / PAGE_BYTES) as u64)
    }

    /// What is left of it after `done` bytes.
    fn from(&self, done: usize) -> Vec<IoSlice<'_>> {
        let mut skipped = done;
        let rest = |part: &'_ Part| {
            let skip = skipped.min(part.bytes.len());
            skipped -= skip;
            part.bytes.start + skip..part.bytes.end
        };
        let rests: Vec<_> = self.parts.iter().map(rest).collect();
        let slices = self.parts.iter().zip(rests);
        slices.map(|(part, rest)| IoSlice::new(&part.buf.as_pages()[rest])).collect()
    }

    /// Writes it to `fd`. `first` is the answer to a first write of all of it, if there was one.
    fn finish(&self, fd: BorrowedFd<'_>, mut first: Option<nix::Result<usize>>) -> io::Result<()> {
        write_whole(self.len(), |rest| match first.take() {
            Some(answer) => answer,
            None => {
                let offset = offset_of(self.page).cast_signed() + rest.start as i64;
                pwritev(fd, &self.from(rest.start), offset)
            }
        })
    }
}

/// Writes to a file that are under way. The descriptor is not closed before they are over.
pub(super) struct FileWrites<'a> {
    device: &'a FileDevice,
    /// The open volume, and that closing waits: let go of in this order.
    held: Option<(Arc<Held>, ReadGuard<'a, ()>)>,
    ring: Option<Ring<WriteRequest>>,
    /// What is to be written yet.
    deferred: Vec<WriteRequest>,
    outcome: io::Result<()>,
}

impl<'a> FileWrites<'a> {
    /// None yet. They go to what is `held`, through `ring` if there is one.
    pub(super) fn new(
        device: &'a FileDevice,
        held: (Arc<Held>, ReadGuard<'a, ()>),
        ring: Option<Ring<WriteRequest>>,
    ) -> Self {
        Self { device, held: Some(held), ring, deferred: Vec::new(), outcome: Ok(()) }
    }

    /// All of them fail.
    pub(super) fn refused(device: &'a FileDevice, cause: io::Error) -> Self {
        Self { device, held: None, ring: None, deferred: Vec::new(), outcome: Err(cause) }
    }

    /// Does what is left of `request`; `answer` is that to a first write of all of it.
    fn finish(&mut self, request: &WriteRequest, answer: Option<nix::Result<usize>>) {
        let Some(held) = &self.held else { return };
        let outcome = request.finish(held.0.fd(), answer);
        if self.outcome.is_ok() {
            self.outcome = outcome;
        }
    }

    /// Waits until the ring takes another request, or has none left if it is broken.
    fn make_room(&mut self) {
        while let Some(ring) = &mut self.ring
            && !ring.has_room()
            && let Some((request, answer)) = ring.wait_for_one()
        {
            self.finish(&request, Some(answer));
        }
    }

    fn write_deferred(&mut self) {
        let mut deferred = std::mem::take(&mut self.deferred);
        deferred.sort_by_key(|request| request.page);
        let mut deferred = deferred.into_iter().peekable();
        while let Some(first) = deferred.next() {
            let (page, mut end, mut parts) = (first.page, first.end(), first.parts);
            while let Some(next) = deferred.next_if(|next| next.page == end) {
                end = next.end();
                parts.extend(next.parts);
            }
            self.finish(&WriteRequest::new(page, parts), None);
        }
    }
}

impl DeviceWrites for FileWrites<'_> {
    fn push(&mut self, page: PageNo, parts: Vec<Part>) {
        let request = WriteRequest::new(page, parts);
        // One failure is enough.
        if self.outcome.is_err() {
            return;
        }
        // The file would grow behind `len_pages`.
        if !self.device.has(page, request.len()) {
            self.outcome = Err(io::Error::new(io::ErrorKind::InvalidInput, "no such page"));
            return;
        }
        self.make_room();
        if let Some(ring) = self.ring.as_mut().filter(|ring| ring.has_room()) {
            ring.push(request);
            return ring.submit(0);
        }
        let waiting: usize = self.deferred.iter().map(WriteRequest::len).sum();
        if waiting + request.len() > MAX_DEFERRED_BYTES {
            self.write_deferred();
        }
        self.deferred.push(request);
    }

    fn wait(&mut self) -> io::Result<()> {
        while let Some((request, answer)) = self.ring.as_mut().and_then(Ring::wait_for_one) {
            self.finish(&request, Some(answer));
        }
        self.write_deferred();
        std::mem::replace(&mut self.outcome, Ok(()))
    }
}

impl Drop for FileWrites<'_> {
    fn drop(&mut self) {
        // Who has not asked does not want to know.
        let _ = self.wait();
        if let Some(ring) = self.ring.take() {
            self.device.keep_ring(ring);
        }
    }
}
