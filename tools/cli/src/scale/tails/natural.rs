//! What checkpoints add to what is written, where they begin by themselves.

use super::{Tails, row};
use crate::args::ScaleArgs;
use crate::measure::load::Change;
use crate::measure::row::Unit;
use crate::progress::Progress;
use crate::scale::{child, store};
use anyhow::Result;
use extentdb::Metrics;

/// Checkpoints from the completion of the first to that of the last.
const CYCLES: u64 = 2;
/// Records between two looks.
const STEP: u64 = 1 << 14;
/// Records after which there is a checkpoint at the latest, once there is enough log.
const MOST_RECORDS: u64 = 4_100_000;
/// Most bytes of records that are written for one row, in bytes of a cycle as it is expected.
const CYCLES_AT_MOST: u64 = 4;

/// Bytes of log that a checkpoint is due after, at most: as records of `--put-bytes`.
pub(super) fn cycle_bytes(args: &ScaleArgs) -> u64 {
    let record = u64::from(args.put_bytes) + u64::from(args.key_bytes) + 40;
    (MOST_RECORDS * record).min(store::image_bytes(args) * 10).max(96 << 20)
}

impl Tails<'_> {
    /// A row for each size of values.
    pub(super) fn natural(&self) -> Result<()> {
        let sizes = [self.args.value_bytes, self.args.put_bytes];
        let sizes = if sizes[0] == sizes[1] { &sizes[..1] } else { &sizes[..] };
        sizes.iter().try_for_each(|&bytes| self.natural_of(bytes))
    }

    fn natural_of(&self, value_bytes: u32) -> Result<()> {
        let progress = Progress::endless("natural run,");
        let (mut first, begun) = (None, self.db.metrics());
        let (mut seen, bytes) = (self.checkpoints(), value_bytes as usize);
        let mut last = begun.clone();
        let (mut cycles, most) = (0, CYCLES_AT_MOST * cycle_bytes(self.args));
        while cycles < CYCLES && last.record_bytes - begun.record_bytes < most {
            self.load.run(STEP, None, |random, _| Change::Put {
                number: random.below(self.args.keys),
                version: 1,
                bytes,
            })?;
            last = self.db.metrics();
            progress.set(last.record_bytes - begun.record_bytes);
            let checkpoints = self.checkpoints();
            if checkpoints > seen {
                cycles += if first.is_some() { checkpoints - seen } else { 0 };
                first.get_or_insert_with(|| last.clone());
                seen = checkpoints;
            }
        }
        progress.finish();
        // Without whole cycles, all of it.
        answer(value_bytes, cycles, first.as_ref().unwrap_or(&begun), &last)
    }
}

fn answer(value_bytes: u32, cycles: u64, from: &Metrics, to: &Metrics) -> Result<()> {
    let records = (to.record_bytes - from.record_bytes).max(1) as f64;
    let added = (to.written.checkpoint - from.written.checkpoint) as f64 / records;
    let log = (to.written.log - from.written.log + to.written.large - from.written.large) as f64;
    let name = format!("checkpoints written per byte put, {value_bytes} B values");
    child::answer(&row(name, added, Unit::Ratio).beside("log and values", log / records))?;
    child::answer(&row("  whole cycles", cycles as f64, Unit::Count))?;
    child::answer(&row("  records", records, Unit::Bytes))
}
