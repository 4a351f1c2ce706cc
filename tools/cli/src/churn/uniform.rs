//! Uniformly random overwrites, at each utilization: what the law is about.

use super::amplification;
use super::choice::Choice;
use super::run::Run;
use super::session::Session;
use super::store::{Live, Plan};
use anyhow::Result;

/// A run for each utilization.
pub(super) fn measure(session: &mut Session<'_>) -> Result<()> {
    for utilization in &session.args.utilization {
        let part = format!("uniform {utilization:.2}");
        session.attempt(&part, |session| run(session, &part, *utilization))?;
    }
    Ok(())
}

fn run(session: &mut Session<'_>, part: &str, utilization: f64) -> Result<()> {
    let run = Run {
        part: part.to_owned(),
        plan: Plan::of(session.args),
        live: Live::OfRoom { share: utilization, bytes: session.args.bytes },
        choice: Choice::Uniform,
        utilization: Some(utilization),
    };
    let ran = run.churn(session)?;
    session.answer(amplification::rows_of_law(part, &ran.churned, utilization))?;
    ran.finish(session)
}
