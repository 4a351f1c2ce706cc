//! The raw device before and after a churn.

use super::store::Store;
use crate::args::ChurnArgs;
use crate::measure::drive::Limit;
use crate::measure::raw::Scratch;
use crate::measure::row::{Row, Unit};
use crate::measure::sample::Summary;
use anyhow::Result;
use std::time::Duration;

const PAGE: u64 = 4096;
/// Length of the scratch file, at most and as part of the volume.
const SCRATCH_BYTES: u64 = 128 << 20;
const SCRATCH_PART: u64 = 8;

/// The device under a store.
#[derive(Debug)]
pub(super) struct Device {
    scratch: Scratch,
    time: Duration,
}

impl Device {
    /// A scratch file beside the volume of `store`.
    pub(super) fn under(store: &Store, args: &ChurnArgs) -> Result<Self> {
        let len = (store.plan.volume_bytes / SCRATCH_PART).clamp(1 << 20, SCRATCH_BYTES);
        let scratch = Scratch::beside(&args.volume, len, &store.db)?;
        Ok(Self { scratch, time: Duration::from_secs_f64(args.seconds / 2.0) })
    }

    /// Pages that a lone writer writes, each with a flush of its own.
    pub(super) fn measure(&self) -> Result<Summary> {
        Ok(self.scratch.writes(PAGE, 1, Limit::time(self.time))?.summary(PAGE))
    }
}

/// What it showed.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) before: Summary,
    pub(super) after: Summary,
}

impl Raw {
    /// The median, before and after on average.
    pub(super) fn p50_s(&self) -> f64 {
        f64::midpoint(self.before.p50_ns as f64, self.after.p50_ns as f64) / 1e9
    }

    /// The longest.
    pub(super) fn worst_s(&self) -> f64 {
        self.before.max_ns.max(self.after.max_ns) as f64 / 1e9
    }

    pub(super) fn rows(&self, part: &str) -> [Row; 2] {
        let row = |name: &str, before: u64, after: u64| {
            let row = Row::new(part, name, after as f64 / 1e9, Unit::Seconds);
            row.beside("before the churn", before as f64 / 1e9)
        };
        [
            row("raw write and flush, p50", self.before.p50_ns, self.after.p50_ns),
            row("raw write and flush, worst", self.before.max_ns, self.after.max_ns),
        ]
    }
}
