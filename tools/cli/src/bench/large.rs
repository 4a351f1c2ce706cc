//! Large values on a volume whose pages have all been written before, as where it has run for a while:
//! durable overwrites, copied or out of aligned memory, each beside raw transfers of as many bytes.

use super::part::Part;
use super::report::PartReport;
use super::rounds::Names;
use super::session::{Cell, Session};
use super::store::Store;
use crate::measure::drive::Limit;
use anyhow::Result;
use extentdb::Db;
use std::time::Duration;

const PART: &str = "large";
const VALUE_BYTES: u64 = 1 << 20;
/// One in so many bytes of the volume is live; and what is written before anything is measured, in
/// multiples of the volume: by then it does not grow any more.
const LIVE_PART: u64 = 4;
const WRITTEN_BEFORE: u64 = 2;
const PATIENCE: Duration = Duration::from_secs(600);
/// Writers at once.
const WRITERS: [usize; 2] = [1, 16];

/// All cells, on one volume.
pub(super) fn measure(session: &mut Session<'_>, db: &Db) -> Result<()> {
    session.part(PartReport::new(Part::Large, VALUE_BYTES))?;
    let mut store = Store::new(db.clone());
    let at_most = Limit::time(PATIENCE);
    let values = session.plan.volume_bytes / VALUE_BYTES;
    store.puts(VALUE_BYTES, 1, Limit { ops: values / LIVE_PART, ..at_most })?;
    let overwrites = Limit { ops: values * WRITTEN_BEFORE, ..at_most };
    store.overwrites(VALUE_BYTES, 1, overwrites)?;
    for writers in WRITERS {
        for aligned in [true, false] {
            overwrite(session, &mut store, writers, aligned)?;
        }
    }
    Ok(())
}

fn overwrite(
    session: &mut Session<'_>,
    store: &mut Store,
    writers: usize,
    aligned: bool,
) -> Result<()> {
    let call = if aligned { "put_aligned" } else { "put" };
    let name = format!("{call} 1 MiB, {writers} writers");
    let rounds = session.measure(
        Cell { part: PART, name: &name, kinds: &[""] },
        |_, limit| {
            let sample = match aligned {
                true => store.aligned_overwrites(VALUE_BYTES, writers, limit)?,
                false => store.overwrites(VALUE_BYTES, writers, limit)?,
            };
            Ok(vec![sample])
        },
        |scratch, limit| Ok(vec![scratch.writes(VALUE_BYTES, writers, limit)?]),
    )?;
    let names = Names { part: PART, what: &name, raw: "raw write and flush" };
    session.answer(rounds.iter().map(|rounds| rounds.rate(names, 1.0)))?;
    session.answer(rounds.iter().flat_map(|rounds| rounds.latencies(names)))
}
