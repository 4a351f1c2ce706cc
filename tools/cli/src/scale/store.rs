//! The volume of a part, and whether there is room for it.

use crate::args::ScaleArgs;
use crate::measure::load::Load;
use crate::measure::room;
use crate::measure::shape::Shape;
use anyhow::{Result, bail};
use extentdb::{Db, Options};
use std::fs;
use std::path::PathBuf;

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
    create_with(args, options(args))
}

/// As [`create`], with other options.
pub(super) fn create_with(args: &ScaleArgs, options: Options) -> Result<Db> {
    let db = options.create_new(true).open(&args.volume)?;
    if !args.keep {
        fs::remove_file(&args.volume)?;
    }
    Ok(db)
}

/// Writers of `db` as `args` want them.
pub(super) fn load(args: &ScaleArgs, db: &Db) -> Load {
    let (key, prefix) = (args.key_bytes as usize, args.shared_prefix as usize);
    let longest = args.put_bytes.max(args.value_bytes) as usize;
    let shape = Shape::new(key, prefix, args.value_bytes as usize, longest);
    Load::new(db, shape, args.writers, args.batch)
}

/// Refuses what the file system has no room for.
pub(super) fn check_room(args: &ScaleArgs, needs: Needs) -> Result<()> {
    let advice = "give fewer --keys or a smaller --value-bytes";
    room::check(&args.volume, bytes_of(args, needs), advice)
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
