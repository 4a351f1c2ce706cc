//! fjall, with its values apart from its keys from its default of 1 KiB on.

use crate::peer::{Peer, Record, Setup};
use anyhow::Result;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use std::path::Path;

struct Fjall {
    db: Database,
    keyspace: Keyspace,
}

pub(crate) fn open(dir: &Path, setup: &Setup) -> Result<Box<dyn Peer>> {
    let db = Database::builder(dir).cache_size(setup.cache_bytes).open()?;
    let keyspace = db.keyspace("data", || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(setup.buffer_bytes)
            .expect_point_read_hits(true)
            .with_kv_separation(Some(KvSeparationOptions::default()))
    })?;
    Ok(Box::new(Fjall { db, keyspace }))
}

impl Peer for Fjall {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.keyspace.insert(key, value)?;
        Ok(self.db.persist(PersistMode::SyncData)?)
    }

    fn write(&self, records: &[Record]) -> Result<()> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        for (key, value) in records {
            batch.insert(&self.keyspace, key.as_slice(), value.as_slice());
        }
        Ok(batch.commit()?)
    }

    fn get(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = self.keyspace.get(key)?;
        if let Some(value) = &value {
            read(value);
        }
        Ok(value.is_some())
    }

    fn scan(&self, from: &[u8], limit: usize, read: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let mut shown = 0;
        for record in self.keyspace.range(from..).take(limit) {
            let (key, value) = record.into_inner()?;
            read(&key, &value);
            shown += 1;
        }
        Ok(shown)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }
}
