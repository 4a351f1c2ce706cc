//! What every store here can do, and which stores there are.

use crate::peers;
use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A key and a value.
pub(crate) type Record = (Vec<u8>, Vec<u8>);

/// An open store. What it acknowledges is durable: it survives power loss.
pub(crate) trait Peer: Send + Sync {
    /// Stores `value` under `key`.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Stores all of `records`, or none.
    fn write(&self, records: &[Record]) -> Result<()>;

    /// Shows the value of `key` to `read`; false if there is none.
    fn get(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool>;

    /// Shows the values of `keys`, in their order, to `read`. Says how many there are.
    fn multi_get(&self, keys: &[Vec<u8>], read: &mut dyn FnMut(usize, &[u8])) -> Result<usize> {
        let mut found = 0;
        for (n, key) in keys.iter().enumerate() {
            found += usize::from(self.get(key, &mut |value| read(n, value))?);
        }
        Ok(found)
    }

    /// Shows up to `limit` records from `from` on, in the order of their keys, to `read`. Says how
    /// many there were.
    fn scan(&self, from: &[u8], limit: usize, read: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize>;

    /// Closes it in good order, once it has done in the background what it can be told to wait for.
    fn close(self: Box<Self>) -> Result<()>;
}

/// What a store may use, and what it is for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// For its own cache of what is on the device.
    pub(crate) cache_bytes: u64,
    /// For one of the buffers in which it gathers writes, if it has such.
    pub(crate) buffer_bytes: u64,
    /// Length of the values.
    pub(crate) value_bytes: usize,
    /// Bytes of all values and keys.
    pub(crate) dataset_bytes: u64,
}

/// A store, or the device itself.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A file that was written before, without the page cache, and without a store.
    Raw,
    Extentdb,
    Rocksdb,
    /// RocksDB with values in blob files.
    RocksdbBlob,
    Fjall,
    Redb,
    Lmdb,
    /// extentdb over two volumes; only where asked for.
    ExtentdbSharded,
}

impl Kind {
    /// All that are measured unless told otherwise, in the order in which they are shown.
    pub(crate) const ALL: [Self; 7] = [
        Self::Raw,
        Self::Extentdb,
        Self::Rocksdb,
        Self::RocksdbBlob,
        Self::Fjall,
        Self::Redb,
        Self::Lmdb,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw device",
            Self::Extentdb => "extentdb",
            Self::Rocksdb => "RocksDB",
            Self::RocksdbBlob => "RocksDB BlobDB",
            Self::Fjall => "fjall",
            Self::Redb => "redb",
            Self::Lmdb => "LMDB",
            Self::ExtentdbSharded => "extentdb x 2",
        }
    }

    /// When a write is acknowledged, and how it and reads reach the device.
    pub(crate) fn durability(self) -> &'static str {
        match self {
            Self::Raw => "pwrite, fdatasync each; direct I/O",
            Self::Extentdb => "Synced: log write, fdatasync shared by a batch; direct I/O",
            Self::Rocksdb => {
                "sync = true: WAL write, fdatasync shared by a group; direct reads, flush, compaction"
            }
            Self::RocksdbBlob => {
                "sync = true: WAL write, fdatasync shared by a group; direct; values apart"
            }
            Self::Fjall => {
                "persist(SyncData): journal write, fdatasync each; page cache; values apart"
            }
            Self::Redb => "Immediate: pages, superblock, fdatasync each; page cache and own cache",
            Self::Lmdb => "pages, fdatasync, meta page O_DSYNC each; memory map",
            Self::ExtentdbSharded => "as extentdb, keys sharded over two volumes",
        }
    }

    /// The same in short.
    pub(crate) fn sync(self) -> &'static str {
        match self {
            Self::Extentdb | Self::ExtentdbSharded | Self::Rocksdb | Self::RocksdbBlob => {
                "durable, flush shared"
            }
            Self::Raw | Self::Fjall | Self::Redb | Self::Lmdb => "durable, flush each",
        }
    }

    /// Opens, or creates, the store in the folder `dir`.
    pub(crate) fn open(self, dir: &Path, setup: &Setup) -> Result<Box<dyn Peer>> {
        match self {
            Self::Raw => peers::raw::open(dir, setup),
            Self::Extentdb => peers::extentdb::open(dir, setup),
            Self::Rocksdb => peers::rocksdb::open(dir, setup, false),
            Self::RocksdbBlob => peers::rocksdb::open(dir, setup, true),
            Self::Fjall => peers::fjall::open(dir, setup),
            Self::Redb => peers::redb::open(dir, setup),
            Self::Lmdb => peers::lmdb::open(dir, setup),
            Self::ExtentdbSharded => peers::sharded::open(dir, setup),
        }
    }
}
