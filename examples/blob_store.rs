//! Large values as streams: `cargo run --release --example blob_store [VOLUME]`.

use extentdb::{Durability, Options};
use std::io::{self, Read, Write};

const MIB: u64 = 1 << 20;
const BLOBS: [(&str, u64); 3] = [("thumbnail", MIB / 4), ("photo", 6 * MIB), ("film", 100 * MIB)];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let path = std::env::args_os().nth(1).map_or(dir.path().join("blobs.vol"), Into::into);
    let db = Options::new().max_bytes(4 << 30).open(&path)?;

    // One barrier for all, instead of one each; only values over 16 MiB have their own.
    let fast = db.with_durability(Durability::Buffered);
    for (name, len) in BLOBS {
        fast.put_reader(name, len, Progress::new(name, len, content(len)))?;
    }
    db.sync()?;

    for (name, len) in BLOBS {
        let blob = db.get_reader(name)?.expect("was stored");
        let copied = io::copy(&mut Progress::new("reading", len, blob), &mut io::sink())?;
        assert_eq!(copied, len, "every byte came back, verified");
    }

    // Reads the value's header and the blocks that hold these bytes, not the film.
    let middle = db.get_range("film", 50 * MIB, 16)?.expect("was stored");
    println!("16 bytes from the middle of the film: {middle:?}");
    let before = db.metrics().read_bytes;
    assert_eq!(db.value_len("film")?, Some(100 * MIB));
    assert_eq!(db.metrics().read_bytes, before, "lengths are known without a read");

    let written = db.metrics().written;
    println!("written: {} KiB of values, {} KiB of log", written.large >> 10, written.log >> 10);
    for (name, _) in BLOBS {
        db.delete(name)?;
    }
    db.close()?;
    Ok(())
}

/// Stands in for an upload.
fn content(len: u64) -> impl Read {
    io::repeat(b'x').take(len)
}

/// A reader that shows how far it has come.
struct Progress<R> {
    what: &'static str,
    len: u64,
    done: u64,
    inner: R,
}

impl<R> Progress<R> {
    fn new(what: &'static str, len: u64, inner: R) -> Self {
        Self { what, len, done: 0, inner }
    }
}

impl<R: Read> Read for Progress<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        if count == 0 {
            return Ok(0);
        }
        self.done += count as u64;
        let percent = self.done * 100 / self.len;
        let end = if self.done == self.len { "\n" } else { "" };
        eprint!("\r{:>9} {percent:>3} %{end}", self.what);
        io::stderr().flush()?;
        Ok(count)
    }
}
