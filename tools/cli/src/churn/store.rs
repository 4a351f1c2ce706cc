//! A store on a volume of its own, filled as far as a run wants it.

use super::disk::Disk;
use crate::args::ChurnArgs;
use crate::measure::load::{Change, Load};
use crate::measure::shape::Shape;
use crate::progress::Progress;
use anyhow::{Context, Result};
use extentdb::{Db, Options};
use std::fs;

/// Length of a key.
const KEY_BYTES: usize = 16;
/// Records of a batch while it is loaded, unless they are large.
const BATCH: u16 = 64;
/// Images that a volume needs room for, and by how much each is larger than the index, at most.
const IMAGES: f64 = 2.0 * 1.1;
/// Extents that a volume needs beside records and images.
const RESERVE_EXTENTS: u64 = 12;
/// Memory of the index for each key, before it is known.
const INDEX_BYTES: f64 = 32.0;

/// What a store is to be like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Size of the volume, all of it claimed at once.
    pub(super) volume_bytes: u64,
    pub(super) value_bytes: u64,
    pub(super) writers: u16,
    /// That of the options, unless another is given.
    pub(super) garbage_ratio: Option<f64>,
}

impl Plan {
    /// What `args` ask for.
    pub(super) fn of(args: &ChurnArgs) -> Self {
        Self {
            volume_bytes: args.bytes,
            value_bytes: args.value_bytes,
            writers: args.writers,
            garbage_ratio: None,
        }
    }
}

/// How much is to be live.
#[derive(Debug, Clone, Copy)]
pub(super) enum Live {
    /// This share of `bytes` without what images and reserves take of them.
    OfRoom { share: f64, bytes: u64 },
    /// This share of the volume.
    OfVolume(f64),
}

/// A store under churn. Its volume has no name, so nothing of it outlives the process.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) db: Db,
    pub(super) disk: Disk,
    pub(super) plan: Plan,
    /// Keys that were put: those of the numbers below.
    pub(super) keys: u64,
    load: Load,
}

impl Store {
    /// Creates the volume, which must not exist.
    pub(super) fn create(args: &ChurnArgs, plan: Plan) -> Result<Self> {
        let db = options(args, &plan).open(&args.volume)?;
        let disk = Disk::under(&args.volume);
        fs::remove_file(&args.volume)?;
        let len = plan.value_bytes as usize;
        let shape = Shape::new(KEY_BYTES, 0, len, len);
        let load = Load::new(&db, shape, plan.writers, batch(&plan, db.info().extent_bytes));
        Ok(Self { db, disk: disk?, plan, keys: 0, load })
    }

    /// Puts keys until so much is `live`.
    pub(super) fn fill(&mut self, live: Live) -> Result<()> {
        let put_bytes = KEY_BYTES as u64 + self.plan.value_bytes;
        // Half of it tells what the index takes, and a record.
        self.insert(self.keys_for(live, put_bytes as f64, INDEX_BYTES) / 2)?;
        let metrics = self.db.metrics();
        let per_key = |bytes: u64| bytes as f64 / self.keys.max(1) as f64;
        let keys = self.keys_for(live, per_key(metrics.live_bytes), per_key(metrics.index_bytes));
        self.insert(keys)
    }

    /// Keys of which so much is live, at so many bytes for a record and its share of the index.
    fn keys_for(&self, live: Live, record_bytes: f64, index_bytes: f64) -> u64 {
        let keys = match live {
            Live::OfRoom { share, bytes } => {
                let reserve = RESERVE_EXTENTS * self.db.info().extent_bytes;
                let room = share * bytes.saturating_sub(reserve) as f64;
                room / (record_bytes + share * IMAGES * index_bytes)
            }
            Live::OfVolume(share) => share * self.plan.volume_bytes as f64 / record_bytes,
        };
        (keys as u64).max(1)
    }

    /// Puts keys until there are so many.
    pub(super) fn insert(&mut self, keys: u64) -> Result<()> {
        self.load.insert(self.keys..keys.max(self.keys)).context("while loading")?;
        self.keys = self.keys.max(keys);
        Ok(self.db.sync()?)
    }

    /// Bytes of a record, as the metrics count them.
    pub(super) fn record_bytes(&self) -> u64 {
        (self.db.metrics().live_bytes / self.keys.max(1)).max(1)
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.load.shape
    }

    pub(super) fn close(self) -> Result<()> {
        drop(self.load);
        Ok(self.db.close()?)
    }

    /// Deletes all keys.
    pub(super) fn delete_all(&mut self) -> Result<()> {
        let progress = Progress::bytes("deleting,", self.keys * self.load.record_bytes());
        let done = self.load.run(self.keys, Some(&progress), |_, number| Change::Delete { number });
        progress.finish();
        done.context("while deleting all keys")?;
        self.keys = 0;
        Ok(self.db.sync()?)
    }
}

fn options(args: &ChurnArgs, plan: &Plan) -> Options {
    let mut options = Options::new()
        .direct_io(args.direct.into())
        .create_new(true)
        .volume_bytes(plan.volume_bytes);
    if let Some(bytes) = args.extent_bytes {
        options = options.extent_bytes(bytes);
    }
    match plan.garbage_ratio {
        Some(ratio) => options.garbage_ratio(ratio),
        None => options,
    }
}

/// Records of a batch: no more than an eighth of an extent of them, as one takes a quarter at most.
fn batch(plan: &Plan, extent_bytes: u64) -> u16 {
    let record = KEY_BYTES as u64 + plan.value_bytes;
    (extent_bytes / 8 / record).clamp(1, BATCH.into()) as u16
}
