//! The raw device before, during and after a churn.

use super::store::Store;
use crate::args::ChurnArgs;
use crate::measure::drive::Limit;
use crate::measure::raw::Scratch;
use crate::measure::row::{Row, Unit};
use crate::measure::sample::{Sample, Summary};
use anyhow::Result;
use extentdb::AlignedBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

const PAGE: u64 = 4096;
/// Length of the scratch file, at most and as part of the volume.
const SCRATCH_BYTES: u64 = 128 << 20;
const SCRATCH_PART: u64 = 8;
/// Between writes of the raw device beside a churn: seldom enough to take nothing from it, and often
/// enough to meet whatever holds the device up for longer.
const PROBE_EVERY: Duration = Duration::from_millis(10);

/// The device under a store.
#[derive(Debug)]
pub(super) struct Device {
    scratch: Scratch,
    time: Duration,
}

impl Device {
    /// A scratch file beside the volume of `store`.
    pub(super) fn under(store: &Store, args: &ChurnArgs) -> Result<Self> {
        let len = (store.plan.volume_bytes / SCRATCH_PART).clamp(1 << 20, SCRATCH_BYTES);
        let scratch = Scratch::beside(&args.volume, len, &store.db)?;
        Ok(Self { scratch, time: Duration::from_secs_f64(args.seconds / 2.0) })
    }

    /// Pages that a lone writer writes, each with a flush of its own.
    pub(super) fn measure(&self) -> Result<Summary> {
        Ok(self.scratch.writes(PAGE, 1, Limit::time(self.time))?.summary(PAGE))
    }

    /// Does `work`. What the same pages take meanwhile, a few of them, shows what the device was held up
    /// by that is none of the store's doing, and by how busy the store keeps it.
    pub(super) fn beside<T>(&self, work: impl FnOnce() -> T) -> Result<(T, Summary)> {
        thread::scope(|scope| {
            let (end, over) = mpsc::channel();
            let probe = scope.spawn(|| self.probe(over));
            let done = work();
            drop::<mpsc::Sender<()>>(end);
            let met = probe.join().expect("a write does not panic")?;
            Ok((done, met.summary(PAGE)))
        })
    }

    fn probe(&self, over: Receiver<()>) -> Result<Sample> {
        let mut buf = AlignedBuf::new(PAGE as usize)?;
        let (mut sample, begun) = (Sample::new(), Instant::now());
        loop {
            let write = Instant::now();
            self.scratch.write(&mut buf)?;
            sample.record(write.elapsed(), 1);
            if over.recv_timeout(PROBE_EVERY) != Err(RecvTimeoutError::Timeout) {
                sample.took(begun.elapsed());
                return Ok(sample);
            }
        }
    }
}

/// What it showed.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) before: Summary,
    pub(super) during: Summary,
    pub(super) after: Summary,
}

impl Raw {
    /// The median while nothing else is done, before and after on average.
    pub(super) fn p50_s(&self) -> f64 {
        f64::midpoint(self.before.p50_ns as f64, self.after.p50_ns as f64) / 1e9
    }

    /// The longest.
    pub(super) fn worst_s(&self) -> f64 {
        let worst = [&self.before, &self.during, &self.after].map(|part| part.max_ns);
        worst.into_iter().fold(0, u64::max) as f64 / 1e9
    }

    pub(super) fn rows(&self, part: &str) -> [Row; 4] {
        let row = |name: &str, ns: u64, before: u64| {
            let row = Row::new(part, name, ns as f64 / 1e9, Unit::Seconds);
            row.beside("before the churn", before as f64 / 1e9)
        };
        let (before, during, after) = (&self.before, &self.during, &self.after);
        [
            row("raw write and flush, p50", after.p50_ns, before.p50_ns),
            row("raw write and flush, worst", after.max_ns, before.max_ns),
            row("  beside the churn, p50", during.p50_ns, before.p50_ns),
            row("  beside the churn, worst", during.max_ns, before.max_ns),
        ]
    }
}
