//! `extentdb put`: stores one value.

use crate::Outcome;
use crate::args::PutArgs;
use crate::exact::ExactFile;
use crate::volume;
use anyhow::{Context, Result};
use extentdb::Db;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longest value, in bytes.
const MAX_VALUE: u64 = u32::MAX as u64;

/// Stores the value; durable when this returns.
pub(crate) fn run(args: &PutArgs) -> Result<Outcome> {
    let key = args.keys.read(&args.key)?;
    let db = volume::open_or_create(&args.volume, &args.create)?;
    match (&args.value, &args.file) {
        (Some(value), _) => db.put(&key, value.as_bytes())?,
        (None, Some(path)) => {
            put_file(&db, &key, path).with_context(|| path.display().to_string())?;
        }
        (None, None) => put_stream(&db, &key, io::stdin().lock())?,
    }
    db.close()?;
    Ok(Outcome::Done)
}

fn put_file(db: &Db, key: &[u8], path: &Path) -> Result<()> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return put_stream(db, key, file);
    }
    let file = ExactFile::of(file)?;
    Ok(db.put_reader(key, file.len(), file)?)
}

/// Stores all that `stream` has. Its length shows only at its end, so it passes through memory.
fn put_stream(db: &Db, key: &[u8], stream: impl Read) -> Result<()> {
    let mut value = Vec::new();
    stream.take(MAX_VALUE + 1).read_to_end(&mut value).context("cannot read the value")?;
    Ok(db.put(key, value)?)
}
