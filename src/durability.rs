//! When a write counts as done.

use std::time::Duration;

/// What an acknowledged write survives.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// use extentdb::Durability;
///
/// db.put("order", "paid")?; // Durable when it returns.
/// db.with_durability(Durability::Written).put("session", "open")?;
/// db.with_durability(Durability::Buffered).put("views", "17")?;
/// db.sync()?; // Now all three are.
/// assert_eq!(db.durability(), Durability::Synced);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// Acknowledged from memory. A crash of the process or a power cut may lose the last writes,
    /// at most the [`SyncWindow`], and always the newest ones.
    Buffered,
    /// Acknowledged when it has been handed to the device. Survives a crash of the process; a
    /// power cut may lose the last writes, at most the [`SyncWindow`], always the newest ones.
    Written,
    /// Acknowledged when the device says that it is durable. Survives power loss. The default.
    #[default]
    Synced,
}

/// How much [`Durability::Written`] and [`Durability::Buffered`] may lose.
///
/// A put in one of these modes waits while `bytes` are acknowledged and not yet durable, and a
/// flush begins at the latest `time` after the oldest of them.
///
/// ```
/// use extentdb::SyncWindow;
/// use std::time::Duration;
///
/// let window = SyncWindow::default();
/// assert_eq!((window.bytes, window.time), (8 << 20, Duration::from_millis(100)));
/// let smaller = SyncWindow { bytes: 1 << 20, ..window };
/// assert_eq!(smaller.time, window.time);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyncWindow {
    /// Bytes of records, large values included; a single one may be larger. Default: 8 MiB.
    pub bytes: u64,
    /// Time until a flush begins. Default: 100 ms.
    pub time: Duration,
}

impl Default for SyncWindow {
    fn default() -> Self {
        Self { bytes: 8 << 20, time: Duration::from_millis(100) }
    }
}
