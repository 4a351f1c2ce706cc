//! Uniformly random overwrites, at each utilization: what the law is about.

use super::choice::Choice;
use super::part::Part;
use super::run::Run;
use super::session::Session;
use super::store::{Live, Plan};
use super::{amplification, overload};
use crate::args::ChurnArgs;
use anyhow::Result;

/// A run for each utilization; only for the highest where no more than overload is wanted.
pub(super) fn measure(session: &mut Session<'_>) -> Result<()> {
    let args = session.args;
    let wanted = |utilization: f64| session.wants(Part::Uniform) || utilization == highest(args);
    let utilizations: Vec<f64> = args.utilization.iter().copied().filter(|u| wanted(*u)).collect();
    for utilization in utilizations {
        let part = format!("uniform {utilization:.2}");
        session.attempt(&part, |session| run(session, &part, utilization))?;
    }
    Ok(())
}

fn highest(args: &ChurnArgs) -> f64 {
    args.utilization.iter().copied().fold(0.0, f64::max)
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
    session.answer([amplification::row_as_met(part, &ran.churned)])?;
    let overload = overload::rows(&ran);
    ran.finish(session)?;
    if utilization == highest(session.args) && session.wants(Part::Overload) {
        session.answer(overload)?;
    }
    Ok(())
}
