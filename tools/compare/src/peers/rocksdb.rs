//! RocksDB, with its values in the tree or in blob files.

use crate::peer::{Peer, Record, Setup};
use anyhow::{Context, Result};
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DataBlockIndexType, Direction, IteratorMode,
    Options, ReadOptions, WaitForCompactOptions, WriteBatch, WriteOptions,
};
use std::path::Path;
use std::thread;

/// The default column family.
const FAMILY: &str = "default";
/// Values from here on go to blob files, where these are in use.
const BLOB_MIN_BYTES: u64 = 256;
/// Direct reads are not read ahead by the kernel: each file that is compacted has a buffer for it, and
/// each blob file too. These are parts of a write buffer: 2 MiB and 256 KiB with one of 32 MiB.
const READAHEAD: u64 = 16;
const BLOB_READAHEAD: u64 = 128;

struct Rocks {
    db: DB,
    synced: WriteOptions,
}

pub(crate) fn open(dir: &Path, setup: &Setup, blobs: bool) -> Result<Box<dyn Peer>> {
    let mut synced = WriteOptions::default();
    synced.set_sync(true);
    let options = options(setup, blobs);
    // Named, so that there is a handle for multi-gets.
    let db = DB::open_cf_with_opts(&options, dir, [(FAMILY, options.clone())])?;
    Ok(Box::new(Rocks { db, synced }))
}

fn options(setup: &Setup, blobs: bool) -> Options {
    let cache = Cache::new_hyper_clock_cache(setup.cache_bytes as usize, 0);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_compression_type(DBCompressionType::None);
    options.set_block_based_table_factory(&table(&cache));
    options.set_use_direct_reads(true);
    options.set_use_direct_io_for_flush_and_compaction(true);
    options.set_compaction_readahead_size((setup.buffer_bytes / READAHEAD) as usize);
    options.set_max_open_files(-1);
    options.set_write_buffer_size(setup.buffer_bytes as usize);
    options.set_max_write_buffer_number(3);
    options.set_max_background_jobs(cores() as i32);
    // A log that is used again costs one write and one flush a commit, not three and two.
    options.set_recycle_log_file_num(4);
    options.set_enable_pipelined_write(true);
    if blobs {
        options.set_enable_blob_files(true);
        options.set_min_blob_size(BLOB_MIN_BYTES);
        options.set_blob_compression_type(DBCompressionType::None);
        options.set_enable_blob_gc(true);
        options.set_blob_gc_age_cutoff(1.0);
        options.set_blob_gc_force_threshold(0.5);
        options.set_blob_compaction_readahead_size(setup.buffer_bytes / BLOB_READAHEAD);
        options.set_blob_cache(&cache);
    }
    options
}

fn table(cache: &Cache) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(4 << 10);
    table.set_bloom_filter(10.0, false);
    table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    table.set_format_version(5);
    table
}

fn cores() -> usize {
    thread::available_parallelism().map_or(2, usize::from).max(2)
}

impl Peer for Rocks {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.db.put_opt(key, value, &self.synced)?)
    }

    fn write(&self, records: &[Record]) -> Result<()> {
        let mut batch = WriteBatch::default();
        for (key, value) in records {
            batch.put(key, value);
        }
        Ok(self.db.write_opt(batch, &self.synced)?)
    }

    fn get(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = self.db.get_pinned(key)?;
        if let Some(value) = &value {
            read(value);
        }
        Ok(value.is_some())
    }

    fn multi_get(&self, keys: &[Vec<u8>], read: &mut dyn FnMut(usize, &[u8])) -> Result<usize> {
        let family = self.db.cf_handle(FAMILY).context("no default column family")?;
        let mut options = ReadOptions::default();
        options.set_async_io(true);
        let keys = keys.iter().map(Vec::as_slice);
        let mut found = 0;
        let values = self.db.batched_multi_get_cf_opt(family, keys, false, &options);
        for (n, value) in values.into_iter().enumerate() {
            if let Some(value) = value? {
                read(n, &value);
                found += 1;
            }
        }
        Ok(found)
    }

    fn scan(&self, from: &[u8], limit: usize, read: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let mut options = ReadOptions::default();
        options.set_async_io(true);
        let from = IteratorMode::From(from, Direction::Forward);
        let mut shown = 0;
        for record in self.db.iterator_opt(from, options).take(limit) {
            let (key, value) = record?;
            read(&key, &value);
            shown += 1;
        }
        Ok(shown)
    }

    fn close(self: Box<Self>) -> Result<()> {
        let mut settle = WaitForCompactOptions::default();
        settle.set_flush(true);
        self.db.wait_for_compact(&settle)?;
        Ok(())
    }
}
