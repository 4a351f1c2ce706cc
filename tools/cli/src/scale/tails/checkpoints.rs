//! Whether a checkpoint is under way: whether any of it has been written lately.

use super::Tails;
use anyhow::{Context, Result};
use extentdb::Stage;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Time between looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A checkpoint that has written nothing for so long is over, or not on its way.
const LATELY: Duration = Duration::from_millis(50);
/// As above, where it matters more.
const SURELY: Duration = Duration::from_millis(300);
/// The longest that a checkpoint is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

impl Tails<'_> {
    /// Bytes of checkpoints that have been written.
    pub(super) fn checkpoint_bytes(&self) -> u64 {
        self.db.metrics().written.checkpoint
    }

    /// Checkpoints that have been completed.
    pub(super) fn checkpoints(&self) -> u64 {
        self.db.metrics().latency(Stage::Checkpoint).map_or(0, |latency| latency.samples)
    }

    /// Waits until no checkpoint is under way.
    pub(super) fn settle(&self) -> Result<()> {
        let (begun, mut written, mut since) = (Instant::now(), 0, Instant::now());
        while since.elapsed() < SURELY {
            (begun.elapsed() < PATIENCE).then_some(()).context("a checkpoint does not end")?;
            let now = self.checkpoint_bytes();
            if now != written {
                (written, since) = (now, Instant::now());
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Writes until a checkpoint begins by itself.
    pub(super) fn provoke(&self) -> Result<()> {
        let (begun, before) = (Instant::now(), self.checkpoint_bytes());
        while self.checkpoint_bytes() == before {
            (begun.elapsed() < PATIENCE).then_some(()).context("no checkpoint begins")?;
            self.load.overwrite_quietly(1 << 15, self.args.keys, 1)?;
        }
        Ok(())
    }

    /// Keeps `is_beside` up to date until `is_over`.
    pub(super) fn watch(&self, is_beside: &AtomicBool, is_over: &AtomicBool) {
        let (mut written, mut since) = (self.checkpoint_bytes(), None::<Instant>);
        while !is_over.load(Ordering::Relaxed) {
            let now = self.checkpoint_bytes();
            if now != written {
                (written, since) = (now, Some(Instant::now()));
            }
            let lately = since.is_some_and(|since| since.elapsed() < LATELY);
            is_beside.store(lately, Ordering::Relaxed);
            thread::sleep(LOOK_EVERY);
        }
    }
}
