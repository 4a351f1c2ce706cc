//! What opening a volume found.

use std::time::Duration;

/// What an open found and did.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("data.vol");
/// # let db = extentdb::Options::new().volume_bytes(1 << 20).open(&path)?;
/// db.put("k", "v")?;
/// db.close()?;
/// let db = extentdb::Db::open(&path)?;
/// let report = db.open_report();
/// assert_eq!((report.created, report.keys), (false, 1));
/// assert!(report.recovered_batch >= 1 && report.repaired.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// Whether the volume was created by this open.
    pub created: bool,
    /// The last batch that was recovered; 0 for none.
    pub recovered_batch: u64,
    /// The highest batch that the log itself proves durable. Batches after it were recovered
    /// whole, but damage to them could not have been told from a write cut short.
    pub proved_batch: u64,
    /// What was found after the last whole batch, and dropped: writes that a crash cut short, and that
    /// were never acknowledged; or, as nothing tells the two apart, batches that were damaged later
    /// and that nothing on the volume proves durable, which are the last [`Synced`] ones before a
    /// crash, or what weaker modes left unflushed. `None` says that no trace of such a write was
    /// found, not that there was none: power that goes before the first of its pages, or the sector
    /// that says what it is, has reached the device leaves nothing to be found. What was there before
    /// is not reported: pages of another volume, of an earlier use of the space, or of a write that an
    /// earlier open dropped.
    ///
    /// [`Synced`]: crate::Durability::Synced
    pub dropped_tail: Option<DroppedTail>,
    /// Damage that was made good from another copy.
    pub repaired: Vec<String>,
    /// What an operator should know.
    pub warnings: Vec<String>,
    /// Keys in the store.
    pub keys: u64,
    /// Log extents in use.
    pub log_extents: u64,
    /// Log extents that had to be read page by page, as they had no footer.
    pub walked_extents: u64,
    /// How long it took.
    pub timings: OpenTimings,
}

/// The end of a log that a crash cut short, or that was damaged before anything proved it durable.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("data.vol");
/// # extentdb::Options::new().volume_bytes(1 << 20).open(&path)?.close()?;
/// let db = extentdb::Db::open(&path)?;
/// if let Some(tail) = &db.open_report().dropped_tail {
///     println!("batch {} was never acknowledged, {} pages dropped", tail.batch, tail.pages);
/// }
/// # assert_eq!(db.open_report().dropped_tail, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DroppedTail {
    /// The first page that was dropped.
    pub page: u64,
    /// The batch that was being written there.
    pub batch: u64,
    /// Whole pages of that batch and later ones that were found; 0 if all that is left is torn.
    pub pages: u64,
}

/// How long the phases of an open took.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("data.vol");
/// # let db = extentdb::Options::new().volume_bytes(1 << 20).open(&path)?;
/// let timings = db.open_report().timings;
/// let in_all = timings.lock + timings.replay + timings.load + timings.begin;
/// assert!(in_all > timings.lock);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenTimings {
    /// Locking, and making earlier writes durable.
    pub lock: Duration,
    /// Reading the log since the checkpoint, and as much of the checkpoint as could be meanwhile.
    pub replay: Duration,
    /// Reading the rest of the checkpoint, and building the index from it and the log.
    pub load: Duration,
    /// Beginning the epoch.
    pub begin: Duration,
}

/// How far an open has come.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("data.vol");
/// # extentdb::Options::new().volume_bytes(1 << 20).open(&path)?.close()?;
/// let db = extentdb::Options::new()
///     .on_open_progress(|so_far| {
///         assert!(so_far.log_extents <= so_far.extents);
///         eprintln!("{} log extents begun, batch {}", so_far.log_extents, so_far.batch);
///     })
///     .open(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenProgress {
    /// Last batch replayed.
    pub batch: u64,
    /// Log extents begun.
    pub log_extents: u64,
    /// Most extents that the log can have: those of the volume.
    pub extents: u64,
    /// Bytes of the checkpoint read so far: beside the log where it is long, else after it.
    pub loaded_bytes: u64,
    /// Bytes of the checkpoint; 0 before it is read, or where there is none.
    pub image_bytes: u64,
}
