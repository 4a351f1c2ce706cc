//! Opening a volume: what may be opened, locked, and how it is transferred.

use super::direct::{self, Alignment, DirectIo, DirectState};
use super::file::{FileDevice, Kind};
use super::info::{DeviceInfo, Subject};
use super::lock::{self, Target};
use super::uring::IoUring;
use crate::error::{Error, Result};
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How often the file at the path may be replaced while it is being opened.
const MAX_ATTEMPTS: usize = 16;

/// As many symbolic links as the kernel follows.
const MAX_LINKS: usize = 40;

/// An open, locked volume.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) device: FileDevice,
    /// Size when it was opened; not always whole pages where the file is not ours.
    pub(crate) len_bytes: u64,
    pub(crate) info: DeviceInfo,
}

impl Opened {
    /// Has reads that are issued together go through io_uring, where it is wanted and can be had.
    pub(crate) fn with_io_uring(mut self, wanted: IoUring) -> Self {
        self.info.io_uring = self.device.use_io_uring(wanted);
        self
    }
}

/// Opens and locks what is at `path`, or creates an empty file where nothing is and it may.
pub(crate) fn open(path: &Path, direct: DirectIo, may_create: bool) -> Result<Opened> {
    for _ in 0..MAX_ATTEMPTS {
        if let Some(opened) = attempt(path, direct, may_create)? {
            return Ok(opened);
        }
    }
    Err(open_error(path, io::Error::other("the file at this path is being replaced all the time")))
}

/// `None`: what is at the path was replaced meanwhile.
fn attempt(path: &Path, wanted: DirectIo, may_create: bool) -> Result<Option<Opened>> {
    let Some(found) = find(path, may_create)? else { return Ok(None) };
    let Found { mut file, kind, created } = found;
    let meta = file.metadata().map_err(|cause| open_error(path, cause))?;
    let registration = lock::acquire(file.as_fd(), Target { path, meta: &meta, kind })?;
    if !is_still_at(path, &meta)? {
        return Ok(None);
    }
    // Only under the lock does the size stand still.
    let len_bytes = file.seek(SeekFrom::End(0)).map_err(|cause| open_error(path, cause))?;
    let alignment = Alignment::of(file.as_fd());
    let direct =
        choose(&file, wanted, alignment, len_bytes).inspect_err(|_| remove_if(created, path))?;
    // An empty file may be one that a killed process created and did not get to sync.
    if kind == Kind::File && len_bytes == 0 && may_create {
        sync_parent(path)?;
    }
    let fd = file.as_fd();
    let info = DeviceInfo::gather(Subject { path, fd, meta: &meta, kind, direct, alignment });
    let device = FileDevice::new(OwnedFd::from(file), registration, kind, len_bytes);
    Ok(Some(Opened { device, len_bytes, info }))
}

/// An open file that is not yet ours.
struct Found {
    file: File,
    kind: Kind,
    created: bool,
}

/// `None`: it came or went meanwhile.
fn find(path: &Path, may_create: bool) -> Result<Option<Found>> {
    match fs::metadata(path) {
        Ok(meta) => open_existing(path, &meta),
        Err(cause) if cause.kind() == ErrorKind::NotFound && may_create => create(path),
        Err(cause) => Err(open_error(path, cause)),
    }
}

fn open_existing(path: &Path, meta: &Metadata) -> Result<Option<Found>> {
    let kind = kind_of(path, meta.file_type())?;
    // O_EXCL without O_CREAT claims a block device from mounts and other claimants.
    let claim = if kind == Kind::BlockDevice { libc::O_EXCL } else { 0 };
    let options = File::options().read(true).write(true).custom_flags(claim).clone();
    let outcome = Target { path, meta, kind }.patiently(|| match options.open(path) {
        Err(cause) if claim != 0 && cause.kind() == ErrorKind::ResourceBusy => None,
        outcome => Some(outcome),
    })?;
    match outcome {
        Ok(file) => still_of_kind(path, file, kind),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(open_error(path, cause)),
    }
}

