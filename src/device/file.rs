//! The device that is a regular file or a block device.

use super::fork::ForkGuard;
use super::lock::{self, Registration};
use super::ring::{Ring, Rings};
use super::transfer::{read_whole, write_whole};
use super::writes::{FileWrites, WriteRequest};
use super::{Device, DeviceWrites, IoUring, IoUringState, ReadDone, ReadRequest, plain};
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, RwLock};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::stat::fstat;
use nix::sys::uio::{pread, pwrite};
use nix::unistd::{fdatasync, ftruncate};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The unit of `st_blocks`.
const STAT_BLOCK_BYTES: i64 = 512;

/// A regular file or block device that this process holds the lock of.
#[derive(Debug)]
pub(crate) struct FileDevice {
    held: RwLock<Option<Arc<Held>>>,
    /// Read-locked by writes that go on after the call that began them.
    under_way: RwLock<()>,
    pages: AtomicU64,
    /// Held while the file grows.
    growing: Mutex<()>,
    kind: Kind,
    /// `None`: threads do what rings would.
    rings: Option<BothRings>,
    /// A forked child must not write to its parent's volume, nor wait for locks that were held,
    /// at the fork, by threads that it does not have.
    born_in: ForkGuard,
}

/// Rings for either direction.
#[derive(Debug)]
struct BothRings {
    reads: Rings<ReadRequest>,
    writes: Rings<WriteRequest>,
}

impl BothRings {
    /// Tries io_uring on `fd`, or says what stands against it.
    fn probe(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self { reads: Rings::probe(fd)?, writes: Rings::probe(fd)? })
    }
}

/// What a volume can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    BlockDevice,
}

/// The open volume. Dropping it closes the descriptor and does not unlock it: in a forked child,
/// which shares the open file description, that would unlock it for the parent as well.
#[derive(Debug)]
pub(super) struct Held {
    /// Dropped first, so that an opener in this process that meets the lock knows to wait.
    registration: Registration,
    fd: OwnedFd,
}

impl FileDevice {
    /// A device of `bytes` bytes; what follows the last whole page is not part of it.
    pub(super) fn new(fd: OwnedFd, registration: Registration, kind: Kind, bytes: u64) -> Self {
        Self {
            held: RwLock::new(Some(Arc::new(Held { registration, fd }))),
            under_way: RwLock::new(()),
            pages: AtomicU64::new(bytes / PAGE_BYTES as u64),
            growing: Mutex::new(()),
            kind,
            rings: None,
            born_in: ForkGuard::new(),
        }
    }

    /// Has reads that are issued together go through io_uring, where it is wanted and can be had.
    pub(super) fn use_io_uring(&mut self, wanted: IoUring) -> IoUringState {
        self.rings = None;
        if wanted == IoUring::Off {
            return IoUringState::Off;
        }
        match self.with_fd(BothRings::probe) {
            Ok(rings) => {
                self.rings = Some(rings);
                IoUringState::Active
            }
            Err(cause) => IoUringState::Unavailable { why: cause.to_string() },
        }
    }

    /// Calls `body` with the descriptor, which cannot be closed meanwhile.
    fn with_fd<T>(&self, body: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>) -> io::Result<T> {
        self.with_held(|held| body(held.fd()))
    }

    fn with_held<T>(&self, body: impl FnOnce(&Arc<Held>) -> io::Result<T>) -> io::Result<T> {
        if self.born_in.is_child() {
            return Err(not_connected("the device is the parent process's"));
        }
        match &*self.held.read() {
            Some(held) => body(held),
            None => Err(not_connected("the device is closed")),
        }
    }

    /// Takes back a ring that has nothing under way.
    pub(super) fn keep_ring(&self, ring: Ring<WriteRequest>) {
        if let Some(rings) = &self.rings {
            rings.writes.give_back(ring);
        }
    }

