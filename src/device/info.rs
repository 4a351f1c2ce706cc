//! What is known about the device under a volume.

use super::direct::{Alignment, DirectState};
use super::file::Kind;
use super::uring::IoUringState;
use nix::sys::statfs::fstatfs;
use std::fmt;
use std::fs::{self, Metadata};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What is known about the device under a volume. Prints as one line per fact; what could not be
/// found out is `None`.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("data.vol");
/// let db = extentdb::Options::new().volume_bytes(1 << 20).open(&path)?;
/// let device = db.info().device;
/// assert!(!device.is_block_device && device.filesystem.is_some());
/// assert_eq!(device.sync_method, "fdatasync");
/// println!("{device}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// The path it was opened by.
    pub path: PathBuf,
    /// Whether it is a block device rather than a file.
    pub is_block_device: bool,
    /// Whether transfers bypass the page cache.
    pub direct: DirectState,
    /// Whether reads that are issued together go through io_uring.
    pub io_uring: IoUringState,
    /// What memory must be aligned to for direct transfers, in bytes.
    pub memory_alignment: Option<u32>,
    /// What offsets and lengths must be aligned to for direct transfers, in bytes.
    pub offset_alignment: Option<u32>,
    /// Smallest unit that the disk addresses, in bytes.
    pub logical_block: Option<u32>,
    /// Smallest unit that the disk writes without reading first, in bytes.
    pub physical_block: Option<u32>,
    /// The filesystem's type, a number in hexadecimal if it has no well-known name; `None` for
    /// block devices.
    pub filesystem: Option<String>,
    /// The kernel's name of the disk that the bytes are on.
    pub disk: Option<String>,
    /// What the disk does with writes.
    pub write_cache: Option<WriteCache>,
    /// Whether the disk can make a single write durable (forced unit access).
    pub fua: Option<bool>,
    /// The system call that makes writes durable.
    pub sync_method: &'static str,
}

/// What a disk does with writes, as the kernel sees it.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// use extentdb::WriteCache;
///
/// if db.info().device.write_cache == Some(WriteCache::Through) {
///     println!("writes are durable once they are done");
/// }
/// assert_eq!(WriteCache::Back.to_string(), "write back");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriteCache {
    /// It keeps them in volatile memory until it is told to flush.
    Back,
    /// They are durable once they are done.
    Through,
}

impl fmt::Display for WriteCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Back => "write back",
            Self::Through => "write through",
        })
    }
}

/// What was opened, for [`DeviceInfo::gather`].
pub(super) struct Subject<'a> {
    pub(super) path: &'a Path,
    pub(super) fd: BorrowedFd<'a>,
    pub(super) meta: &'a Metadata,
    pub(super) kind: Kind,
    pub(super) direct: DirectState,
    pub(super) alignment: Option<Alignment>,
}

impl DeviceInfo {
    /// A device that is not there.
    #[cfg(test)]
    pub(crate) fn simulated(is_block_device: bool) -> Self {
        Self {
            path: PathBuf::from("simulated"),
            is_block_device,
            direct: DirectState::Off,
            io_uring: IoUringState::Off,
            memory_alignment: None,
            offset_alignment: None,
            logical_block: None,
            physical_block: None,
            filesystem: None,
            disk: None,
            write_cache: None,
            fua: None,
            sync_method: "none",
        }
    }

    pub(super) fn gather(subject: Subject<'_>) -> Self {
        let Subject { path, fd, meta, kind, direct, alignment } = subject;
        let (number, filesystem) = match kind {
            Kind::File => (meta.dev(), filesystem_of(fd)),
            Kind::BlockDevice => (meta.rdev(), None),
        };
        let disk = Disk::by_number(number);
        let disk = disk.as_ref();
        Self {
            path: path.to_owned(),
            is_block_device: kind == Kind::BlockDevice,
            direct,
            io_uring: IoUringState::Off,
            memory_alignment: alignment.map(|a| a.memory).filter(|&bytes| bytes != 0),
            offset_alignment: alignment.map(|a| a.offset).filter(|&bytes| bytes != 0),
            logical_block: disk.and_then(|d| d.number("logical_block_size")),
            physical_block: disk.and_then(|d| d.number("physical_block_size")),
            filesystem,
            disk: disk.and_then(Disk::name),
            write_cache: disk.and_then(Disk::write_cache),
            fua: disk.and_then(|d| d.number::<u8>("fua")).map(|fua| fua != 0),
            sync_method: "fdatasync",
        }
    }
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_block_device { "block device" } else { "file" };
        line(f, "path", Some(self.path.display()))?;
        line(f, "kind", Some(kind))?;
        line(f, "filesystem", self.filesystem.as_ref())?;
        line(f, "direct I/O", Some(&self.direct))?;
        line(f, "io_uring", Some(&self.io_uring))?;
        line(f, "memory alignment", self.memory_alignment)?;
        line(f, "offset alignment", self.offset_alignment)?;
        line(f, "disk", self.disk.as_ref())?;
        line(f, "logical block", self.logical_block)?;
        line(f, "physical block", self.physical_block)?;
        line(f, "write cache", self.write_cache)?;
        line(f, "fua", self.fua.map(|fua| if fua { "yes" } else { "no" }))?;
        write!(f, "{:<18}{}", "sync method", self.sync_method)
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, fact: Option<impl fmt::Display>) -> fmt::Result {
    match fact {
        Some(fact) => writeln!(f, "{name:<18}{fact}"),
        None => writeln!(f, "{name:<18}unknown"),
    }
}

