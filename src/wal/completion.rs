//! What the writers of a batch wait on, by thread or by waker.

use super::wakers::Wakers;
use crate::error::Error;
use crate::sync::{Arc, Gate, Instant, Mutex};
use std::task::Waker;

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
    /// Who is to be woken when the batch is written, and when it is durable.
    wakers: [Wakers; 2],
    /// When operations of tasks began that are timed, and the stage that each waits for.
    timed: Vec<(Stage, Instant)>,
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

    /// Makes it one of another batch. The memory of its wakers is kept.
    pub(super) fn renew(&mut self) {
        self.reached = Gate::new(Stage::Pending as u32);
        self.progress = Mutex::default();
    }

    /// An operation that began at `begun` is timed until the batch reaches `stage`.
    pub(super) fn time(&self, stage: Stage, begun: Instant) {
        self.progress.lock().timed.push((stage, begun));
    }

    /// The batch reached `stage`; `outcomes` has an answer for each conditional record. The caller
    /// holds no lock, as wakers are called. `timed` is told when the timed operations began that this
    /// ends, before they are answered.
    pub(super) fn reach(&self, stage: Stage, outcomes: &[bool], timed: impl Fn(Instant)) {
        let mut progress = self.progress.lock();
        // A failure is final, and so is what came before it.
        if self.reached.get() >= stage as u32 {
            return;
        }
        if progress.outcomes.len() < outcomes.len() {
            progress.outcomes = Arc::from(outcomes);
        }
        let ended = progress.timed.extract_if(.., |(awaited, _)| *awaited <= stage);
        ended.for_each(|(_, begun)| timed(begun));
        self.reached.open(stage as u32);
        let wakers = progress.take_wakers(stage);
        drop(progress);
        wakers.into_iter().for_each(Wakers::wake);
    }

    /// The batch will never reach a later stage. Returns who is to be woken once no lock is held.
    #[must_use]
    pub(super) fn fail(&self, error: Error) -> Option<[Wakers; 2]> {
        let mut progress = self.progress.lock();
        if self.reached.get() >= Stage::Durable as u32 {
            return None;
        }
        progress.failure = Some(error);
        self.reached.open(FAILED);
        Some(progress.take_wakers(Stage::Durable))
    }

    /// What came of `stage`; `None` if the batch is not there yet, and then `waker` will be woken when it
    /// is. `slot` is where it was registered before, if it was.
    pub(super) fn poll(
        &self,
        stage: Stage,
        waker: &Waker,
        slot: &mut Option<usize>,
    ) -> Option<Result<(), Error>> {
        if self.reached.get() < stage as u32 {
            let mut progress = self.progress.lock();
            // Whoever moves it on holds the lock.
            if self.reached.get() < stage as u32 {
                *slot = Some(progress.wakers_of(stage).register(waker, *slot));
                return None;
            }
        }
        Some(self.wait(stage))
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

impl Progress {
    fn wakers_of(&mut self, stage: Stage) -> &mut Wakers {
        &mut self.wakers[usize::from(stage == Stage::Durable)]
    }

    /// Those who wait for `stage`, or for less.
    fn take_wakers(&mut self, stage: Stage) -> [Wakers; 2] {
        let [written, durable] = &mut self.wakers;
        let durable =
            if stage == Stage::Durable { std::mem::take(durable) } else { Wakers::default() };
        [std::mem::take(written), durable]
    }
}
