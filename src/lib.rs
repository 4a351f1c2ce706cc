//! An embeddable, durable, ordered key-value store for NVMe, tuned for large values.
//!
//! One store is one volume: a file, or a block device. It is written past the page cache; an
//! acknowledged [`put`](Db::put) survives a crash of the process and a power cut; an uncached
//! [`get`](Db::get) is one device read.
//!
//! ```
//! use extentdb::{Db, Durability, WriteBatch};
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("data.vol");
//! let db = Db::open(&path)?;
//!
//! // Durable when it returns.
//! db.put("user:1", "Ada")?;
//! assert_eq!(db.get("user:1")?.as_deref(), Some(&b"Ada"[..]));
//!
//! // All or nothing.
//! let mut batch = WriteBatch::new();
//! batch.put("user:2", "Grace");
//! batch.delete("user:1");
//! db.write(&batch)?;
//!
//! // In order, as of one moment; values are read when they are asked for.
//! for entry in db.prefix("user:") {
//!     let entry = entry?;
//!     println!("{} has {} bytes", entry.key().escape_ascii(), entry.value()?.len());
//! }
//!
//! // Only if nobody else came first.
//! assert!(db.put_if_absent("leader", "me")?);
//!
//! // Acknowledged from memory, durable within the sync window or at the next `sync`.
//! let fast = db.with_durability(Durability::Buffered);
//! fast.put("counter", "1")?;
//! db.sync()?;
//! db.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Reading the source
//!
//! A put walks from `db` through `engine::write` to `wal::log`, which leads it to the
//! `device`; `engine::apply` then folds it into the `index`. A get walks from `db` through the
//! `index` to `engine::read`. `format` has every byte that is on the volume, `extent` says what
//! is where, `engine::recovery` and `wal::replay` bring it all back.

mod batch;
mod check;
mod db;
mod db_async;
mod device;
mod durability;
mod engine;
mod error;
mod events;
mod extent;
mod format;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod index;
mod info;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod iter;
mod metrics;
mod options;
mod pending;
mod prefetch;
mod reader;
mod report;
mod seeded;
#[cfg(test)]
mod sim;
mod snapshot;
mod sync;
mod value;
mod wal;

pub use batch::WriteBatch;
pub use check::CheckReport;
pub use db::{CasMismatch, Db};
pub use device::{
    AlignedBuf, DeviceInfo, DirectIo, DirectState, IoUring, IoUringState, WriteCache,
};
pub use durability::{Durability, SyncWindow};
pub use error::{Error, Result};
pub use events::{CheckpointCause, Event, EventListener, Stall};
pub use health::Health;
pub use info::{Discard, Info};
pub use iter::{Entry, Iter, Keys};
pub use metrics::{Collection, Histogram, IntervalLog, Latency, Metrics, Stage, Written};
pub use options::Options;
pub use pending::Pending;
pub use reader::ValueReader;
pub use report::{DroppedTail, OpenProgress, OpenReport, OpenTimings};
pub use snapshot::Snapshot;
pub use value::Value;
