//! `extentdb bench`: measures new volumes beside the raw device.
//!
//! 1. Each part has a new volume. There is one scratch file beside it, which is written once, so
//!    that the raw writes overwrite in place as the log does.
//! 2. Each measurement runs in rounds: the raw device, the store, the raw device again, so that a
//!    device that drifts does so for both. The raw side has as many threads as the store; phases
//!    of several writers measure a lone raw writer too, as their rate is compared to that.
//! 3. Every operation is timed. Every slice ends with its time, its share of the space, or when
//!    it has no keys left.

mod arrivals;
mod budget;
mod client;
mod depths;
mod export;
mod keys;
mod large;
mod loaded;
mod part;
mod phase;
mod phases;
mod report;
mod rounds;
mod session;
mod setup;
mod sizes;
mod store;
mod table;
mod ycsb;

use crate::Outcome;
use crate::args::BenchArgs;
use crate::measure::schedule;
use anyhow::{Result, bail};
use extentdb::Db;
use session::Session;

pub(crate) use part::Part;

/// Measures, and shows the results.
pub(crate) fn run(args: &BenchArgs) -> Result<Outcome> {
    let parts = Part::chosen(&args.only);
    if parts.len() > 1 && (args.keep || setup::is_block_device(&args.volume)) {
        bail!("each part needs a new volume: give --only one part for a device, or for --keep");
    }
    if parts.contains(&Part::OpenLoop) {
        schedule::sharpen_timers();
    }
    let (mut session, first) = Session::begin(args, parts[0])?;
    let mut first = Some(first);
    for part in parts {
        let db = match first.take() {
            Some(db) => db,
            None => session.create(part)?,
        };
        measure(&mut session, part, &db)?;
        db.close()?;
    }
    session.finish()?;
    Ok(Outcome::Done)
}

fn measure(session: &mut Session<'_>, part: Part, db: &Db) -> Result<()> {
    match part {
        Part::Phases => phases::measure(session, db),
        Part::Ycsb => ycsb::measure(session, db),
        Part::Sizes => sizes::measure(session, db),
        Part::Large => large::measure(session, db),
        Part::Depths => depths::measure(session, db),
        Part::OpenLoop => arrivals::measure(session, db),
        Part::All => Ok(()),
    }
}
