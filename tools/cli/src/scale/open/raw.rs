//! As many bytes as an open reads, from the same file, without a store.

use crate::args::{Direct, ScaleArgs};
use crate::measure::drive::{Limit, drive};
use anyhow::{Context, Result};
use extentdb::AlignedBuf;
use nix::fcntl::OFlag;
use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::time::Duration;

/// Readers where there are several.
pub(super) const SEVERAL: usize = 4;
/// Bytes that are read at a time.
const CHUNK: u64 = 1 << 20;
/// Longer than any of it takes.
const EVER: Duration = Duration::from_secs(1 << 20);

/// Seconds that `threads` readers take to read `bytes` bytes from the beginning of the volume,
/// and from there again where it is shorter.
pub(super) fn read(args: &ScaleArgs, bytes: u64, threads: usize) -> Result<f64> {
    let mut options = File::options();
    options.read(true);
    if args.open.direct != Direct::Off {
        options.custom_flags(OFlag::O_DIRECT.bits());
    }
    let file = options.open(&args.volume)?;
    let slots = (file.metadata()?.len() / CHUNK).max(1);
    let limit = Limit { time: EVER, ops: bytes.div_ceil(CHUNK) };
    let sample = drive(threads, limit, |_| {
        let (file, mut buf) = (&file, AlignedBuf::new(CHUNK as usize)?);
        Ok(move |number: u64| {
            file.read_exact_at(&mut buf, number % slots * CHUNK).context("raw read")
        })
    })?;
    Ok(sample.summary(CHUNK).seconds)
}
