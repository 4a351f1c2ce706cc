//! What wakes a thread of the engine's own, and tells it to end.

use crate::sync::{self, Condvar, Duration, Mutex};

#[derive(Debug, Default)]
struct State {
    rung: bool,
    closing: bool,
}

/// Rung when there may be work.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<State>,
    changed: Condvar,
}

impl Bell {
    /// There may be work.
    pub(super) fn ring(&self) {
        self.state.lock().rung = true;
        self.changed.notify_all();
    }

    /// There will be no more work.
    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.changed.notify_all();
    }

    /// Waits until there may be work; false if there will be none.
    pub(super) fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while !state.rung && !state.closing {
            state = self.changed.wait(state);
        }
        state.rung = false;
        !state.closing
    }

    /// Lets `span` pass; false if there will be no more work.
    pub(super) fn rest(&self, span: Duration) -> bool {
        let until = sync::now() + span;
        let mut state = self.state.lock();
        while !state.closing {
            let left = until.saturating_duration_since(sync::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_for(state, left);
        }
        !state.closing
    }
}
