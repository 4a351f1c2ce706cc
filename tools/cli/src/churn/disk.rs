//! What the kernel counts of the disk under a volume.

use nix::sys::stat::{major, minor};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes of a sector, whatever the disk's own are.
const SECTOR_BYTES: u64 = 512;
/// Which field has the sectors written.
const SECTORS_WRITTEN: usize = 6;

/// Counters of a disk.
#[derive(Debug)]
pub(super) struct Disk {
    stat: PathBuf,
}

impl Disk {
    /// The disk that the file at `path` is on.
    pub(super) fn under(path: &Path) -> std::io::Result<Self> {
        let device = fs::metadata(path)?.dev();
        let stat = format!("/sys/dev/block/{}:{}/stat", major(device), minor(device));
        Ok(Self { stat: stat.into() })
    }

    /// Bytes that all of the machine has written to it; 0 where nobody counts, as on file systems
    /// that are on several disks or none.
    pub(super) fn written_bytes(&self) -> u64 {
        let stat = fs::read_to_string(&self.stat);
        stat.ok().and_then(|stat| parse(&stat)).unwrap_or(0)
    }
}

fn parse(stat: &str) -> Option<u64> {
    let sectors: u64 = stat.split_whitespace().nth(SECTORS_WRITTEN)?.parse().ok()?;
    Some(sectors * SECTOR_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_written_are_the_seventh_field() {
        let stat = "  3145  1110  231552  2024  5113  2110  1000 13  0  2048  16211 0 0 0 0 7 1\n";
        assert_eq!(parse(stat), Some(512_000));
        assert_eq!(parse("1 2 3"), None);
        assert_eq!(parse(""), None);
    }
}
