//! The results as JSON.

use crate::args::ScaleArgs;
use crate::measure::row::Row;
use serde::Serialize;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    volume: String,
    keys: u64,
    key_bytes: u16,
    shared_prefix: u16,
    value_bytes: u32,
    put_bytes: u32,
    writers: u16,
    batch: u16,
    pub(super) rows: Vec<Row>,
}

impl Report {
    /// A report without rows so far.
    pub(super) fn new(args: &ScaleArgs) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            volume: args.volume.display().to_string(),
            keys: args.keys,
            key_bytes: args.key_bytes,
            shared_prefix: args.shared_prefix,
            value_bytes: args.value_bytes,
            put_bytes: args.put_bytes,
            writers: args.writers,
            batch: args.batch,
            rows: Vec::new(),
        }
    }

    /// What stands above the table.
    pub(super) fn head(&self) -> String {
        let prefix = match self.shared_prefix {
            0 => String::new(),
            bytes => format!(", the first {bytes} shared"),
        };
        format!(
            "volume   {}\n\
             keys     {} of {} bytes{prefix}, random; values of {} bytes, of {} where puts are \
             timed\n\
             writers  {}, batches of {} acknowledged from memory; a lone put is durable\n",
            self.volume,
            self.keys,
            self.key_bytes,
            self.value_bytes,
            self.put_bytes,
            self.writers,
            self.batch,
        )
    }
}
