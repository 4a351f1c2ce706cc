//! What the log needs from the engine around it.

use crate::error::{Error, Result};
use crate::format::ids::{ExtentNo, Incarnation};
use crate::sync::{Arc, Duration};

/// Supplies the log with extents and takes what it proves.
pub(crate) trait Host: Send + Sync + std::fmt::Debug {
    /// Applies entries, in log order; the answers to the conditional ones among them. The one
    /// function that recovery uses too (L1).
    fn apply(&self, entries: &[u8]) -> Vec<bool>;

    /// Whether a put is admitted that may, with those that are not applied yet, make the index so much
    /// longer.
    fn admits_put(&self, growth: usize) -> bool;

    /// Has such a put admitted, or says why not; for whoever holds no lock.
    fn admit_put(&self, growth: usize) -> Result<()>;

    /// Sets a free extent aside for the log. `Error::Full` when there is none, or when only what is
    /// left to deletes and the like is and `for_puts`.
    fn reserve_extent(&self, for_puts: bool) -> Result<ExtentNo>;

    /// Takes back an extent that was set aside and not used.
    fn return_extent(&self, extent: ExtentNo);

    /// Whether a page written to the extent costs one write and one flush.
    fn is_prepared(&self, extent: ExtentNo) -> bool;

    /// Writes zeros over an extent that was set aside, and makes them durable: at leisure, unless it
    /// `is_behind` with such a part of it done.
    fn prepare(&self, extent: ExtentNo, is_behind: &dyn Fn(f64) -> bool) -> Result<()>;

    /// Starts a fresh life of the extent, as one of the log (G4).
    fn open_log_extent(&self, extent: ExtentNo) -> Incarnation;

    /// The least time between a batch of so many bytes and the one before, where `fill` of the
    /// extent is used.
    fn delay(&self, bytes: usize, fill: f64) -> Duration;

    /// The log moved on to another extent.
    fn rotated(&self);

    /// The log will not write again.
    fn poisoned(&self, cause: &Arc<Error>);
}
