//! redb.

use crate::peer::{Peer, Record, Setup};
use anyhow::Result;
use redb::{Database, ReadableDatabase, TableDefinition};
use std::path::Path;

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("data");

struct Redb(Database);

pub(crate) fn open(dir: &Path, setup: &Setup) -> Result<Box<dyn Peer>> {
    let db = Database::builder()
        .set_cache_size(setup.cache_bytes as usize)
        .create(dir.join("data.redb"))?;
    let create = db.begin_write()?;
    create.open_table(TABLE)?;
    create.commit()?;
    Ok(Box::new(Redb(db)))
}

impl Redb {
    fn insert<'r>(&self, records: impl IntoIterator<Item = (&'r [u8], &'r [u8])>) -> Result<()> {
        let transaction = self.0.begin_write()?;
        let mut table = transaction.open_table(TABLE)?;
        for (key, value) in records {
            table.insert(key, value)?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }
}

impl Peer for Redb {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.insert([(key, value)])
    }

    fn write(&self, records: &[Record]) -> Result<()> {
        self.insert(records.iter().map(|(key, value)| (key.as_slice(), value.as_slice())))
    }

    fn get(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = self.0.begin_read()?.open_table(TABLE)?.get(key)?;
        if let Some(value) = &value {
            read(value.value());
        }
        Ok(value.is_some())
    }

    fn multi_get(&self, keys: &[Vec<u8>], read: &mut dyn FnMut(usize, &[u8])) -> Result<usize> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        let mut found = 0;
        for (n, key) in keys.iter().enumerate() {
            if let Some(value) = table.get(key.as_slice())? {
                read(n, value.value());
                found += 1;
            }
        }
        Ok(found)
    }

    fn scan(&self, from: &[u8], limit: usize, read: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        let mut shown = 0;
        for record in table.range(from..)?.take(limit) {
            let (key, value) = record?;
            read(key.value(), value.value());
            shown += 1;
        }
        Ok(shown)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.0.close()?)
    }
}
