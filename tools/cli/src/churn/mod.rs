//! `extentdb churn`: measures garbage collection while keys are overwritten for long.
//!
//! 1. Each run has a new volume of fixed size, which is filled until a given share of its room is
//!    live.
//! 2. Its keys are overwritten by durable puts in a closed loop until several times the volume has
//!    been written. Somebody looks every 250 ms; the last half of what is seen is the steady state.
//! 3. The raw device is measured before, after, and by a few writes meanwhile.
//! 4. All keys are deleted, the garbage is collected, and the volume is checked.

mod amplification;
mod choice;
mod churned;
mod client;
mod counters;
mod disk;
mod drain;
mod html;
mod interval;
mod large;
mod latency;
mod law;
mod noted;
mod overload;
mod overwrite;
mod part;
mod raw;
mod report;
mod run;
mod session;
mod skewed;
mod snapshots;
mod store;
mod tails;
mod uniform;
mod watch;

use crate::Outcome;
use crate::args::ChurnArgs;
use crate::measure::{room, schedule};
use anyhow::{Result, bail};
use session::Session;

pub(crate) use part::Part;

/// Room that the file system must have beside the volume.
const SPARE_BYTES: u64 = 512 << 20;

/// Measures, and shows the results.
pub(crate) fn run(args: &ChurnArgs) -> Result<Outcome> {
    if args.volume.exists() {
        bail!("{} exists; give a path where nothing is", args.volume.display());
    }
    schedule::sharpen_timers();
    let mut session = Session::new(args)?;
    let needed = session.volumes() * args.bytes + SPARE_BYTES;
    room::check(&args.volume, needed, "give fewer --bytes")?;
    if session.wants(Part::Uniform) || session.wants(Part::Overload) {
        uniform::measure(&mut session)?;
    }
    if session.wants(Part::Zipf) {
        skewed::measure(&mut session)?;
    }
    if session.wants(Part::Large) {
        large::measure(&mut session)?;
    }
    if session.wants(Part::Tails) {
        tails::measure(&mut session)?;
    }
    if session.wants(Part::Snapshots) {
        snapshots::measure(&mut session)?;
    }
    Ok(if session.finish()? { Outcome::Done } else { Outcome::Partial })
}
