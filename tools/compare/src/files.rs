//! The files of a store, and the disk that they are on.

use anyhow::Result;
use nix::sys::stat::{major, minor};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes of what the kernel counts, whatever the disk's sectors are.
const SECTOR_BYTES: u64 = 512;
/// Which field has the sectors written.
const SECTORS_WRITTEN: usize = 6;

/// Bytes of disk that the files in `dir`, and in folders below it, take.
pub(crate) fn stored_bytes(dir: &Path) -> u64 {
    let mut sum = 0;
    // Files come and go while a store is open.
    let _ = each_file(dir, &mut |path| {
        sum += fs::metadata(path).map_or(0, |file| file.blocks() * SECTOR_BYTES);
        Ok(())
    });
    sum
}

/// Takes the files in `dir` out of the page cache, so that whoever reads them next pays for it.
pub(crate) fn evict(dir: &Path) -> Result<()> {
    Ok(each_file(dir, &mut |path| {
        let file = File::open(path)?;
        file.sync_all()?;
        // SAFETY: the descriptor is open, and the call touches no memory of ours.
        match unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    })?)
}

fn each_file(dir: &Path, act: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            each_file(&entry.path(), act)?;
        } else {
            act(&entry.path())?;
        }
    }
    Ok(())
}

/// Counters of a disk.
#[derive(Debug)]
pub(crate) struct Disk {
    stat: PathBuf,
}

impl Disk {
    /// The disk that the file at `path` is on.
    pub(crate) fn under(path: &Path) -> Result<Self> {
        let device = fs::metadata(path)?.dev();
        let stat = format!("/sys/dev/block/{}:{}/stat", major(device), minor(device));
        Ok(Self { stat: stat.into() })
    }

    /// Bytes that all of the machine has written to it; 0 where nobody counts, as on file systems
    /// that are on several disks or none.
    pub(crate) fn written_bytes(&self) -> u64 {
        let stat = fs::read_to_string(&self.stat);
        stat.ok().and_then(|stat| sectors_written(&stat)).unwrap_or(0) * SECTOR_BYTES
    }
}

fn sectors_written(stat: &str) -> Option<u64> {
    stat.split_whitespace().nth(SECTORS_WRITTEN)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_written_are_the_seventh_field() {
        let stat = "  3145  1110  231552  2024  5113  2110  1000 13  0  2048  16211 0 0 0 0 7 1\n";
        assert_eq!(sectors_written(stat), Some(1000));
        assert_eq!(sectors_written("1 2 3"), None);
    }
}
