//! What one store took for one cell.

use crate::cell::Cell;
use crate::outcome::Outcome;
use crate::peer::Kind;
use serde::Serialize;

/// A row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) cell: Cell,
    pub(crate) title: String,
    pub(crate) kind: Kind,
    pub(crate) durability: &'static str,
    /// Rounds that ended; figures are medians of them.
    pub(crate) rounds: usize,
    pub(crate) failures: Vec<String>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) to_raw: Option<Ratio>,
    pub(crate) to_extentdb: Option<Ratio>,
}

/// This store's figures for another's: medians over rounds, of which each has both.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Ratio {
    pub(crate) rate: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) cpu: f64,
}

impl Row {
    /// Bytes of disk for each that is live; of the device there are none.
    pub(super) fn space(&self, stored: fn(&Outcome) -> f64) -> Option<f64> {
        let live = (self.kind != Kind::Raw).then(|| self.cell.dataset_bytes() as f64)?;
        Some(stored(self.outcome.as_ref()?) / live)
    }
}
