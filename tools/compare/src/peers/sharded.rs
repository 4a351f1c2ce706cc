//! extentdb with its keys sharded over two volumes, which have a log and a flush each. Batches are
//! all or nothing in each volume only. Not among the peers: it shows what a second log gains.

use super::extentdb::Extentdb;
use crate::peer::{Peer, Record, Setup};
use anyhow::Result;
use std::path::Path;

struct Sharded([Extentdb; 2]);

pub(crate) fn open(dir: &Path, setup: &Setup) -> Result<Box<dyn Peer>> {
    let half = Setup { cache_bytes: setup.cache_bytes / 2, ..*setup };
    let volume = |name| Extentdb::open(&dir.join(name), &half);
    Ok(Box::new(Sharded([volume("first.vol")?, volume("second.vol")?])))
}

fn shard_of(key: &[u8]) -> usize {
    usize::from(key.last().is_some_and(|byte| byte % 2 == 1))
}

impl Sharded {
    fn of(&self, key: &[u8]) -> &Extentdb {
        &self.0[shard_of(key)]
    }
}

impl Peer for Sharded {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.of(key).put(key, value)
    }

    fn write(&self, records: &[Record]) -> Result<()> {
        let (odd, even): (Vec<_>, Vec<_>) =
            records.iter().cloned().partition(|(key, _)| shard_of(key) == 1);
        self.0[0].write(&even)?;
        self.0[1].write(&odd)
    }

    fn get(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.of(key).get(key, read)
    }

    /// Merges what both volumes have.
    fn scan(&self, from: &[u8], limit: usize, read: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let [mut first, mut second] = [0, 1].map(|n| self.0[n].0.range(from..).peekable());
        for shown in 0..limit {
            let is_first = match (first.peek(), second.peek()) {
                (None, None) => return Ok(shown),
                (Some(Ok(one)), Some(Ok(other))) => one.key() < other.key(),
                // A failure is taken, and ends it below.
                (one, other) => other.is_none() || one.is_some_and(Result::is_err),
            };
            let next = if is_first { first.next() } else { second.next() };
            let Some(entry) = next.transpose()? else { return Ok(shown) };
            read(entry.key(), &entry.value()?);
        }
        Ok(limit)
    }

    fn close(self: Box<Self>) -> Result<()> {
        let [first, second] = self.0;
        Box::new(first).close()?;
        Box::new(second).close()
    }
}