    /// Fills `buf` from `page` on. `first` is the answer to a first read of all of it, if there was
    /// one.
    fn read_from(
        &self,
        fd: BorrowedFd<'_>,
        page: PageNo,
        buf: &mut [u8],
        mut first: Option<nix::Result<usize>>,
    ) -> io::Result<()> {
        if !self.has(page, buf.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read_whole(buf.len(), |part| match first.take() {
            Some(answer) => answer,
            None => pread(fd, &mut buf[part.clone()], offset_of(page, part.start)?),
        })
    }

    /// Whether the pages of `bytes` bytes from `page` on exist.
    pub(super) fn has(&self, page: PageNo, bytes: usize) -> bool {
        let end = page.0.checked_add((bytes / PAGE_BYTES) as u64);
        end.is_some_and(|end| end <= self.len_pages())
    }
}

impl Device for FileDevice {
    fn len_pages(&self) -> u64 {
        self.pages.load(Ordering::Acquire)
    }

    fn read(&self, page: PageNo, buf: &mut [u8]) -> io::Result<()> {
        assert_transferable(buf);
        self.with_fd(|fd| self.read_from(fd, page, buf, None))
    }

    fn read_many(
        &self,
        requests: &mut dyn Iterator<Item = ReadRequest>,
        done: &mut ReadDone<'_, io::Error>,
    ) {
        let read = |fd: BorrowedFd<'_>, request: &mut ReadRequest, first| {
            self.read_from(fd, request.page, &mut request.buf, first)
        };
        let all = self.with_fd(|fd| {
            match &self.rings {
                Some(rings) => rings.reads.read_many(fd, requests, done, |request, answer| {
                    read(fd, request, Some(answer))
                }),
                None => plain::read_many(requests, done, |request| read(fd, request, None)),
            }
            Ok(())
        });
        if all.is_err() {
            // Closed, or the parent's: so is each of them.
            for mut request in requests {
                let outcome = self.read(request.page, &mut request.buf);
                done(request, outcome);
            }
        }
    }

    fn write(&self, page: PageNo, buf: &[u8]) -> io::Result<()> {
        assert_transferable(buf);
        self.with_fd(|fd| {
            // The file would grow behind `len_pages`.
            if !self.has(page, buf.len()) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "no such page"));
            }
            write_whole(buf.len(), |part| {
                let offset = offset_of(page, part.start)?;
                pwrite(fd, &buf[part], offset)
            })
        })
    }

    fn begin_writes(&self) -> Box<dyn DeviceWrites + '_> {
        let begun = self.with_held(|held| {
            // Whoever closes takes `held` first, and then waits.
            let held = (Arc::clone(held), self.under_way.read());
            let ring = self.rings.as_ref().and_then(|rings| rings.writes.take(held.0.fd()));
            Ok(FileWrites::new(self, held, ring))
        });
        Box::new(begun.unwrap_or_else(|cause| FileWrites::refused(self, cause)))
    }

    /// Never repeated: after a failure nobody knows what the device's cache holds, and a later
    /// success would prove nothing.
    fn barrier(&self) -> io::Result<()> {
        self.with_fd(|fd| Ok(fdatasync(fd)?))
    }

    fn grow(&self, pages: u64) -> io::Result<()> {
        self.with_fd(|fd| {
            let _growing = self.growing.lock();
            let have = self.len_pages();
            if pages <= have {
                return Ok(());
            }
            match self.kind {
                Kind::File => extend(fd, have, pages)?,
                Kind::BlockDevice => return Err(io::ErrorKind::StorageFull.into()),
            }
            self.pages.store(pages, Ordering::Release);
            Ok(())
        })
    }

    fn shrink(&self, pages: u64) -> io::Result<()> {
        self.with_fd(|fd| {
            let _growing = self.growing.lock();
            if self.kind == Kind::BlockDevice || pages >= self.len_pages() {
                return Ok(());
            }
            ftruncate(fd, bytes_of(pages)?)?;
            self.pages.store(pages, Ordering::Release);
            Ok(())
        })
    }

    fn discard(&self, page: PageNo, count: u64) -> io::Result<()> {
        self.with_fd(|fd| match (count, self.kind) {
            (0, _) => Ok(()),
            (_, Kind::File) => punch(fd, page, count),
            (_, Kind::BlockDevice) => discard_blocks(fd, page, count),
        })
    }

    fn allocate(&self, page: PageNo, count: u64) -> io::Result<()> {
        self.with_fd(|fd| match self.kind {
            Kind::BlockDevice => Ok(()),
            Kind::File => {
                let (from, len) = (bytes_of(page.0)?, bytes_of(count)?);
                match allocate(fd, FallocateFlags::empty(), from, len) {
                    // So it was when the file grew.
                    Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
                    allocated => Ok(allocated?),
                }
            }
        })
    }

    fn may_have_holes(&self) -> io::Result<bool> {
        self.with_fd(|fd| {
            let stat = fstat(fd)?;
            Ok(self.kind == Kind::File && stat.st_blocks * STAT_BLOCK_BYTES < stat.st_size)
        })
    }

    /// In a forked child nothing; there the descriptor is closed with the last of the device.
    fn close(&self) {
        if self.born_in.is_child() {
            return;
        }
        let Some(held) = self.held.write().take() else { return };
        drop(self.under_way.write());
        if let Some(rings) = &self.rings {
            rings.reads.close();
            rings.writes.close();
        }
        let held = Arc::into_inner(held).expect("writes that are over have let go of it");
        drop(held.registration);
        // A forked child may have the same open file description for as long as it lives.
        lock::release(held.fd.as_fd());
    }
}

