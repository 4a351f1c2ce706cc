//! Wakers of tasks that wait for one thing.

use crate::seeded::{Bug, seeded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Tasks to be woken, each by the waker it gave last.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    /// Adds `waker`, unless it is the one at `slot`, which is where it was added before. Returns where it
    /// is. One task that waits for many things in a row has one place for all of them.
    pub(crate) fn register(&mut self, waker: &Waker, slot: Option<usize>) -> usize {
        if let Some(slot) = slot.filter(|&slot| self.0[slot].will_wake(waker)) {
            return slot;
        }
        if !self.0.last().is_some_and(|last| last.will_wake(waker)) {
            self.0.push(waker.clone());
        }
        self.0.len() - 1
    }

    /// Wakes them all. The caller holds no lock: what a waker does is not ours. A panic of one is
    /// no business of the thread that happens to call it.
    pub(crate) fn wake(self) {
        for waker in self.0.into_iter().filter(|_| !seeded(Bug::TaskNotWoken)) {
            drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
        }
    }
}
