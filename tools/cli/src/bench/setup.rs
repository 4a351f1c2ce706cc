//! What a run is to be, and the volume that it works on.

use super::part::Part;
use crate::args::BenchArgs;
use crate::measure::room;
use crate::volume;
use anyhow::Result;
use extentdb::{Db, Info};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

/// Keys of the parts that begin with some, unless told otherwise.
const KEYS: u64 = 1_000_000;
const QUICK_KEYS: u64 = 20_000;
/// Bytes of a record beside its value.
const RECORD_BYTES: u64 = 64;

/// How long and how large.
#[derive(Debug)]
pub(super) struct Plan {
    /// Time that the store is measured for in each phase.
    pub(super) phase_time: Duration,
    /// Rounds of each measurement.
    pub(super) rounds: u32,
    /// Keys of the parts that begin with some.
    pub(super) keys: u64,
    /// Most that the volume may take.
    pub(super) volume_bytes: u64,
    /// Size of the scratch file.
    pub(super) scratch_bytes: u64,
}

impl Plan {
    pub(super) fn of(args: &BenchArgs) -> Self {
        let (seconds, rounds, volume_bytes, scratch_bytes) =
            if args.quick { (0.25, 1, 1 << 30, 64 << 20) } else { (2.0, 4, 3 << 30, 512 << 20) };
        Self {
            phase_time: Duration::from_secs_f64(args.seconds.unwrap_or(seconds)),
            rounds: args.rounds.map_or(rounds, u32::from),
            keys: args.keys.unwrap_or(if args.quick { QUICK_KEYS } else { KEYS }),
            volume_bytes: args.bytes.unwrap_or(volume_bytes),
            scratch_bytes,
        }
    }

    /// Most that the volume of `part` may take.
    fn volume_bytes(&self, args: &BenchArgs, part: Part) -> u64 {
        let needed = self.keys * (args.value_bytes + RECORD_BYTES) * 3;
        match args.bytes {
            None if part.is_loaded() => self.volume_bytes.max(needed),
            _ => self.volume_bytes,
        }
    }
}

/// Creates the volume of `part`, which must not exist. It never takes more than it may, and a file has no
/// name from then on unless it is kept, so nothing of it outlives the process.
pub(super) fn create(args: &BenchArgs, plan: &Plan, part: Part) -> Result<Db> {
    let is_device = is_block_device(&args.volume);
    let create_new = args.create.create_new || !is_device;
    let mut options = volume::creating(&args.create).create_new(create_new);
    if args.create.open.max_bytes.is_none() && !is_device {
        let bytes = plan.volume_bytes(args, part);
        if part.is_loaded() {
            room::check(&args.volume, bytes, "give fewer --keys, or --bytes")?;
        }
        options = options.max_bytes(bytes);
    }
    if part.is_cold() {
        options = options.cache_bytes(0);
    }
    let db = options.open(&args.volume)?;
    if !(args.keep || is_device) {
        fs::remove_file(&args.volume)?;
    }
    Ok(db)
}

pub(super) fn is_block_device(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::metadata(path).is_ok_and(|meta| meta.file_type().is_block_device())
}

/// Where the raw measurements go: on the device of the volume, where that is a file.
pub(super) fn scratch_path(args: &BenchArgs, info: &Info) -> PathBuf {
    if let Some(path) = &args.scratch {
        return path.clone();
    }
    if info.device.is_block_device {
        return env::temp_dir().join(format!("extentdb-bench-{}.scratch", process::id()));
    }
    let mut path = OsString::from(&args.volume);
    path.push(".scratch");
    path.into()
}