impl Held {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn not_connected(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, why)
}

/// Direct I/O takes nothing else, and buffered I/O is not to be more lenient.
fn assert_transferable(buf: &[u8]) {
    assert!(buf.len().is_multiple_of(PAGE_BYTES), "{} bytes are not whole pages", buf.len());
    assert!(buf.as_ptr().addr().is_multiple_of(PAGE_BYTES), "the memory is not page-aligned");
}

fn offset_of(page: PageNo, done: usize) -> nix::Result<libc::off_t> {
    bytes_of(page.0)?.checked_add(done as libc::off_t).ok_or(Errno::EFBIG)
}

fn bytes_of(pages: u64) -> nix::Result<libc::off_t> {
    let bytes = pages.checked_mul(PAGE_BYTES as u64).ok_or(Errno::EFBIG)?;
    libc::off_t::try_from(bytes).map_err(|_| Errno::EFBIG)
}

/// Makes a file of `have` pages one of `pages` pages.
fn extend(fd: BorrowedFd<'_>, have: u64, pages: u64) -> io::Result<()> {
    let (from, to) = (bytes_of(have)?, bytes_of(pages)?);
    let size = fstat(fd)?.st_size;
    match allocate(fd, FallocateFlags::empty(), from, to - from) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(ftruncate(fd, to.max(size))?),
        Err(cause) => {
            // What was allocated before the disk was full is not kept from others. Where even
            // this fails there is nothing more to do, and the first cause is the one to tell.
            let _ = ftruncate(fd, size);
            Err(cause.into())
        }
        Ok(()) => Ok(()),
    }
}

/// Drops a file's pages and keeps its size.
fn punch(fd: BorrowedFd<'_>, page: PageNo, count: u64) -> io::Result<()> {
    let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    Ok(allocate(fd, mode, bytes_of(page.0)?, bytes_of(count)?)?)
}

/// fallocate, which signals interrupt on some filesystems.
fn allocate(
    fd: BorrowedFd<'_>,
    mode: FallocateFlags,
    offset: libc::off_t,
    len: libc::off_t,
) -> nix::Result<()> {
    loop {
        match fallocate(fd, mode, offset, len) {
            Err(Errno::EINTR) => {}
            outcome => return outcome,
        }
    }
}

