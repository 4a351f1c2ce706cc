//! What the writers of a batch wait on.

use crate::error::Error;
use crate::sync::{Arc, Gate, Mutex};

/// How far a batch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(super) enum Stage {
    /// Being filled or on its way.
    Pending = 0,
    /// It and every batch before it are written, and it is applied.
    Written = 1,
    /// It is durable and applied.
    Durable = 2,
}

/// Where the gate of a batch stands that failed.
const FAILED: u32 = 3;

#[derive(Debug, Default)]
struct Progress {
    outcomes: Arc<[bool]>,
    failure: Option<Error>,
}

/// Tells the writers of one batch when it reached their stage, and wakes no one else. They go on
/// without taking a lock, so that those of a large batch do not queue up behind one another.
#[derive(Debug)]
pub(super) struct Completion {
    reached: Gate,
    /// Written before the gate moves.
    progress: Mutex<Progress>,
}

impl Completion {
    pub(super) fn new() -> Self {
        Self {
            reached: Gate::new(Stage::Pending as u32),
            progress: Mutex::new(Progress::default()),
        }
    }

    /// The batch reached `stage`; `outcomes` has an answer for each conditional record.
    pub(super) fn reach(&self, stage: Stage, outcomes: &[bool]) {
        let mut progress = self.progress.lock();
        // A failure is final, and so is what came before it.
        if self.reached.get() >= stage as u32 {
            return;
        }
        if progress.outcomes.len() < outcomes.len() {
            progress.outcomes = Arc::from(outcomes);
        }
        self.reached.open(stage as u32);
    }

    /// The batch will never reach a later stage.
    pub(super) fn fail(&self, error: Error) {
        let mut progress = self.progress.lock();
        if self.reached.get() < Stage::Durable as u32 {
            progress.failure = Some(error);
            self.reached.open(FAILED);
        }
    }

    /// Waits for `stage`.
    pub(super) fn wait(&self, stage: Stage) -> Result<(), Error> {
        if self.reached.wait_for(stage as u32) < FAILED {
            return Ok(());
        }
        self.progress.lock().failure.clone().map_or(Ok(()), Err)
    }

    /// Waits for `stage`; returns the answers to the conditional records.
    pub(super) fn outcomes(&self, stage: Stage) -> Result<Arc<[bool]>, Error> {
        self.wait(stage)?;
        Ok(Arc::clone(&self.progress.lock().outcomes))
    }
}
