//! The results as JSON.

use super::store::Store;
use crate::args::ReadsArgs;
use crate::measure::row::Row;
use crate::size;
use serde::Serialize;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    volume: String,
    keys: u64,
    value_bytes: u64,
    cache_bytes: u64,
    rounds: u16,
    seconds: f64,
    direct_io: String,
    io_uring: String,
    pub(super) rows: Vec<Row>,
}

impl Report {
    /// A report without rows so far.
    pub(super) fn new(args: &ReadsArgs, store: &Store) -> Self {
        let device = store.db.info().device;
        Self {
            version: env!("CARGO_PKG_VERSION"),
            volume: args.volume.display().to_string(),
            keys: args.keys,
            value_bytes: args.value_bytes,
            cache_bytes: args.cache_bytes,
            rounds: args.rounds,
            seconds: args.seconds,
            direct_io: device.direct.to_string(),
            io_uring: device.io_uring.to_string(),
            rows: Vec::new(),
        }
    }

    /// What stands above the table.
    pub(super) fn head(&self) -> String {
        format!(
            "volume      {}\n\
             keys        {} of 16 bytes, random; values of {} bytes; a cache of {}\n\
             direct I/O  {}\n\
             io_uring    {}\n\
             rounds      {} of {} s each, of which the medians count\n",
            self.volume,
            self.keys,
            self.value_bytes,
            size::show(self.cache_bytes),
            self.direct_io,
            self.io_uring,
            self.rounds,
            self.seconds,
        )
    }
}
