//! `extentdb get`: writes one value out, byte for byte.

use crate::Outcome;
use crate::args::GetArgs;
use crate::new_file::NewFile;
use crate::{progress, volume};
use anyhow::{Context, Result};
use extentdb::ValueReader;
use std::io::{self, BufReader, Write};
use std::path::Path;

/// Bytes that are written at a time.
const PIECE: usize = 256 << 10;

/// Writes the value to stdout or to a file.
pub(crate) fn run(args: &GetArgs) -> Result<Outcome> {
    let key = args.keys.read(&args.key)?;
    let db = volume::open_existing(&args.volume, &args.open)?;
    let Some(value) = db.get_reader(&key)? else {
        progress::say(&format!("extentdb: no such key: {}", key.escape_ascii()));
        return Ok(Outcome::Partial);
    };
    match &args.output {
        Some(path) => write_file(value, path).with_context(|| path.display().to_string())?,
        None => write_stdout(value)?,
    }
    db.close()?;
    Ok(Outcome::Done)
}

fn write_stdout(value: ValueReader) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    io::copy(&mut BufReader::with_capacity(PIECE, value), &mut stdout)?;
    stdout.flush()
}

fn write_file(value: ValueReader, path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut file = NewFile::create_in(parent.unwrap_or(Path::new(".")))?;
    io::copy(&mut BufReader::with_capacity(PIECE, value), &mut file)?;
    file.sync()?;
    file.place(path)
}