fn still_of_kind(path: &Path, file: File, kind: Kind) -> Result<Option<Found>> {
    let meta = file.metadata().map_err(|cause| open_error(path, cause))?;
    let is_same = kind_of(path, meta.file_type())? == kind;
    // Linux opens a read-only device for writing, and fails the writes.
    if kind == Kind::BlockDevice && is_read_only(&meta) {
        let source = Arc::new(io::Error::from(ErrorKind::ReadOnlyFilesystem));
        return Err(Error::ReadOnly { path: Arc::new(path.to_owned()), source });
    }
    Ok(is_same.then_some(Found { file, kind, created: false }))
}

fn is_read_only(device: &Metadata) -> bool {
    let (major, minor) = (libc::major(device.rdev()), libc::minor(device.rdev()));
    fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/ro"))
        .is_ok_and(|ro| ro.trim() == "1")
}

fn create(path: &Path) -> Result<Option<Found>> {
    let target = follow(path).map_err(|cause| open_error(path, cause))?;
    match File::options().read(true).write(true).create_new(true).mode(0o644).open(target) {
        Ok(file) => Ok(Some(Found { file, kind: Kind::File, created: true })),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(cause) => Err(open_error(path, cause)),
    }
}

fn kind_of(path: &Path, file_type: FileType) -> Result<Kind> {
    let what = if file_type.is_file() {
        return Ok(Kind::File);
    } else if file_type.is_block_device() {
        return Ok(Kind::BlockDevice);
    } else if file_type.is_dir() {
        "a directory; name a file in it"
    } else if file_type.is_fifo() {
        "a named pipe; name a regular file or a block device"
    } else if file_type.is_socket() {
        "a socket; name a regular file or a block device"
    } else {
        "a character device; name a regular file or a block device"
    };
    Err(Error::NotAStore { path: Arc::new(path.to_owned()), what })
}

/// The file that `path` leads to, which need not exist: exclusive creation follows no links.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = parent_of(&path).join(target),
            Err(cause) if matches!(cause.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
                return Ok(path);
            }
            Err(cause) => return Err(cause),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether the path leads to the file that was locked, rather than to one that replaced it.
fn is_still_at(path: &Path, locked: &Metadata) -> Result<bool> {
    match fs::metadata(path) {
        Ok(now) => Ok((now.dev(), now.ino()) == (locked.dev(), locked.ino())),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(open_error(path, cause)),
    }
}

fn choose(
    file: &File,
    wanted: DirectIo,
    alignment: Option<Alignment>,
    len_bytes: u64,
) -> Result<DirectState> {
    if wanted == DirectIo::Off {
        return Ok(DirectState::Off);
    }
    match direct::enable(file.as_fd(), alignment, len_bytes) {
        Ok(()) => Ok(DirectState::Active),
        Err(why) if wanted == DirectIo::Preferred => Ok(DirectState::Unavailable { why }),
        Err(_) => Err(Error::Unsupported {
            what: "direct I/O to this volume; use DirectIo::Preferred, or another filesystem",
        }),
    }
}

/// Takes back a creation that failed. Others that have the file open wait for its lock, and then
/// find that it is no longer at the path.
fn remove_if(created: bool, path: &Path) {
    if created && let Ok(target) = follow(path) {
        // An empty file that stays is one that the next open finishes.
        let _ = fs::remove_file(target);
    }
}

/// Makes the file's name durable.
fn sync_parent(path: &Path) -> Result<()> {
    let target = follow(path).map_err(|cause| open_error(path, cause))?;
    let synced = File::open(parent_of(&target)).and_then(|directory| directory.sync_all());
    match synced {
        // The filesystem has no such operation, so nothing better can be done.
        Err(cause) if cause.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        outcome => outcome.map_err(|cause| io_error("sync the directory", path, cause)),
    }
}

fn open_error(path: &Path, cause: io::Error) -> Error {
    match cause.raw_os_error() {
        Some(libc::EACCES | libc::EPERM | libc::EROFS | libc::ETXTBSY) => {
            Error::ReadOnly { path: Arc::new(path.to_owned()), source: Arc::new(cause) }
        }
        _ => io_error("open", path, cause),
    }
}

