//! Whether reads that are issued together go through io_uring.

use std::fmt;

/// Whether reads that are issued together go through io_uring.
///
/// They are those of [`Db::multi_get`](crate::Db::multi_get) and of scans. Without io_uring a few
/// threads issue them; what they return is the same.
///
/// Default: [`Preferred`](Self::Preferred).
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("data.vol");
/// use extentdb::{IoUring, IoUringState, Options};
///
/// let db = Options::new().volume_bytes(1 << 20).io_uring(IoUring::Off).open(&path)?;
/// assert_eq!(db.info().device.io_uring, IoUringState::Off);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IoUring {
    /// Use it where the kernel has it and lets this process; [`IoUringState`] says whether.
    #[default]
    Preferred,
    /// Do not use it.
    Off,
}

/// What became of [`IoUring`].
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// use extentdb::IoUringState;
///
/// if let IoUringState::Unavailable { why } = db.info().device.io_uring {
///     eprintln!("threads issue the reads: {why}");
/// }
/// assert_eq!(IoUringState::Active.to_string(), "active");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoUringState {
    /// Reads that are issued together go through it.
    Active,
    /// They do not, since it cannot be used here: many containers forbid it.
    Unavailable {
        /// What stands against it.
        why: String,
    },
    /// They do not, as was asked for.
    Off,
}

impl fmt::Display for IoUringState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => f.write_str("active"),
            Self::Unavailable { why } => write!(f, "unavailable: {why}"),
            Self::Off => f.write_str("off"),
        }
    }
}
