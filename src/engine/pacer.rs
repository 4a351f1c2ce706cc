//! Leaves the machine to others between pieces of work that nobody waits for.

use super::core::Core;
use crate::sync::{self, Duration, Instant};
use std::cell::Cell;

/// The longest rest after one piece.
const LONGEST_REST: Duration = Duration::from_millis(100);

pub(super) struct Pacer<'a> {
    core: &'a Core,
    /// Whether somebody waits for the work.
    hurries: bool,
    begun: Cell<Instant>,
    busy: Cell<Duration>,
}

impl<'a> Pacer<'a> {
    pub(super) fn new(core: &'a Core, hurries: bool) -> Self {
        Self { core, hurries, begun: Cell::new(sync::now()), busy: Cell::default() }
    }

    pub(super) fn hurries(&self) -> bool {
        self.hurries
    }

    /// A piece of work is done.
    pub(super) fn pause(&self) {
        let took = self.begun.get().elapsed();
        self.busy.set(self.busy.get() + took);
        let idle = self.core.governor.idle_per_busy();
        if !self.hurries && idle > 0.0 {
            // Where the store closes, what follows hears of it by itself.
            self.core.garbage_bell.rest(took.mul_f64(idle).min(LONGEST_REST));
        }
        self.begun.set(sync::now());
    }

    /// What came since the last piece was waiting, for what others are held back for too.
    pub(super) fn waited(&self) {
        self.begun.set(sync::now());
    }

    /// Time that the work itself has taken.
    pub(super) fn busy(&self) -> Duration {
        self.busy.get() + self.begun.get().elapsed()
    }
}
