//! Whether a handle still works.

use crate::error::Error;
use crate::sync::Arc;

/// What [`Db::health`](crate::Db::health) says.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// use extentdb::Health;
///
/// match db.health() {
///     Health::Poisoned(cause) => eprintln!("reopen the volume: {cause}"),
///     health => assert!(health.is_healthy()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Health {
    /// Reads and writes work.
    Healthy,
    /// The device failed: reads of durable data work, writes do not. Reopen the volume. In a
    /// forked child the cause is [`Error::Forked`], and nothing works.
    Poisoned(Arc<Error>),
    /// The handle was closed.
    Closed,
}

impl Health {
    /// Whether reads and writes work.
    ///
    /// ```
    /// use extentdb::Health;
    ///
    /// assert!(Health::Healthy.is_healthy());
    /// assert!(!Health::Closed.is_healthy());
    /// ```
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy)
    }
}
