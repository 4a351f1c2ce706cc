//! The results as JSON.

use super::churned::Churned;
use super::interval::Interval;
use super::law;
use super::store::Store;
use crate::args::ChurnArgs;
use crate::measure::row::Row;
use crate::size;
use serde::Serialize;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    volume: String,
    bytes: u64,
    value_bytes: u64,
    writers: u16,
    times: f64,
    pub(super) rows: Vec<Row>,
    pub(super) runs: Vec<RunReport>,
    pub(super) failures: Vec<Failure>,
}

/// A part that was not carried through.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    pub(super) part: String,
    pub(super) what: String,
}

/// One run, interval by interval.
#[derive(Debug, Serialize)]
pub(super) struct RunReport {
    pub(super) part: String,
    pub(super) volume_bytes: u64,
    pub(super) value_bytes: u64,
    pub(super) writers: u16,
    pub(super) keys: u64,
    /// The law that the run is held against, if any.
    pub(super) law: Option<f64>,
    pub(super) intervals: Vec<Interval>,
}

impl Report {
    /// A report without rows so far.
    pub(super) fn new(args: &ChurnArgs) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            volume: args.volume.display().to_string(),
            bytes: args.bytes,
            value_bytes: args.value_bytes,
            writers: args.writers,
            times: args.times,
            rows: Vec::new(),
            runs: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// What stands above the table.
    pub(super) fn head(&self) -> String {
        format!(
            "volume   {}, {} claimed at once\n\
             keys     16 bytes, random; values of {}, incompressible\n\
             writers  {}, durable puts in a closed loop, until {} x the volume is written\n\n",
            self.volume,
            size::show(self.bytes),
            size::show(self.value_bytes),
            self.writers,
            self.times,
        )
    }
}

impl RunReport {
    /// A churn of `store`, held against the law at `utilization` if at any.
    pub(super) fn new(
        part: &str,
        utilization: Option<f64>,
        store: &Store,
        churned: &Churned,
    ) -> Self {
        let plan = &store.plan;
        Self {
            part: part.to_owned(),
            volume_bytes: plan.volume_bytes,
            value_bytes: plan.value_bytes,
            writers: plan.writers,
            keys: store.keys,
            law: utilization.map(law::greedy),
            intervals: churned.intervals.clone(),
        }
    }
}
