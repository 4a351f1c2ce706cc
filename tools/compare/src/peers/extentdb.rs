//! extentdb, with its defaults but for the size of its cache.

use crate::peer::{Peer, Record, Setup};
use anyhow::Result;
use extentdb::{Db, Options, WriteBatch};
use std::path::Path;

pub(super) struct Extentdb(pub(super) Db);

pub(crate) fn open(dir: &Path, setup: &Setup) -> Result<Box<dyn Peer>> {
    Ok(Box::new(Extentdb::open(&dir.join("data.vol"), setup)?))
}

impl Extentdb {
    pub(super) fn open(volume: &Path, setup: &Setup) -> Result<Self> {
        Ok(Self(Options::new().cache_bytes(setup.cache_bytes as usize).open(volume)?))
    }
}

impl Peer for Extentdb {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.0.put(key, value)?)
    }

    fn write(&self, records: &[Record]) -> Result<()> {
        let mut batch = WriteBatch::new();
        for (key, value) in records {
            batch.put(key, value);
        }
        Ok(self.0.write(&batch)?)
    }

    fn get(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = self.0.get(key)?;
        if let Some(value) = &value {
            read(value);
        }
        Ok(value.is_some())
    }

    fn multi_get(&self, keys: &[Vec<u8>], read: &mut dyn FnMut(usize, &[u8])) -> Result<usize> {
        let mut found = 0;
        for (n, value) in self.0.multi_get(keys).into_iter().enumerate() {
            if let Some(value) = value? {
                read(n, &value);
                found += 1;
            }
        }
        Ok(found)
    }

    fn scan(&self, from: &[u8], limit: usize, read: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let mut shown = 0;
        for entry in self.0.range(from..).take(limit) {
            let entry = entry?;
            read(entry.key(), &entry.value()?);
            shown += 1;
        }
        Ok(shown)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.0.close()?)
    }
}
