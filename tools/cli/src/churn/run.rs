//! One run: a volume is filled, and its keys are overwritten until it has been written over and
//! over.

use super::choice::Choice;
use super::churned::Churned;
use super::drain::drain;
use super::overwrite::overwrite;
use super::raw::{Device, Raw};
use super::report::RunReport;
use super::session::Session;
use super::store::{Live, Plan, Store};
use super::{amplification, latency};
use crate::measure::row::{Row, Unit};
use crate::measure::sample::Summary;
use anyhow::{Context, Result};

/// What is to be done.
#[derive(Debug)]
pub(super) struct Run {
    /// Its name, which its rows have as their part.
    pub(super) part: String,
    pub(super) plan: Plan,
    pub(super) live: Live,
    /// Says which keys are overwritten, given how many there are.
    pub(super) choice: fn(u64) -> Choice,
    /// The utilization of the law that the run is held against.
    pub(super) utilization: Option<f64>,
}

/// What was done, and the store that is left.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) part: String,
    store: Store,
    pub(super) churned: Churned,
    pub(super) puts: Summary,
    pub(super) raw: Raw,
}

impl Run {
    /// Fills a volume and overwrites its keys.
    pub(super) fn churn(self, session: &mut Session<'_>) -> Result<Ran> {
        let mut store = Store::create(session.args, self.plan)?;
        store.fill(self.live)?;
        session.answer(filled(&self.part, &store))?;
        let device = Device::under(&store, session.args)?;
        let before = device.measure()?;
        let bytes = (session.args.times * self.plan.volume_bytes as f64) as u64;
        let choice = (self.choice)(store.keys);
        let ((churned, puts), during) = device.beside(|| overwrite(&store, &choice, bytes, 1))?;
        session.report.runs.push(RunReport::new(&self.part, self.utilization, &store, &churned));
        let puts = puts.context("while churning")?.summary(self.plan.value_bytes);
        let raw = Raw { before, during, after: device.measure()? };
        Ok(Ran { part: self.part, store, churned, puts, raw })
    }
}

impl Ran {
    /// What all runs have to say, until nothing is left of the store.
    pub(super) fn finish(mut self, session: &mut Session<'_>) -> Result<()> {
        let part = &self.part;
        session.answer(amplification::rows(part, &self.churned))?;
        session.answer([contract(part, &self.churned)])?;
        session.answer(latency::rows(part, &self.puts, &self.raw))?;
        session.answer(drain(part, &mut self.store)?)?;
        self.store.close()
    }
}

/// How far the volume is filled.
pub(super) fn filled(part: &str, store: &Store) -> [Row; 2] {
    let live = store.db.metrics().live_bytes as f64;
    let live = Row::new(part, "live", live, Unit::Bytes);
    [
        Row::new(part, "keys", store.keys as f64, Unit::Count),
        live.beside("volume", store.plan.volume_bytes as f64),
    ]
}

/// Whether the space contract was kept.
pub(super) fn contract(part: &str, churned: &Churned) -> Row {
    let worst = churned.worst_used_for_allowed();
    Row::new(part, "used for allowed, at worst", worst, Unit::Ratio).at_most(1.0)
}
