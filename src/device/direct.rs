//! Going past the page cache, where that can be done.

use crate::format::ids::PAGE_BYTES;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::uio::pread;
use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Whether a volume is read and written past the page cache (O_DIRECT).
///
/// Default: [`Preferred`](Self::Preferred).
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("data.vol");
/// use extentdb::{DirectIo, DirectState, Error, Options};
///
/// let options = Options::new().volume_bytes(1 << 20).direct_io(DirectIo::Required);
/// match options.open(&path) {
///     Ok(db) => assert_eq!(db.info().device.direct, DirectState::Active),
///     Err(Error::Unsupported { what }) => eprintln!("{what}"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DirectIo {
    /// Fail with [`Error::Unsupported`](crate::Error::Unsupported) where it cannot be done.
    Required,
    /// Use the page cache where it cannot be done; [`DirectState`] then says why.
    #[default]
    Preferred,
    /// Use the page cache.
    Off,
}

/// What became of [`DirectIo`].
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// use extentdb::DirectState;
///
/// if let DirectState::Unavailable { why } = db.info().device.direct {
///     eprintln!("transfers go through the page cache: {why}");
/// }
/// assert_eq!(DirectState::Active.to_string(), "active");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectState {
    /// Transfers bypass the page cache.
    Active,
    /// Transfers go through the page cache, since direct ones cannot be done here.
    Unavailable {
        /// What stands against them.
        why: String,
    },
    /// Transfers go through the page cache, as was asked for.
    Off,
}

impl fmt::Display for DirectState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => f.write_str("active"),
            Self::Unavailable { why } => write!(f, "unavailable: {why}"),
            Self::Off => f.write_str("off"),
        }
    }
}

/// What direct transfers must be aligned to, in bytes. Zeros: there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alignment {
    pub(super) memory: u32,
    pub(super) offset: u32,
}

impl Alignment {
    /// What the kernel says about an open file, if it does (6.1 and newer, some filesystems).
    pub(super) fn of(fd: BorrowedFd<'_>) -> Option<Self> {
        let mut answer = MaybeUninit::<libc::statx>::zeroed();
        let (flags, mask) = (libc::AT_EMPTY_PATH, libc::STATX_DIOALIGN);
        // SAFETY: the path is an empty C string, and `answer` has room for the answer.
        let outcome =
            unsafe { libc::statx(fd.as_raw_fd(), c"".as_ptr(), flags, mask, answer.as_mut_ptr()) };
        // SAFETY: it was zeroed, which is a valid `statx`, and perhaps filled since.
        let answer = unsafe { answer.assume_init() };
        let is_known = outcome == 0 && answer.stx_mask & mask != 0;
        let (memory, offset) = (answer.stx_dio_mem_align, answer.stx_dio_offset_align);
        is_known.then_some(Self { memory, offset })
    }

    /// Why pages cannot be transferred directly, if they cannot.
    fn objection(self) -> Option<String> {
        let Self { memory, offset } = self;
        let suits = |bytes: u32| bytes != 0 && (PAGE_BYTES as u32).is_multiple_of(bytes);
        if memory == 0 || offset == 0 {
            Some("the filesystem offers none for this file".to_owned())
        } else if !suits(memory) || !suits(offset) {
            Some(format!("it needs alignment to {} bytes, pages have 4096", memory.max(offset)))
        } else {
            None
        }
    }
}

/// Makes transfers on `fd`, a volume of `bytes` bytes, direct; or leaves them as they are and
/// says why.
pub(super) fn enable(
    fd: BorrowedFd<'_>,
    alignment: Option<Alignment>,
    bytes: u64,
) -> Result<(), String> {
    if let Some(objection) = alignment.and_then(Alignment::objection) {
        return Err(objection);
    }
    set_direct(fd, true).map_err(|cause| format!("the filesystem refuses O_DIRECT: {cause}"))?;
    if alignment.is_some() || bytes < PAGE_BYTES as u64 {
        return Ok(());
    }
    try_read(fd).or_else(|cause| {
        set_direct(fd, false).map_err(|cause| format!("O_DIRECT cannot be undone: {cause}"))?;
        Err(format!("a direct read failed: {cause}"))
    })
}

/// On the open descriptor, so that the lock and the identity are those of the one file; and
/// because opening a new file with a refused O_DIRECT creates it all the same.
fn set_direct(fd: BorrowedFd<'_>, direct: bool) -> nix::Result<()> {
    let mut flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_DIRECT, direct);
    fcntl(fd, FcntlArg::F_SETFL(flags)).map(drop)
}

fn try_read(fd: BorrowedFd<'_>) -> Result<(), String> {
    let mut page = super::AlignedBuf::new(PAGE_BYTES).map_err(|cause| cause.to_string())?;
    loop {
        match pread(fd, &mut page, 0) {
            Err(Errno::EINTR) => {}
            // Other errors are the device's, and not for O_DIRECT to answer for.
            Err(cause @ (Errno::EINVAL | Errno::EOPNOTSUPP)) => return Err(cause.to_string()),
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn alignments_that_pages_do_not_meet_are_objected_to() {
        let objection = |memory, offset| Alignment { memory, offset }.objection();
        assert_eq!(objection(4, 512), None);
        assert_eq!(objection(4096, 4096), None);
        assert!(objection(0, 0).unwrap().contains("none"));
        assert!(objection(512, 16384).unwrap().contains("16384"));
    }

    fn is_direct(fd: BorrowedFd<'_>) -> bool {
        OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).unwrap()).contains(OFlag::O_DIRECT)
    }

    #[test]
    fn a_file_that_objects_stays_as_it_was() {
        let file = tempfile::tempfile().unwrap();
        let none = Some(Alignment { memory: 0, offset: 0 });
        enable(file.as_fd(), none, 0).unwrap_err();
        assert!(!is_direct(file.as_fd()));
    }

    #[test]
    fn o_direct_comes_and_goes() {
        let file = tempfile::tempfile().unwrap();
        if set_direct(file.as_fd(), true).is_ok() {
            assert!(is_direct(file.as_fd()));
            set_direct(file.as_fd(), false).unwrap();
        }
        assert!(!is_direct(file.as_fd()));
    }

    #[test]
    fn an_unknown_alignment_is_tried_out() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        assert_eq!(enable(file.as_fd(), None, 4096).is_ok(), is_direct(file.as_fd()));
    }
}
