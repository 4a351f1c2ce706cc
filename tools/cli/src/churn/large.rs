//! Uniformly random overwrites of large values: their space comes back without anything being
//! moved.

use super::choice::Choice;
use super::run::Run;
use super::session::Session;
use super::store::{Live, Plan};
use crate::measure::row::{Row, Unit};
use anyhow::Result;

const PART: &str = "large";
const VALUE_BYTES: u64 = 1 << 20;
/// Most writers: a value takes the device as long as many small ones.
const WRITERS: u16 = 16;
/// Live part of the volume.
const LIVE: f64 = 0.85;

/// One run.
pub(super) fn measure(session: &mut Session<'_>) -> Result<()> {
    session.attempt(PART, run)
}

fn run(session: &mut Session<'_>) -> Result<()> {
    let plan = Plan::of(session.args);
    let run = Run {
        part: PART.to_owned(),
        plan: Plan { value_bytes: VALUE_BYTES, writers: plan.writers.min(WRITERS), ..plan },
        live: Live::OfVolume(LIVE),
        choice: Choice::Uniform,
        utilization: None,
    };
    let ran = run.churn(session)?;
    let total = ran.churned.total();
    let amplification = total.amplification().unwrap_or(0.0);
    let collected = Row::new(PART, "collected", total.collected as f64, Unit::Bytes);
    session.answer([
        Row::new(PART, "write amplification", amplification, Unit::Ratio),
        collected.at_most(0.0),
    ])?;
    ran.finish(session)
}