fn filesystem_of(fd: BorrowedFd<'_>) -> Option<String> {
    let magic = fstatfs(fd).ok()?.filesystem_type().0 as u64 & 0xFFFF_FFFF;
    Some(match magic {
        0xEF53 => "ext4".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        0x9123_683E => "btrfs".to_owned(),
        0x0102_1994 => "tmpfs".to_owned(),
        other => format!("{other:#x}"),
    })
}

/// A whole disk in sysfs.
struct Disk(PathBuf);

impl Disk {
    fn by_number(number: u64) -> Option<Self> {
        let (major, minor) = (libc::major(number), libc::minor(number));
        let found = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
        // Only the disk that a partition lies on has a queue.
        let is_partition = found.join("partition").exists();
        if is_partition {
            found.parent().map(|disk| Self(disk.to_owned()))
        } else {
            Some(Self(found))
        }
    }

    fn name(&self) -> Option<String> {
        self.0.file_name().map(|name| name.to_string_lossy().into_owned())
    }

    fn fact(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.0.join("queue").join(name)).ok()?;
        Some(text.trim().to_owned())
    }

    fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.fact(name)?.parse().ok()
    }

    fn write_cache(&self) -> Option<WriteCache> {
        match self.fact("write_cache")?.as_str() {
            "write back" => Some(WriteCache::Back),
            "write through" => Some(WriteCache::Through),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(facts: &[(&str, &str)]) -> (tempfile::TempDir, Disk) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("queue")).unwrap();
        for (name, text) in facts {
            fs::write(dir.path().join("queue").join(name), text).unwrap();
        }
        let disk = Disk(dir.path().to_owned());
        (dir, disk)
    }

    #[test]
    fn a_disks_facts_are_read() {
        let facts =
            [("write_cache", "write back\n"), ("fua", "1\n"), ("logical_block_size", "512\n")];
        let (_dir, disk) = disk(&facts);
        assert_eq!(disk.write_cache(), Some(WriteCache::Back));
        assert_eq!(disk.number("fua"), Some(1u8));
        assert_eq!(disk.number("logical_block_size"), Some(512u32));
    }

    #[test]
    fn odd_or_missing_facts_are_unknown() {
        let (_dir, disk) = disk(&[("write_cache", "write sideways\n"), ("fua", "?\n")]);
        assert_eq!(disk.write_cache(), None);
        assert_eq!(disk.number::<u8>("fua"), None);
        assert_eq!(disk.number::<u32>("physical_block_size"), None);
        assert!(Disk::by_number(u64::MAX).is_none());
    }

    #[test]
    fn it_prints_as_aligned_lines() {
        let info = DeviceInfo {
            path: "/data/volume".into(),
            is_block_device: false,
            direct: DirectState::Unavailable { why: "no".to_owned() },
            io_uring: IoUringState::Active,
            memory_alignment: Some(4),
            offset_alignment: Some(512),
            logical_block: Some(512),
            physical_block: None,
            filesystem: Some("ext4".to_owned()),
            disk: Some("nvme0n1".to_owned()),
            write_cache: Some(WriteCache::Through),
            fua: Some(true),
            sync_method: "fdatasync",
        };
        let printed = info.to_string();
        assert_eq!(printed.lines().count(), 13);
        assert!(printed.contains("direct I/O        unavailable: no\n"), "{printed}");
        assert!(printed.contains("io_uring          active\n"), "{printed}");
        assert!(printed.contains("physical block    unknown\n"), "{printed}");
        assert!(printed.ends_with("sync method       fdatasync"), "{printed}");
    }
}
