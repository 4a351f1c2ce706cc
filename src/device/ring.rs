//! Transfers that are issued together, through io_uring.
//!
//! A ring is taken from the device's pool for a call and goes back idle, so that no thread owns
//! one, and threads that end leave none behind. The ring owns the buffers of the transfers that are
//! under way: the kernel uses them whatever becomes of the call, so they are not let go of
//! before it says that it is done.

use super::{ReadDone, ReadRequest};
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::sync::{self, Mutex};
use io_uring::{IoUring, Probe, opcode, squeue, types};
use nix::errno::Errno;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Idle rings that are kept: as many as threads that read at once, as a rule.
const MAX_IDLE: usize = 32;

/// Reads that go to the kernel together: the device begins while the next ones are prepared.
const SUBMIT_AT_ONCE: usize = 8;

/// The one file that a ring transfers from or to.
pub(super) const FILE: types::Fixed = types::Fixed(0);

/// Most bytes that a read asks for at first; `transfer` goes on from there.
const MAX_READ_BYTES: usize = 1 << 30;

/// What a ring can do.
///
/// # Safety
/// What `entry` refers to is owned by the request, does not move with it, and may be used by the kernel
/// for as long as the request exists.
pub(super) unsafe trait Request {
    /// Most that are under way in one ring.
    const IN_FLIGHT: usize;
    /// What the kernel must support.
    const CODE: u8;

    /// What the kernel is asked.
    fn entry(&mut self) -> squeue::Entry;
}

// SAFETY: the pages are the buffer's, which the request owns, and not within it.
unsafe impl Request for ReadRequest {
    const IN_FLIGHT: usize = super::READS_IN_FLIGHT;
    const CODE: u8 = opcode::Read::CODE;

    fn entry(&mut self) -> squeue::Entry {
        let pages = self.buf.as_pages_mut();
        let len = pages.len().min(MAX_READ_BYTES) as u32;
        opcode::Read::new(FILE, pages.as_mut_ptr(), len).offset(offset_of(self.page)).build()
    }
}

/// As the kernel has it, which refuses what is beyond every file.
pub(super) fn offset_of(page: PageNo) -> u64 {
    page.0.saturating_mul(PAGE_BYTES as u64).min(i64::MAX as u64)
}

/// Idle rings of one device.
pub(super) struct Rings<R: Request> {
    idle: Mutex<Vec<Ring<R>>>,
}

/// A ring, and what it has under way.
pub(super) struct Ring<R: Request> {
    uring: IoUring,
    /// By the number that the kernel knows a request by. `None`: none has it.
    requests: Vec<Option<R>>,
    /// Numbers that no request has.
    free: Vec<usize>,
    /// Numbers of requests that the kernel may not have taken yet, in order.
    pushed: VecDeque<usize>,
    /// The kernel refused something: to be thrown away.
    is_broken: bool,
}

impl<R: Request> Rings<R> {
    /// Tries io_uring on `fd`, or says what stands against it.
    pub(super) fn probe(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let ring = Ring::new(fd)?;
        let mut idle = Vec::with_capacity(MAX_IDLE);
        idle.push(ring);
        Ok(Self { idle: Mutex::new(idle) })
    }

    /// An idle ring, if there is one to be had: not where descriptors or memory are out.
    pub(super) fn take(&self, fd: BorrowedFd<'_>) -> Option<Ring<R>> {
        let idle = self.idle.lock().pop();
        idle.or_else(|| Ring::new(fd).ok())
    }

    /// Takes back a ring that has nothing under way.
    pub(super) fn give_back(&self, ring: Ring<R>) {
        assert_eq!(ring.in_flight(), 0, "an idle ring");
        let mut idle = self.idle.lock();
        if !ring.is_broken && idle.len() < MAX_IDLE {
            idle.push(ring);
        }
    }

    /// Lets go of the file.
    pub(super) fn close(&self) {
        for ring in self.idle.lock().drain(..) {
            // The kernel takes its time to undo a ring. Where it does not do even this, so be it.
            let _ = ring.uring.submitter().unregister_files();
        }
    }
}

impl Rings<ReadRequest> {
    /// Does all `requests`, finishing by `finish` what came back from the kernel. Hands the rest
    /// back where there is no ring to be had.
    pub(super) fn read_many(
        &self,
        fd: BorrowedFd<'_>,
        requests: &mut dyn Iterator<Item = ReadRequest>,
        done: &mut ReadDone<'_, io::Error>,
        finish: impl Fn(&mut ReadRequest, nix::Result<usize>) -> io::Result<()>,
    ) {
        let Some(mut ring) = self.take(fd) else {
            return requests.for_each(|mut request| {
                let outcome = finish(&mut request, Err(Errno::EINTR));
                done(request, outcome);
            });
        };
        ring.read_many(requests, done, finish);
        self.give_back(ring);
    }
}

