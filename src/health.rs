//! Whether a handle still works.

use crate::error::Error;
use crate::sync::Arc;

/// What [`Db::health`](crate::Db::health) says.
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
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy)
    }
}
