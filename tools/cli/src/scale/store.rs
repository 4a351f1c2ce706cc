//! The volume of a part, and whether there is room for it.

use crate::args::ScaleArgs;
use crate::size;
use anyhow::{Context, Result, bail};
use extentdb::{Db, Options};
use nix::sys::statvfs::statvfs;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of a record beyond its key and value: its header, and its share of page headers.
const RECORD_OVERHEAD: u64 = 40;
/// Bytes of a key in an image beyond the key.
const IMAGE_OVERHEAD: u64 = 32;
/// Whatever else a volume has.
const SPARE: u64 = 512 << 20;

/// Writing that a part does, to see whether there is room for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    /// Records of `--value-bytes`.
    pub(super) records: u64,
    /// Bytes that are written beside.
    pub(super) bytes: u64,
}

/// Options as a user of the library has them.
pub(super) fn options(args: &ScaleArgs) -> Options {
    let options = Options::new().direct_io(args.open.direct.into());
    match args.open.max_bytes {
        Some(bytes) => options.max_bytes(bytes),
        None => options,
    }
}

/// Creates the volume, which must not exist. Unless it is kept, it has no name from then on, so
/// nothing of it outlives the process.
pub(super) fn create(args: &ScaleArgs) -> Result<Db> {
    let db = options(args).create_new(true).open(&args.volume)?;
    if !args.keep {
        fs::remove_file(&args.volume)?;
    }
    Ok(db)
}

/// Refuses what the file system has no room for.
pub(super) fn check_room(args: &ScaleArgs, needs: Needs) -> Result<()> {
    let needed = bytes_of(args, needs);
    let dir = match args.volume.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let stat = statvfs(dir).with_context(|| dir.display().to_string())?;
    let free = stat.blocks_available() * stat.fragment_size();
    if needed > free {
        bail!(
            "{} has {} free, and this takes about {}; give fewer --keys or a smaller --value-bytes",
            dir.display(),
            size::show(free),
            size::show(needed),
        );
    }
    Ok(())
}

fn bytes_of(args: &ScaleArgs, needs: Needs) -> u64 {
    let key = u64::from(args.key_bytes);
    let record = key + u64::from(args.value_bytes) + RECORD_OVERHEAD;
    needs.records * record + needs.bytes + 3 * image_bytes(args) + SPARE
}

/// About the size of an image.
pub(super) fn image_bytes(args: &ScaleArgs) -> u64 {
    args.keys * (u64::from(args.key_bytes) + IMAGE_OVERHEAD)
}

/// A file that is removed when this is dropped, unless it is kept.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    keep: bool,
}

impl Temporary {
    /// The volume of `args`, which must not exist.
    pub(super) fn volume(args: &ScaleArgs) -> Result<Self> {
        let path = args.volume.clone();
        if path.exists() {
            bail!("{} exists; give a path where nothing is", path.display());
        }
        Ok(Self { path, keep: args.keep })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.keep {
            // It may not have been created.
            let _ = fs::remove_file(&self.path);
        }
    }
}
