//! What the rounds show together.

use super::PART;
use super::slice::Slice;
use crate::measure::median::Quantiles;
use crate::measure::row::{Row, Unit};
use crate::measure::sample::Summary;
use crate::measure::stages;
use anyhow::{Result, ensure};

/// A slice of each store in each round.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    pub(super) tight: Vec<Slice>,
    pub(super) roomy: Vec<Slice>,
}

impl Rounds {
    /// Medians over the rounds, the tight store beside the roomy one.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = self.quantiles("get", |slice| &slice.get);
        rows.extend(self.quantiles("put at 70 %", |slice| &slice.put));
        let metrics = |slices: &[Slice]| -> Vec<_> {
            slices.iter().map(|slice| slice.metrics.clone()).collect()
        };
        let (tight, roomy) = (metrics(&self.tight), metrics(&self.roomy));
        rows.extend(stages::rows(PART, &tight, "nothing collected", &roomy));
        rows.push(self.bytes("collected", |slice| slice.written.collected));
        rows.push(self.bytes("log written", |slice| slice.written.log));
        rows.push(self.bytes("preparation written", |slice| slice.written.prepared));
        rows.push(self.bytes("checkpoints written", |slice| slice.written.checkpoint));
        rows
    }

    fn quantiles(&self, name: &str, of: fn(&Slice) -> &Summary) -> Vec<Row> {
        let named = |slices: &[Slice]| {
            let summaries: Vec<Summary> = slices.iter().map(|slice| of(slice).clone()).collect();
            Quantiles::of(&summaries).named()
        };
        let pairs = named(&self.tight).into_iter().zip(named(&self.roomy));
        pairs
            .map(|((quantile, tight), (_, roomy))| {
                let row = Row::new(PART, format!("{name}, {quantile}"), tight, Unit::Seconds);
                row.beside("nothing collected", roomy)
            })
            .collect()
    }

    fn bytes(&self, name: &str, of: fn(&Slice) -> u64) -> Row {
        let row = Row::new(PART, name, sum(&self.tight, of) as f64, Unit::Bytes);
        row.beside("roomy", sum(&self.roomy, of) as f64)
    }

    /// Whether garbage was collected in the one store and in it alone: else there is nothing to
    /// compare.
    pub(super) fn check(&self) -> Result<()> {
        let collected = |slices| sum(slices, |slice| slice.written.collected);
        ensure!(collected(&self.tight) > 0, "nothing was collected in the tight store");
        ensure!(collected(&self.roomy) == 0, "garbage was collected in the roomy store");
        Ok(())
    }
}

fn sum(slices: &[Slice], of: fn(&Slice) -> u64) -> u64 {
    slices.iter().map(of).sum()
}
