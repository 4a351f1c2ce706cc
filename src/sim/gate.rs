//! Transfers that take until a test lets them go on.

use crate::sync::{Condvar, Mutex};
use std::io;

/// Where transfers stand until it is opened; it is open at first.
#[derive(Debug, Default)]
pub(super) struct Gate {
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    /// Whether nobody goes through.
    closed: bool,
    waiting: usize,
    /// Whether those who go through have failed.
    fails: bool,
}

impl Gate {
    pub(super) fn pass(&self) -> io::Result<()> {
        let mut held = self.held.lock();
        held.waiting += 1;
        self.changed.notify_all();
        while held.closed {
            held = self.changed.wait(held);
        }
        held.waiting -= 1;
        if held.fails { Err(io::Error::other("injected")) } else { Ok(()) }
    }

    pub(super) fn close(&self) {
        self.held.lock().closed = true;
    }

    /// Waits until so many stand before it.
    pub(super) fn await_waiting(&self, count: usize) {
        let mut held = self.held.lock();
        while held.waiting < count {
            held = self.changed.wait(held);
        }
    }

    pub(super) fn open(&self, fails: bool) {
        let mut held = self.held.lock();
        (held.closed, held.fails) = (false, fails);
        self.changed.notify_all();
    }
}
