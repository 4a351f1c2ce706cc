//! Skewed overwrites: collection must gain from keys that die young.

use super::amplification;
use super::choice::Choice;
use super::run::Run;
use super::session::Session;
use super::store::{Live, Plan};
use anyhow::Result;

const PART: &str = "zipf";
/// Live part of what the volume has room for.
pub(super) const UTILIZATION: f64 = 0.75;

/// One run.
pub(super) fn measure(session: &mut Session<'_>) -> Result<()> {
    session.attempt(PART, run)
}

fn run(session: &mut Session<'_>) -> Result<()> {
    let run = Run {
        part: PART.to_owned(),
        plan: Plan::of(session.args),
        live: Live::OfRoom { share: UTILIZATION, bytes: session.args.bytes },
        choice: Choice::zipf,
        utilization: Some(UTILIZATION),
    };
    let ran = run.churn(session)?;
    session.answer(amplification::rows_of_law(PART, &ran.churned, UTILIZATION))?;
    session.answer([amplification::row_as_met(PART, &ran.churned).at_most(1.0)])?;
    ran.finish(session)
}