impl<R: Request> fmt::Debug for Rings<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rings").field("idle", &self.idle.lock().len()).finish()
    }
}

impl<R: Request> Ring<R> {
    fn new(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let entries = R::IN_FLIGHT as u32;
        // Completions wait for the thread that wants them rather than interrupt it (since 5.19).
        let uring = IoUring::builder()
            .setup_coop_taskrun()
            .build(entries)
            .or_else(|_| IoUring::builder().build(entries))?;
        let mut probe = Probe::new();
        uring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(R::CODE) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the kernel is too old"));
        }
        uring.submitter().register_files(&[fd.as_raw_fd()])?;
        Ok(Self {
            uring,
            requests: (0..R::IN_FLIGHT).map(|_| None).collect(),
            free: (0..R::IN_FLIGHT).rev().collect(),
            pushed: VecDeque::with_capacity(R::IN_FLIGHT),
            is_broken: false,
        })
    }

    pub(super) fn in_flight(&self) -> usize {
        R::IN_FLIGHT - self.free.len()
    }

    /// Whether it takes another request.
    pub(super) fn has_room(&self) -> bool {
        !self.is_broken && !self.free.is_empty()
    }

    /// Queues a request: the caller has seen that there is [room](Self::has_room).
    pub(super) fn push(&mut self, mut request: R) {
        let number = self.free.pop().expect("a number that no request has");
        let entry = request.entry().user_data(number as u64);
        self.requests[number] = Some(request);
        self.pushed.push_back(number);
        // SAFETY: the request is the ring's own from here on, and `next_done`, which gives it back,
        // does so only when the kernel has answered; dropping the ring waits for that. What it refers
        // to is the request's own and stays where it is (see `Request`).
        let pushed = unsafe { self.uring.submission().push(&entry) };
        assert!(pushed.is_ok(), "the queue has room for every number");
    }

    /// Waits until a request is over, handing what is queued to the kernel; returns it, with what the
    /// kernel said. `None`: nothing is under way.
    pub(super) fn wait_for_one(&mut self) -> Option<(R, nix::Result<usize>)> {
        loop {
            if let Some(done) = self.next_done() {
                return Some(done);
            }
            if self.in_flight() == 0 {
                return None;
            }
            self.advance(1);
        }
    }

    /// Waits until `wanted` requests are done, or some are.
    fn advance(&mut self, wanted: usize) {
        if self.is_broken {
            self.wait();
        } else {
            self.submit(wanted);
        }
    }

    /// Hands what is queued to the kernel, and waits until `wanted` requests are done.
    pub(super) fn submit(&mut self, wanted: usize) {
        match self.uring.submit_and_wait(wanted) {
            Ok(_) => {}
            Err(cause) if cause.raw_os_error() == Some(libc::EINTR) => {}
            Err(_) => self.is_broken = true,
        }
        self.note_taken();
    }

    /// Forgets of what was queued that the kernel has taken it.
    fn note_taken(&mut self) {
        let left = self.uring.submission().len();
        self.pushed.drain(..self.pushed.len() - left);
    }

    /// Waits for an answer, if the kernel has a request, submitting nothing.
    fn wait(&self) {
        const GETEVENTS: u32 = 1;
        if self.in_flight() == self.pushed.len() {
            return;
        }
        // SAFETY: no argument is passed, and nothing is submitted.
        let waited = unsafe { self.uring.submitter().enter::<()>(0, 1, GETEVENTS, None) };
        if waited.is_err() {
            // Answers come all the same.
            sync::yield_now();
        }
    }

    /// A request that is over, and what the kernel said of it.
    pub(super) fn next_done(&mut self) -> Option<(R, nix::Result<usize>)> {
        let answer = self.uring.completion().next();
        let (number, answer) = match answer {
            Some(answer) => (answer.user_data() as usize, answer_of(answer.result())),
            // The kernel never got it.
            None if self.is_broken => (self.pushed.pop_front()?, Err(Errno::EINTR)),
            None => return None,
        };
        self.free.push(number);
        let request = self.requests[number].take();
        Some((request.expect("a number is that of one request"), answer))
    }
}

impl Ring<ReadRequest> {
    fn read_many(
        &mut self,
        requests: &mut dyn Iterator<Item = ReadRequest>,
        done: &mut ReadDone<'_, io::Error>,
        finish: impl Fn(&mut ReadRequest, nix::Result<usize>) -> io::Result<()>,
    ) {
        let mut requests = requests.fuse();
        loop {
            while self.has_room()
                && let Some(request) = requests.next()
            {
                self.push(request);
                if self.pushed.len() >= SUBMIT_AT_ONCE {
                    self.submit(0);
                }
            }
            if self.in_flight() == 0 {
                break;
            }
            // For half of them: those that are done are verified while the others go on, and the
            // thread does not wake for each.
            self.advance((self.in_flight() / 2).max(1));
            while let Some((mut request, answer)) = self.next_done() {
                let outcome = finish(&mut request, answer);
                done(request, outcome);
            }
        }
        // Only what a broken ring has left.
        for mut request in requests {
            let outcome = finish(&mut request, Err(Errno::EINTR));
            done(request, outcome);
        }
    }
}

