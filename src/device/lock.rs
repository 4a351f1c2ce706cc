//! One handle to a volume at a time, in this process and among all of them.

use super::file::Kind;
use super::fork::ForkGuard;
use crate::error::{Error, Result};
use crate::seeded::{Bug, seeded};
use crate::sync::{self, Duration, Mutex};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How long to wait before each new try, 185 ms in all: a killed process's descriptor may be
/// just about to close, and so may one that a child inherited until it runs its own program.
const RETRY_AFTER_MS: [u64; 7] = [1, 4, 10, 20, 30, 50, 70];

/// The volumes that handles of this process have open. flock alone does not keep two handles
/// apart everywhere: some network filesystems lock for the whole process.
static OPEN: Mutex<BTreeSet<Entry>> = Mutex::new(BTreeSet::new());

/// What tells a volume from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    File { device: u64, inode: u64 },
    BlockDevice { number: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    identity: Identity,
    /// A forked child inherits the set, but not what its parent has open.
    generation: u64,
}

/// Keeps a volume in the set of open ones until dropped.
#[derive(Debug)]
pub(super) struct Registration {
    entry: Entry,
    born_in: ForkGuard,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // In a child the set's lock may have been held, at the fork, by a thread that is not here.
        if !self.born_in.is_child() {
            OPEN.lock().remove(&self.entry);
        }
    }
}

impl Entry {
    fn of(meta: &Metadata, kind: Kind) -> Self {
        let identity = match kind {
            Kind::File => Identity::File { device: meta.dev(), inode: meta.ino() },
            Kind::BlockDevice => Identity::BlockDevice { number: meta.rdev() },
        };
        Self { identity, generation: ForkGuard::new().generation() }
    }

    fn is_open_here(&self) -> bool {
        OPEN.lock().contains(self)
    }
}

/// Locks what `fd` has open, until `fd` is closed and the registration dropped.
pub(super) fn acquire(fd: BorrowedFd<'_>, at: Target<'_>) -> Result<Registration> {
    let outcome = at.patiently(|| match try_flock(fd) {
        Err(Errno::EWOULDBLOCK) => None,
        outcome => Some(outcome),
    })?;
    outcome.map_err(|cause| lock_error(at.path, cause))?;
    register(Entry::of(at.meta, at.kind), at)
}

fn register(entry: Entry, at: Target<'_>) -> Result<Registration> {
    let is_new = OPEN.lock().insert(entry) || seeded(Bug::SecondHandle);
    if is_new { Ok(Registration { entry, born_in: ForkGuard::new() }) } else { Err(at.locked()) }
}

fn try_flock(fd: BorrowedFd<'_>) -> nix::Result<()> {
    loop {
        // SAFETY: a system call on a descriptor that is open for the length of the borrow.
        let outcome = unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
        match Errno::result(outcome) {
            Err(Errno::EINTR) => {}
            outcome => return outcome.map(drop),
        }
    }
}

/// Unlocks what `fd` has open, for everyone who shares the open file description.
pub(super) fn release(fd: BorrowedFd<'_>) {
    // SAFETY: a system call on a descriptor that is open for the length of the borrow. It cannot
    // fail on a descriptor that was locked; if it did, closing it would unlock it.
    let _ = unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_UN) };
}

fn lock_error(path: &Path, cause: Errno) -> Error {
    let path = Arc::new(path.to_owned());
    Error::Io { op: "lock", page: 0, path, source: Arc::new(cause.into()) }
}

/// What is to be locked.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) path: &'a Path,
    pub(super) meta: &'a Metadata,
    pub(super) kind: Kind,
}

impl Target<'_> {
    /// Repeats `attempt` for a while, as long as it finds the volume taken (`None`), and not by
    /// a handle of this process.
    pub(super) fn patiently<T>(self, mut attempt: impl FnMut() -> Option<T>) -> Result<T> {
        let entry = Entry::of(self.meta, self.kind);
        for wait_ms in RETRY_AFTER_MS {
            if let Some(outcome) = attempt() {
                return Ok(outcome);
            }
            if entry.is_open_here() {
                return Err(self.locked());
            }
            sync::sleep(Duration::from_millis(wait_ms));
        }
        attempt().ok_or_else(|| self.locked())
    }

    /// The error that says who has it.
    fn locked(self) -> Error {
        let path: Arc<PathBuf> = Arc::new(self.path.to_owned());
        Error::Locked { path, pid: self.holder() }
    }

    fn holder(self) -> Option<u32> {
        if Entry::of(self.meta, self.kind).is_open_here() {
            return Some(std::process::id());
        }
        let locks = fs::read_to_string("/proc/locks").ok()?;
        holder_in(&locks, self.meta.dev(), self.meta.ino())
    }
}

