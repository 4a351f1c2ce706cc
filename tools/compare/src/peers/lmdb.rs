//! LMDB, through heed.

use crate::peer::{Peer, Record, Setup};
use anyhow::Result;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions};
use std::ops::Bound;
use std::path::Path;

/// Room in its map, which takes address space only.
const MAP_BYTES: usize = 1 << 40;
/// Threads that may read at a time.
const READERS: u32 = 1024;

type Table = Database<'static, Bytes, Bytes>;

struct Lmdb {
    env: Env,
    table: Table,
}

pub(crate) fn open(dir: &Path, _: &Setup) -> Result<Box<dyn Peer>> {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES).max_readers(READERS);
    // SAFETY: reading ahead, or not, changes nothing that is promised.
    unsafe { options.flags(EnvFlags::NO_READ_AHEAD) };
    // SAFETY: the file is in a folder of this run's own, and one process at a time opens it, once.
    let env = unsafe { options.open(dir) }?;
    let create = env.write_txn()?;
    let table = env.create_databases_and_commit(create, |opener, create| {
        opener.create_database(create, None).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    let table = table.unwrap_commit();
    Ok(Box::new(Lmdb { env, table }))
}

impl Peer for Lmdb {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        self.table.put(&mut transaction, key, value)?;
        Ok(transaction.commit()?)
    }

    fn write(&self, records: &[Record]) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        for (key, value) in records {
            self.table.put(&mut transaction, key, value)?;
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let transaction = self.env.read_txn()?;
        let value = self.table.get(&transaction, key)?;
        if let Some(value) = value {
            read(value);
        }
        Ok(value.is_some())
    }

    fn multi_get(&self, keys: &[Vec<u8>], read: &mut dyn FnMut(usize, &[u8])) -> Result<usize> {
        let transaction = self.env.read_txn()?;
        let mut found = 0;
        for (n, key) in keys.iter().enumerate() {
            if let Some(value) = self.table.get(&transaction, key)? {
                read(n, value);
                found += 1;
            }
        }
        Ok(found)
    }

    fn scan(&self, from: &[u8], limit: usize, read: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let transaction = self.env.read_txn()?;
        let range = (Bound::Included(from), Bound::Unbounded);
        let mut shown = 0;
        for record in self.table.range(&transaction, &range)?.take(limit) {
            let (key, value) = record?;
            read(key, value);
            shown += 1;
        }
        Ok(shown)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.env.prepare_for_closing().wait();
        Ok(())
    }
}
