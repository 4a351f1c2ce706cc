//! `extentdb scan`: lists entries in key order.

use crate::Outcome;
use crate::args::ScanArgs;
use crate::volume;
use anyhow::{Context, Result};
use extentdb::{Entry, Iter, Snapshot};
use std::ffi::OsString;
use std::io::{self, BufWriter, Read, Write};
use std::ops::Bound;

/// Bytes of a value that are shown.
const SHOWN: u64 = 64;
/// Bytes of a whole value that are read at a time.
const PIECE: usize = 64 << 10;

/// Writes one line per entry: key, length of the value and the value, with tabs in between.
/// Keys and values are escaped, so that a line is a line.
pub(crate) fn run(args: &ScanArgs) -> Result<Outcome> {
    let range = Range::of(args)?;
    let db = volume::open_existing(&args.volume, &args.open)?;
    let snapshot = db.snapshot();
    let mut out = BufWriter::new(io::stdout().lock());
    range.visit(snapshot.range::<Vec<u8>, _>(range.bounds()), args, |entry| {
        line(&mut out, &snapshot, &entry, args)
    })?;
    out.flush()?;
    drop(snapshot);
    db.close()?;
    Ok(Outcome::Done)
}

fn line(out: &mut impl Write, snapshot: &Snapshot, entry: &Entry, args: &ScanArgs) -> Result<()> {
    write!(out, "{}", entry.key().escape_ascii())?;
    if !args.keys_only {
        write!(out, "\t{}\t", entry.value_len())?;
        if args.full {
            whole_value(out, snapshot, entry)?;
        } else {
            value_start(out, snapshot, entry)?;
        }
    }
    Ok(writeln!(out)?)
}

fn whole_value(out: &mut impl Write, snapshot: &Snapshot, entry: &Entry) -> Result<()> {
    let mut reader = snapshot.get_reader(entry.key())?.context("the snapshot lost a key")?;
    let mut piece = vec![0; PIECE.min(entry.value_len() as usize)];
    loop {
        match reader.read(&mut piece)? {
            0 => return Ok(()),
            len => write!(out, "{}", piece[..len].escape_ascii())?,
        }
    }
}

fn value_start(out: &mut impl Write, snapshot: &Snapshot, entry: &Entry) -> Result<()> {
    let start = snapshot.get_range(entry.key(), 0, SHOWN)?.context("the snapshot lost a key")?;
    write!(out, "{}", start.escape_ascii())?;
    let more = if entry.value_len() > SHOWN { "..." } else { "" };
    Ok(write!(out, "{more}")?)
}

/// The keys that were asked for: those from `from` on, below `to`, that start with `prefix`.
struct Range {
    prefix: Vec<u8>,
    from: Vec<u8>,
    to: Option<Vec<u8>>,
}

impl Range {
    fn of(args: &ScanArgs) -> Result<Self> {
        let read = |key: &Option<OsString>| key.as_ref().map(|key| args.keys.read(key)).transpose();
        let prefix = read(&args.prefix)?.unwrap_or_default();
        let from = read(&args.from)?.unwrap_or_default().max(prefix.clone());
        let after = after_prefix(&prefix);
        let to = match (read(&args.to)?, after) {
            (Some(to), Some(after)) => Some(to.min(after)),
            (to, after) => to.or(after),
        };
        Ok(Self { prefix, from, to })
    }

    fn bounds(&self) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let to = self.to.clone().map_or(Bound::Unbounded, Bound::Excluded);
        (Bound::Included(self.from.clone()), to)
    }

    fn visit(
        &self,
        entries: Iter,
        args: &ScanArgs,
        visit: impl FnMut(Entry) -> Result<()>,
    ) -> Result<()> {
        debug_assert!(self.from >= self.prefix, "nothing below the prefix is asked for");
        let limit = args.limit.map_or(usize::MAX, |limit| limit as usize);
        if args.reverse {
            entries.rev().take(limit).map(|entry| Ok(entry?)).try_for_each(each(visit))
        } else {
            entries.take(limit).map(|entry| Ok(entry?)).try_for_each(each(visit))
        }
    }
}

fn each(mut visit: impl FnMut(Entry) -> Result<()>) -> impl FnMut(Result<Entry>) -> Result<()> {
    move |entry| visit(entry?)
}

/// The least key above all that start with `prefix`; `None` if there is none.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte < u8::MAX)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_where_the_next_begins() {
        assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_prefix(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"\xff"), None);
        assert_eq!(after_prefix(b""), None);
    }
}