fn io_error(op: &'static str, path: &Path, cause: io::Error) -> Error {
    Error::Io { op, page: 0, path: Arc::new(path.to_owned()), source: Arc::new(cause) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::device::{AlignedBuf, Device};
    use crate::format::ids::PageNo;
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use tempfile::{TempDir, tempdir_in};

    pub(crate) fn temp_dir() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    pub(crate) fn open_file(path: &Path, direct: DirectIo) -> Opened {
        open(path, direct, true).unwrap()
    }

    pub(crate) fn try_open(path: &Path) -> Result<Opened> {
        open(path, DirectIo::Preferred, true)
    }

    fn run(program: &str, args: &[&str]) -> Option<String> {
        let output = Command::new(program).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    #[test]
    fn an_absent_file_is_created_once() {
        let dir = temp_dir();
        let path = dir.path().join("volume");
        let first = try_open(&path).unwrap();
        assert!(!first.info.is_block_device);
        assert_eq!((first.len_bytes, first.device.len_pages()), (0, 0));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777 & !0o644, 0);
        first.device.grow(3).unwrap();
        drop(first);
        let second = try_open(&path).unwrap();
        assert_eq!((second.len_bytes, second.device.len_pages()), (12_288, 3));
    }

    #[test]
    fn an_absent_file_that_may_not_be_created_is_not_found() {
        let dir = temp_dir();
        for path in [dir.path().join("volume"), dir.path().join("no/volume")] {
            let outcome = open(&path, DirectIo::Preferred, false);
            let Err(Error::Io { op: "open", source, .. }) = outcome else { panic!("{outcome:?}") };
            assert_eq!(source.kind(), ErrorKind::NotFound);
            assert!(!path.exists());
        }
    }

    #[test]
    fn the_odd_end_of_a_foreign_file_shows() {
        let dir = temp_dir();
        let path = dir.path().join("letter");
        fs::write(&path, b"Dear Sir").unwrap();
        let opened = try_open(&path).unwrap();
        assert_eq!((opened.len_bytes, opened.device.len_pages()), (8, 0));
        drop(opened);
        assert_eq!(fs::read(&path).unwrap(), b"Dear Sir");
    }

    #[test]
    fn what_is_neither_file_nor_block_device_is_no_store() {
        let dir = temp_dir();
        let fifo = dir.path().join("fifo");
        run("mkfifo", &[fifo.to_str().unwrap()]).unwrap();
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let cases = [
            (dir.path().to_owned(), "a directory"),
            (fifo, "a named pipe"),
            (socket, "a socket"),
            ("/dev/null".into(), "a character device"),
        ];
        for (path, expected) in cases {
            let outcome = try_open(&path);
            let Err(Error::NotAStore { what, .. }) = outcome else { panic!("{outcome:?}") };
            assert!(what.starts_with(expected), "{what}");
        }
    }

    #[test]
    fn links_are_followed_to_files_that_exist_or_do_not() {
        let dir = temp_dir();
        symlink("second", dir.path().join("first")).unwrap();
        symlink("volume", dir.path().join("second")).unwrap();
        let created = try_open(&dir.path().join("first")).unwrap();
        assert!(dir.path().join("volume").is_file());
        created.device.grow(2).unwrap();
        drop(created);
        assert_eq!(try_open(&dir.path().join("first")).unwrap().len_bytes, 8192);
    }

    #[test]
    fn links_in_circles_are_an_error() {
        let dir = temp_dir();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        let outcome = try_open(&dir.path().join("a"));
        assert!(matches!(outcome, Err(Error::Io { op: "open", .. })), "{outcome:?}");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_read_only() {
        let dir = temp_dir();
        let path = dir.path().join("volume");
        fs::write(&path, b"").unwrap();
        let name = path.to_str().unwrap();
        let is_immutable = run("chattr", &["+i", name]).is_some();
        if !is_immutable {
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o444))
                .unwrap();
        }
        // Neither stops root without chattr.
        if is_immutable || File::options().write(true).open(&path).is_err() {
            let outcome = try_open(&path);
            run("chattr", &["-i", name]);
            assert!(matches!(outcome, Err(Error::ReadOnly { .. })), "{outcome:?}");
        }
    }

    fn round_trip(opened: &Opened) {
        opened.device.grow(2).unwrap();
        let written = AlignedBuf::from_slice(&[0x5A; 8192]).unwrap();
        opened.device.write(PageNo(0), &written).unwrap();
        opened.device.barrier().unwrap();
        let mut read = AlignedBuf::new(8192).unwrap();
        opened.device.read(PageNo(0), &mut read).unwrap();
        assert!(read[..] == written[..]);
    }

    #[test]
    fn every_mode_works_on_the_disk() {
        let dir = temp_dir();
        for mode in [DirectIo::Off, DirectIo::Preferred] {
            let opened = open_file(&dir.path().join("volume"), mode);
            round_trip(&opened);
            assert_eq!(mode == DirectIo::Off, opened.info.direct == DirectState::Off);
        }
    }

    #[test]
    fn without_direct_io_required_fails_and_preferred_says_why() {
        let file = tempfile::tempfile().unwrap();
        let none = Some(Alignment { memory: 0, offset: 0 });
        let required = choose(&file, DirectIo::Required, none, 0);
        assert!(matches!(required, Err(Error::Unsupported { .. })));
        let preferred = choose(&file, DirectIo::Preferred, none, 0).unwrap();
        assert!(matches!(preferred, DirectState::Unavailable { .. }));
        assert_eq!(choose(&file, DirectIo::Off, none, 0).unwrap(), DirectState::Off);
    }

    #[test]
    fn every_mode_works_or_says_why_on_tmpfs() {
        let Ok(dir) = tempdir_in("/dev/shm") else { return };
        let path = dir.path().join("volume");
        for mode in [DirectIo::Required, DirectIo::Preferred, DirectIo::Off] {
            match open(&path, mode, true) {
                Ok(opened) => {
                    assert_eq!(opened.info.filesystem.as_deref(), Some("tmpfs"));
                    round_trip(&opened);
                }
                Err(Error::Unsupported { .. }) if mode == DirectIo::Required => {
                    assert!(!path.exists(), "a creation that fails leaves nothing behind");
                }
                Err(other) => panic!("{mode:?}: {other}"),
            }
        }
    }

    /// A loop device on a file of its own, gone when dropped.
    struct Loop {
        name: String,
        _backing: TempDir,
    }

    impl Loop {
        fn new(bytes: u64) -> Option<Self> {
            let dir = temp_dir();
            let backing = dir.path().join("backing");
            File::create(&backing).unwrap().set_len(bytes).unwrap();
            let name = run("losetup", &["--find", "--show", backing.to_str()?])?;
            Some(Self { name, _backing: dir })
        }
    }

    impl Drop for Loop {
        fn drop(&mut self) {
            run("losetup", &["--detach", &self.name]);
        }
    }

    #[test]
    fn a_block_device_works_within_its_size_for_one_handle() {
        let Some(disk) = Loop::new(1 << 20) else { return };
        let path = Path::new(&disk.name);
        let opened = open(path, DirectIo::Preferred, false).unwrap();
        assert!(opened.info.is_block_device);
        assert_eq!((opened.len_bytes, opened.device.len_pages()), (1 << 20, 256));
        round_trip(&opened);
        opened.device.grow(256).unwrap();
        let refused = opened.device.grow(257).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        opened.device.shrink(9).unwrap();
        assert_eq!(opened.device.len_pages(), 256);
        opened.device.discard(PageNo(0), 256).unwrap();
        let second = open(path, DirectIo::Preferred, false);
        let own = std::process::id();
        assert!(matches!(second, Err(Error::Locked { pid: Some(pid), .. }) if pid == own));
        assert_eq!(opened.info.disk.as_deref(), path.file_name().and_then(|name| name.to_str()));
        assert_eq!(opened.info.filesystem, None);
        drop(opened);
        open(path, DirectIo::Required, false).unwrap();
    }
}
