//! What the writers of a batch wait on.

use crate::error::Error;
use crate::sync::{Arc, Condvar, Mutex};

/// How far a batch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Being filled or on its way.
    Pending,
    /// It and every batch before it are written, and it is applied.
    Written,
    /// It is durable and applied.
    Durable,
}

#[derive(Debug)]
struct Progress {
    stage: Stage,
    outcomes: Arc<[bool]>,
    failure: Option<Error>,
}

/// Tells the writers of one batch when it reached their stage, and wakes no one else.
#[derive(Debug)]
pub(super) struct Completion {
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl Completion {
    pub(super) fn new() -> Self {
        let progress = Progress { stage: Stage::Pending, outcomes: Arc::from([]), failure: None };
        Self { progress: Mutex::new(progress), changed: Condvar::new() }
    }

    /// The batch reached `stage`; `outcomes` has an answer for each conditional record.
    pub(super) fn reach(&self, stage: Stage, outcomes: &[bool]) {
        let mut progress = self.progress.lock();
        if stage > progress.stage {
            progress.stage = stage;
            if progress.outcomes.len() < outcomes.len() {
                progress.outcomes = Arc::from(outcomes);
            }
            drop(progress);
            self.changed.notify_all();
        }
    }

    /// The batch will never reach a later stage.
    pub(super) fn fail(&self, error: Error) {
        let mut progress = self.progress.lock();
        progress.failure.get_or_insert(error);
        drop(progress);
        self.changed.notify_all();
    }

    /// Waits for `stage`; returns the answers to the conditional records.
    pub(super) fn wait(&self, stage: Stage) -> Result<Arc<[bool]>, Error> {
        let mut progress = self.progress.lock();
        loop {
            if progress.stage >= stage {
                return Ok(Arc::clone(&progress.outcomes));
            }
            if let Some(error) = &progress.failure {
                return Err(error.clone());
            }
            progress = self.changed.wait(progress);
        }
    }
}
