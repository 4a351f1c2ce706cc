//! What one process does: it opens one store, does one kind of work, and says what it took.

use crate::cell::{Cell, Work};
use crate::cgroup;
use crate::drive::{Limit, Sample};
use crate::files::{Disk, stored_bytes};
use crate::message::{Message, say};
use crate::outcome::Outcome;
use crate::peer::{Kind, Setup};
use crate::shape::key;
use crate::usage::{Resident, Usage};
use crate::watch::Watch;
use crate::work::Worker;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Part of the measured time for which the same is done before.
const WARM_UP: f64 = 0.3;

/// What a process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) kind: Kind,
    /// Where the store is.
    pub(crate) dir: PathBuf,
    pub(crate) cell: Cell,
    pub(crate) setup: Setup,
    pub(crate) round: u64,
    pub(crate) seconds: f64,
    /// Puts end at this many bytes.
    pub(crate) most_bytes: u64,
    /// The file of processes of the cgroup to join, if any.
    pub(crate) processes: Option<PathBuf>,
    /// Whether to write until killed, instead.
    pub(crate) is_doomed: bool,
}

impl Task {
    /// Does it, and says what it took.
    pub(crate) fn run(&self) -> Result<()> {
        if let Some(processes) = &self.processes {
            cgroup::join(processes)?;
        }
        if self.is_doomed {
            return self.write_until_killed();
        }
        let outcome = match self.cell.work {
            Work::Open => self.open(),
            _ => self.measure(),
        };
        say(&Message::Done(outcome?))
    }

    fn write_until_killed(&self) -> Result<()> {
        let store = self.kind.open(&self.dir, &self.setup)?;
        say(&Message::Ready)?;
        let puts = Cell { work: Work::Put, ..self.cell.clone() };
        let limit = Limit { time: Duration::from_secs(3600), calls: u64::MAX };
        Worker::new(&puts, self.kind, self.round)?.run(&*store, limit)?;
        Ok(())
    }

    /// Opens, warms up, works, closes.
    fn measure(&self) -> Result<Outcome> {
        let disk = Disk::under(&self.dir)?;
        let worker = Worker::new(&self.cell, self.kind, self.round)?;
        let store = self.kind.open(&self.dir, &self.setup)?;
        if !self.cell.is_once() {
            worker.warm_up(&*store, self.limit(WARM_UP))?;
        }
        let watch = Watch::start(&self.dir, self.cell.is_once());
        let before = Usage::now(&disk)?;
        let sample = worker.run(&*store, self.limit(1.0))?;
        let (after, resident) = (Usage::now(&disk)?, Resident::now()?);
        store.close()?;
        let mut used = Usage::now(&disk)?.since(&before);
        if !self.cell.is_once() {
            // Of a long run, what it leaves to the background is a part.
            used.cpu_us = after.since(&before).cpu_us;
        }
        Ok(self.outcome(&sample, used, resident, watch.stop()))
    }

    /// Opens, and gets one value.
    fn open(&self) -> Result<Outcome> {
        let disk = Disk::under(&self.dir)?;
        let before = Usage::now(&disk)?;
        let begun = Instant::now();
        let store = self.kind.open(&self.dir, &self.setup)?;
        let is_there = store.get(&key(0), &mut |_| {})?;
        let sample = Sample::one(begun.elapsed())?;
        ensure!(is_there, "a value is gone");
        let (used, resident) = (Usage::now(&disk)?.since(&before), Resident::now()?);
        store.close()?;
        Ok(self.outcome(&sample, used, resident, 0))
    }

    /// A share of the time, and of the bytes where it writes.
    fn limit(&self, share: f64) -> Limit {
        let calls = match self.cell.work {
            Work::Load => self.cell.keys,
            Work::Put | Work::Churn => (self.most_bytes / self.cell.record_bytes()).max(1),
            _ => u64::MAX,
        };
        Limit {
            time: Duration::from_secs_f64(self.seconds * share),
            calls: (calls as f64 * share) as u64,
        }
    }

    fn outcome(&self, sample: &Sample, used: Usage, resident: Resident, most: u64) -> Outcome {
        let stored = stored_bytes(&self.dir);
        let is_put = matches!(self.cell.work, Work::Load | Work::Put | Work::Churn);
        let quantile = |q| sample.latencies.value_at_quantile(q) as f64 / 1e9;
        let seconds = sample.elapsed.as_secs_f64();
        Outcome {
            rate: sample.items as f64 / seconds.max(f64::MIN_POSITIVE),
            seconds,
            calls: sample.latencies.len(),
            p50: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: quantile(1.0),
            cpu_us: used.cpu_us as f64 / sample.items.max(1) as f64,
            resident: resident.peak as f64,
            anonymous: resident.anonymous as f64,
            put_bytes: if is_put { (sample.items * self.cell.record_bytes()) as f64 } else { 0.0 },
            process_written: used.process_written as f64,
            device_written: used.device_written as f64,
            stored: stored as f64,
            most_stored: most.max(stored) as f64,
        }
    }
}