mod ioctl {
    /// BLKDISCARD of linux/fs.h, with offset and length in bytes.
    const BLKDISCARD: u64 = nix::request_code_none!(0x12, 119);
    nix::ioctl_write_ptr_bad!(
        /// Tells the device that a range holds nothing of value.
        blkdiscard,
        BLKDISCARD,
        [u64; 2]
    );
}

fn discard_blocks(fd: BorrowedFd<'_>, page: PageNo, count: u64) -> io::Result<()> {
    let [offset, len] = [bytes_of(page.0)?, bytes_of(count)?].map(|n| n.cast_unsigned());
    // SAFETY: the descriptor is open for the length of the borrow, and BLKDISCARD only reads
    // the two numbers it is given.
    let outcome = unsafe { ioctl::blkdiscard(fd.as_raw_fd(), &[offset, len]) };
    outcome?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::open::tests::{open_file, temp_dir};
    use crate::device::{AlignedBuf, DirectIo};
    use std::io::ErrorKind;

    fn device(dir: &tempfile::TempDir, pages: u64) -> FileDevice {
        let device = open_file(&dir.path().join("volume"), DirectIo::Preferred).device;
        device.grow(pages).unwrap();
        device
    }

    fn filled(pages: usize, byte: u8) -> AlignedBuf {
        AlignedBuf::from_slice(&vec![byte; pages * PAGE_BYTES]).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = temp_dir();
        let device = device(&dir, 8);
        device.write(PageNo(3), &filled(2, 7)).unwrap();
        device.barrier().unwrap();
        let mut read = filled(4, 1);
        device.read(PageNo(2), &mut read).unwrap();
        let pages: Vec<_> = read.chunks(PAGE_BYTES).map(|page| page[4095]).collect();
        assert_eq!(pages, [0, 7, 7, 0]);
    }

    #[test]
    fn a_file_grows_with_zeros_and_never_shrinks() {
        let dir = temp_dir();
        let device = device(&dir, 4);
        device.write(PageNo(3), &filled(1, 9)).unwrap();
        device.grow(100).unwrap();
        device.grow(7).unwrap();
        assert_eq!(device.len_pages(), 100);
        let file = std::fs::metadata(dir.path().join("volume")).unwrap();
        assert_eq!(file.len(), 100 * PAGE_BYTES as u64);
        assert!(std::os::unix::fs::MetadataExt::blocks(&file) >= 800, "space is allocated");
        let mut read = filled(97, 1);
        device.read(PageNo(3), &mut read).unwrap();
        assert_eq!((read[0], read[4095]), (9, 9));
        assert!(read[PAGE_BYTES..].iter().all(|&b| b == 0));
    }

    #[test]
    fn a_refused_growth_leaves_the_size_as_it_was() {
        let dir = temp_dir();
        let device = device(&dir, 4);
        for pages in [1 << 44, u64::MAX] {
            device.grow(pages).unwrap_err();
        }
        assert_eq!(device.len_pages(), 4);
        let bytes = std::fs::metadata(dir.path().join("volume")).unwrap().len();
        assert_eq!(bytes, 4 * PAGE_BYTES as u64);
    }

    #[test]
    fn pages_that_do_not_exist_are_errors() {
        let dir = temp_dir();
        let device = device(&dir, 4);
        let mut buf = filled(2, 0);
        for page in [3, 4, u64::MAX] {
            let read = device.read(PageNo(page), &mut buf).unwrap_err();
            assert_eq!(read.kind(), ErrorKind::UnexpectedEof);
            let written = device.write(PageNo(page), &buf).unwrap_err();
            assert_eq!(written.kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(device.len_pages(), 4);
    }

    #[test]
    fn a_file_cut_short_by_others_ends_where_it_ends() {
        let dir = temp_dir();
        let device = device(&dir, 4);
        let file = std::fs::File::options().write(true).open(dir.path().join("volume")).unwrap();
        for bytes in [4096, 5000, 100, 0] {
            file.set_len(bytes).unwrap();
            let read = device.read(PageNo(0), &mut filled(4, 0)).unwrap_err();
            assert_eq!(read.kind(), ErrorKind::UnexpectedEof, "{bytes}: {read}");
        }
    }

    #[test]
    fn a_file_is_cut_and_grows_again() {
        let dir = temp_dir();
        let device = device(&dir, 256);
        device.write(PageNo(0), &filled(256, 5)).unwrap();
        device.shrink(300).unwrap();
        assert_eq!(device.len_pages(), 256);
        device.shrink(9).unwrap();
        let len = || std::fs::metadata(dir.path().join("volume")).unwrap().len();
        assert_eq!((device.len_pages(), len()), (9, 9 * PAGE_BYTES as u64));
        let mut buf = filled(1, 0);
        let read = device.read(PageNo(9), &mut buf).unwrap_err();
        assert_eq!(read.kind(), ErrorKind::UnexpectedEof);
        device.grow(20).unwrap();
        assert_eq!((device.len_pages(), len()), (20, 20 * PAGE_BYTES as u64));
        for (page, byte) in [(8, 5), (9, 0), (19, 0)] {
            device.read(PageNo(page), &mut buf).unwrap();
            assert!(buf.iter().all(|&found| found == byte), "page {page}");
        }
    }

    #[test]
    fn discarded_pages_give_their_space_back_and_leave_the_others() {
        let dir = temp_dir();
        let device = device(&dir, 256);
        device.write(PageNo(0), &filled(256, 5)).unwrap();
        device.discard(PageNo(1), 254).unwrap();
        device.discard(PageNo(0), 0).unwrap();
        device.barrier().unwrap();
        let mut read = filled(256, 1);
        device.read(PageNo(0), &mut read).unwrap();
        assert_eq!((read[0], read[256 * PAGE_BYTES - 1]), (5, 5));
        assert_eq!(device.len_pages(), 256);
    }

    #[test]
    #[should_panic(expected = "not whole pages")]
    fn part_of_a_page_is_refused() {
        let dir = temp_dir();
        let _ = device(&dir, 4).read(PageNo(0), &mut filled(1, 0)[..512]);
    }

    #[test]
    #[should_panic(expected = "not page-aligned")]
    fn misaligned_memory_is_refused() {
        let dir = temp_dir();
        let _ = device(&dir, 4).write(PageNo(0), &filled(2, 0)[512..4608]);
    }

    #[test]
    fn a_closed_device_fails_every_call() {
        let dir = temp_dir();
        let device = device(&dir, 4);
        device.close();
        device.close();
        let mut buf = filled(1, 0);
        let outcomes = [
            device.read(PageNo(0), &mut buf),
            device.write(PageNo(0), &buf),
            device.barrier(),
            device.grow(1),
            device.grow(9),
            device.discard(PageNo(0), 1),
        ];
        for outcome in outcomes {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotConnected);
        }
    }

    #[test]
    fn a_forked_child_cannot_use_the_device() {
        let dir = temp_dir();
        let device = device(&dir, 4);
        let buf = filled(1, 0);
        let failed = |outcome: io::Result<()>| {
            outcome.is_err_and(|cause| cause.kind() == ErrorKind::NotConnected)
        };
        let verdict = crate::device::fork::tests::in_child(|| {
            device.close();
            u8::from(failed(device.barrier()) && failed(device.grow(9)))
        });
        assert_eq!(verdict, 1);
        device.write(PageNo(0), &buf).expect("the parent's is untouched");
    }

    #[test]
    fn closing_waits_for_transfers_and_ends_later_ones() {
        let dir = temp_dir();
        let device = device(&dir, 256);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut buf = filled(256, 0);
                    while device.read(PageNo(0), &mut buf).is_ok() {}
                    device.read(PageNo(0), &mut buf).unwrap_err()
                });
            }
            crate::sync::sleep(crate::sync::Duration::from_millis(20));
            device.close();
        });
    }
}
