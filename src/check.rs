//! What a full check found.

use crate::error::Error;

/// Result of [`Db::check`](crate::Db::check).
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// db.put("k", "value")?;
/// let report = db.check()?;
/// assert_eq!((report.keys, report.value_bytes), (1, 5));
/// assert!(report.is_clean() && report.warnings.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CheckReport {
    /// Keys whose values were read.
    pub keys: u64,
    /// Bytes of values that were read and verified.
    pub value_bytes: u64,
    /// Batches of the log that were read and verified.
    pub batches: u64,
    /// Extents of the log.
    pub log_extents: u64,
    /// Slices of checkpoint images that were read and verified.
    pub slices: u64,
    /// Damage that costs nothing yet: a copy of what is there twice. Closing the volume mends
    /// superblocks, [`Db::checkpoint`](crate::Db::checkpoint) checkpoints.
    pub warnings: Vec<String>,
    /// What is damaged; each names the page, and the key where there is one. Where what memory says of
    /// an extent is wrong it is [`Error::Miscounted`].
    pub problems: Vec<Error>,
}

impl CheckReport {
    /// Whether nothing is damaged.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let report = db.check()?;
    /// for problem in &report.problems {
    ///     eprintln!("{problem}");
    /// }
    /// assert!(report.is_clean());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}