/// The kernel's answer, as `pread` or `pwrite` would give it.
fn answer_of(result: i32) -> nix::Result<usize> {
    match usize::try_from(result) {
        Ok(bytes) => Ok(bytes),
        // Not answers of the device: asked for again.
        Err(_) if matches!(-result, libc::EAGAIN | libc::ECANCELED) => Err(Errno::EINTR),
        Err(_) => Err(Errno::from_raw(-result)),
    }
}

impl<R: Request> Drop for Ring<R> {
    /// Waits for what is under way, as where a call that waits for them panics.
    fn drop(&mut self) {
        if self.in_flight() == 0 {
            return;
        }
        self.is_broken = true;
        self.note_taken();
        while self.in_flight() > 0 {
            match self.next_done() {
                Some(_) => {}
                None => self.wait(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::AlignedBuf;
    use crate::format::ids::PageNo;
    use nix::sys::uio::pread;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    const PAGES: u64 = 200;

    /// A ring on a file in which every page is filled with its number, where there are rings.
    fn ring() -> Option<(File, Ring<ReadRequest>)> {
        let file = tempfile::tempfile().unwrap();
        for page in 0..PAGES {
            file.write_all_at(&[page as u8; PAGE_BYTES], page * PAGE_BYTES as u64).unwrap();
        }
        let ring = Ring::new(file.as_fd());
        ring.inspect_err(|why| println!("note: skipped: {why}")).ok().map(|ring| (file, ring))
    }

    fn request(tag: u64) -> ReadRequest {
        let buf = AlignedBuf::new(PAGE_BYTES).unwrap();
        ReadRequest { tag: tag as usize, page: PageNo(tag), buf }
    }

    /// Reads all that the ring has and `tags`; returns who got an answer of the kernel.
    fn read_all(
        file: &File,
        ring: &mut Ring<ReadRequest>,
        tags: std::ops::Range<u64>,
        total: usize,
    ) -> usize {
        let answered = std::cell::Cell::new(0);
        let mut done = vec![false; PAGES as usize];
        ring.read_many(
            &mut tags.map(request),
            &mut |request, outcome: io::Result<()>| {
                outcome.unwrap();
                assert!(request.buf.iter().all(|&b| b == request.tag as u8));
                assert!(!std::mem::replace(&mut done[request.tag], true), "once");
            },
            |request, answer| match answer {
                Ok(count) => {
                    assert_eq!(count, PAGE_BYTES);
                    answered.set(answered.get() + 1);
                    Ok(())
                }
                Err(cause) => {
                    assert_eq!(cause, Errno::EINTR, "asked for again");
                    let offset = (request.page.0 * PAGE_BYTES as u64) as i64;
                    assert_eq!(pread(file.as_fd(), &mut request.buf, offset)?, PAGE_BYTES);
                    Ok(())
                }
            },
        );
        assert_eq!(done.iter().filter(|&&done| done).count(), total);
        assert_eq!((ring.in_flight(), ring.pushed.len()), (0, 0));
        answered.get()
    }

    #[test]
    fn a_ring_that_works_answers_all() {
        let Some((file, mut ring)) = ring() else { return };
        assert_eq!(read_all(&file, &mut ring, 0..PAGES, PAGES as usize), PAGES as usize);
    }

    #[test]
    fn a_broken_ring_finishes_what_the_kernel_has_and_gives_back_the_rest() {
        for (taken, queued) in [(0, 0), (0, 5), (5, 0), (30, 20)] {
            let Some((file, mut ring)) = ring() else { return };
            for number in 0..taken + queued {
                if number == taken {
                    ring.submit(0);
                }
                ring.push(request(number));
            }
            if queued == 0 {
                ring.submit(0);
            }
            ring.is_broken = true;
            let first = taken + queued;
            let answered = read_all(&file, &mut ring, first..100, 100);
            assert_eq!(answered as u64, taken, "{taken} and {queued}");
        }
    }

    #[test]
    fn a_ring_is_dropped_with_reads_queued_and_under_way() {
        let Some((_file, mut ring)) = ring() else { return };
        for number in 0..20 {
            ring.push(request(number));
            if number == 10 {
                ring.submit(0);
            }
        }
        drop(ring);
    }
}
