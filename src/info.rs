//! What an open volume is and how it is used.

use crate::device::DeviceInfo;
use crate::format::ids::PAGE_BYTES;
use crate::format::superblock::{FORMAT_VERSION, Superblock};
use crate::options::Options;
use std::fmt;

/// What `db.info()` shows: the device, and how the store uses it.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("data.vol");
/// let options = extentdb::Options::new().volume_bytes(1 << 20).large_min(1000);
/// let info = options.open(&path)?.info();
/// assert_eq!((info.volume_bytes, info.max_bytes, info.fixed), (1 << 20, 1 << 20, true));
/// assert!(info.to_string().contains("large values from    1001 bytes"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Info {
    /// The device: alignment, write cache, state of direct I/O, sync method.
    pub device: DeviceInfo,
    /// Identity of the volume, given at creation.
    pub store_id: u64,
    /// Version of the on-disk format.
    pub format_version: u32,
    /// Size of an extent in bytes.
    pub extent_bytes: u64,
    /// Size of the volume in bytes.
    pub volume_bytes: u64,
    /// Bytes to which it may grow.
    pub max_bytes: u64,
    /// Whether it never grows.
    pub fixed: bool,
    /// Longest value, in bytes, that is logged beside its key.
    pub large_min: u32,
    /// Bytes of values that may be kept in memory.
    pub cache_bytes: usize,
    /// Commit batches that may be on their way at once.
    pub pipeline_depth: usize,
    /// Whether blocks of free extents are given back.
    pub discard: Discard,
}

/// Whether blocks of free extents are given back (see [`Options::discard`]).
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// assert_eq!(db.info().discard, extentdb::Discard::Off);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Discard {
    /// They are not.
    Off,
    /// They are, as far as is known.
    On,
    /// It was tried, and the file system or the device does not take them.
    Unsupported,
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Unsupported => "not supported here",
        })
    }
}

impl Info {
    pub(crate) fn new(
        device: DeviceInfo,
        superblock: &Superblock,
        options: &Options,
        len_pages: u64,
        discard: Discard,
    ) -> Self {
        let page = PAGE_BYTES as u64;
        Self {
            device,
            store_id: superblock.store.0,
            format_version: FORMAT_VERSION,
            extent_bytes: u64::from(superblock.extent_pages) * page,
            volume_bytes: len_pages * page,
            max_bytes: superblock.max_pages * page,
            fixed: superblock.fixed,
            large_min: options.large_min,
            cache_bytes: options.cache_bytes,
            pipeline_depth: options.pipeline_depth,
            discard,
        }
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "store id             {:016x}", self.store_id)?;
        writeln!(f, "format version       {}", self.format_version)?;
        writeln!(f, "extent bytes         {}", self.extent_bytes)?;
        writeln!(f, "volume bytes         {}", self.volume_bytes)?;
        let growth = if self.fixed { " (fixed)" } else { "" };
        writeln!(f, "max bytes            {}{growth}", self.max_bytes)?;
        writeln!(f, "large values from    {} bytes", u64::from(self.large_min) + 1)?;
        writeln!(f, "cache bytes          {}", self.cache_bytes)?;
        writeln!(f, "pipeline depth       {}", self.pipeline_depth)?;
        writeln!(f, "discard              {}", self.discard)?;
        write!(f, "{}", self.device)
    }
}