/// The process that /proc/locks says has an flock on the file; 0 there is one that cannot be
/// seen from this container.
fn holder_in(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let (major, minor) = (libc::major(device), libc::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    let holder = locks.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        // One that waits for the lock has an arrow here.
        let is_flock = words.next() == Some("FLOCK");
        let pid = words.nth(2)?.parse().ok()?;
        (is_flock && words.next() == Some(&file)).then_some(pid)
    });
    holder.filter(|&pid| pid != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::fork::tests::{in_child, wait_for};
    use crate::device::open::tests::{open_file, temp_dir, try_open};
    use crate::device::{Device, DirectIo};
    use std::ffi::CString;
    use std::io::Read;
    use std::os::fd::{AsFd, FromRawFd, IntoRawFd};

    fn pid_of(outcome: Result<crate::device::Opened>) -> Option<u32> {
        match outcome {
            Err(Error::Locked { pid, .. }) => pid,
            other => panic!("expected Locked, got {other:?}"),
        }
    }

    #[test]
    fn a_second_handle_is_told_that_this_process_has_the_volume() {
        let dir = temp_dir();
        let path = dir.path().join("volume");
        let first = open_file(&path, DirectIo::Preferred);
        assert_eq!(pid_of(try_open(&path)), Some(std::process::id()));
        std::os::unix::fs::symlink(&path, dir.path().join("alias")).unwrap();
        assert_eq!(pid_of(try_open(&dir.path().join("alias"))), Some(std::process::id()));
        first.device.close();
        let second = try_open(&path).expect("closing unlocks");
        drop(second);
        try_open(&path).expect("dropping unlocks");
    }

    #[test]
    fn the_registry_keeps_handles_apart_where_flock_does_not() {
        let dir = temp_dir();
        let path = dir.path().join("volume");
        let file = fs::File::create(&path).unwrap();
        let meta = file.metadata().unwrap();
        let target = Target { path: &path, meta: &meta, kind: Kind::File };
        let held = acquire(file.as_fd(), target).unwrap();
        // The same open file description, so flock agrees.
        assert!(matches!(acquire(file.as_fd(), target), Err(Error::Locked { .. })));
        drop(held);
        acquire(file.as_fd(), target).unwrap();
    }

    /// A child that locks `path`, says so, and waits to be killed.
    fn start_holder(path: &Path) -> libc::pid_t {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        let (mut told, tell) = std::io::pipe().unwrap();
        let tell = tell.into_raw_fd();
        // SAFETY: the child makes system calls only.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            hold_in_child(&path, tell);
        }
        // SAFETY: `tell` came from `into_raw_fd` and is closed here only.
        drop(unsafe { std::os::fd::OwnedFd::from_raw_fd(tell) });
        told.read_exact(&mut [0]).expect("the child has the lock");
        pid
    }

    /// So that the volumes of tests that run meanwhile are not kept locked.
    fn close_all_but(kept: i32) {
        let kept = kept.cast_unsigned();
        for (first, last) in [(3, kept - 1), (kept + 1, u32::MAX)] {
            // SAFETY: nothing in this child uses the descriptors that it closes.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }

    fn hold_in_child(path: &CString, tell: i32) -> ! {
        close_all_but(tell);
        // SAFETY: the path is a live C string.
        let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDWR) };
        // SAFETY: a system call on a number.
        let locked = unsafe { libc::flock(fd, libc::LOCK_EX | libc::LOCK_NB) };
        if locked == 0 {
            // SAFETY: writes one live byte.
            unsafe { libc::write(tell, [1u8].as_ptr().cast(), 1) };
            // SAFETY: waits.
            unsafe { libc::pause() };
        }
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(1) }
    }

    #[test]
    fn another_process_that_has_the_volume_is_named() {
        let dir = temp_dir();
        let path = dir.path().join("volume");
        fs::write(&path, b"").unwrap();
        let holder = start_holder(&path);
        assert_eq!(pid_of(try_open(&path)), Some(holder.cast_unsigned()));
        // SAFETY: kills the child that was started here and not yet waited for.
        unsafe { libc::kill(holder, libc::SIGKILL) };
        try_open(&path).expect("a killed process's lock goes within the retries");
        assert_eq!(wait_for(holder), -libc::SIGKILL);
    }

    #[test]
    fn a_child_that_drops_its_copy_leaves_the_parents_lock() {
        let dir = temp_dir();
        let path = dir.path().join("volume");
        let mut opened = Some(open_file(&path, DirectIo::Preferred).device);
        let verdict = in_child(|| {
            drop(opened.take());
            1
        });
        assert_eq!(verdict, 1);
        let other = fs::File::open(&path).unwrap();
        assert_eq!(try_flock(other.as_fd()), Err(Errno::EWOULDBLOCK));
        assert_eq!(pid_of(try_open(&path)), Some(std::process::id()));
        opened.expect("the parent's is untouched").close();
        drop(other);
        try_open(&path).expect("the parent's closing unlocks");
    }

    #[test]
    fn a_child_that_lives_on_does_not_keep_the_volume_locked() {
        let dir = temp_dir();
        let path = dir.path().join("volume");
        let device = open_file(&path, DirectIo::Preferred).device;
        // SAFETY: the child makes one system call, and is killed.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: waits for the signal.
            unsafe { libc::pause() };
        }
        device.close();
        let reopened = try_open(&path);
        // SAFETY: kills the child that was started here and not yet waited for.
        unsafe { libc::kill(child, libc::SIGKILL) };
        assert_eq!(wait_for(child), -libc::SIGKILL);
        reopened.expect("closing unlocks, whoever inherited the descriptor");
    }

    #[test]
    fn the_kernels_list_is_understood() {
        let list = "1: POSIX  ADVISORY  WRITE 11 fe:00:42 0 EOF\n\
                    2: FLOCK  ADVISORY  WRITE 12 fe:01:42 0 EOF\n\
                    3: FLOCK  ADVISORY  WRITE 13 fe:00:42 0 EOF\n\
                    3: -> FLOCK  ADVISORY  WRITE 14 fe:00:43 0 EOF\n\
                    4: FLOCK  ADVISORY  WRITE 0 fe:00:44 0 EOF\n\
                    nonsense\n";
        let device = libc::makedev(0xfe, 0);
        assert_eq!(holder_in(list, device, 42), Some(13));
        assert_eq!(holder_in(list, device, 43), None);
        assert_eq!(holder_in(list, device, 44), None);
    }
}
