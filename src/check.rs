//! What a full check found.

use crate::error::Error;

/// Result of [`Db::check`](crate::Db::check).
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
    /// Damage that costs nothing yet: a copy of what is there twice. Closing the volume mends it.
    pub warnings: Vec<String>,
    /// What is damaged; each names the page, and the key where there is one.
    pub problems: Vec<Error>,
}

impl CheckReport {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}
