//! The index as its views share it.

use super::pin::{Pin, Progress, Released};
use super::state::State;
use super::tree::Tree;
use crate::device::ForkGuard;
use crate::sync::{self, Arc, AtomicUsize, Ordering, ReadGuard, RwLock};
use std::hint::spin_loop;

/// How often readers are looked for that were waiting: for about as long as they take to wake up.
const LOOKS: u32 = if cfg!(extentdb_schedules) { 2 } else { 1000 };

pub(super) struct Shared {
    pub(super) state: RwLock<State>,
    /// Gets that wait for the lock.
    waiting: AtomicUsize,
    /// Tells a forked child, in which the lock may be held for good and the memory is missing.
    fork: ForkGuard,
}

/// Keeps a pin for the views that show it.
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
    pub(super) id: u64,
    pub(super) len: u64,
}

impl Shared {
    pub(super) fn new(tree: Tree) -> Self {
        let state = State { tree, ..State::default() };
        Self { state: RwLock::new(state), waiting: AtomicUsize::new(0), fork: ForkGuard::new() }
    }

    /// Shared access for a get.
    pub(super) fn read(&self) -> ReadGuard<'_, State> {
        self.state.try_read().unwrap_or_else(|| {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let state = self.state.read();
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            state
        })
    }

    /// Gives way to gets that wait, whoever holds nothing here. Not by yielding the processor: what
    /// runs there instead may be anything.
    pub(super) fn let_readers_in(&self) {
        for _ in 0..LOOKS {
            if self.waiting.load(Ordering::Relaxed) == 0 {
                return;
            }
            spin_loop();
        }
    }

    /// Pins this moment. Shares the newest pin if nothing has changed since.
    pub(super) fn pin(self: &Arc<Self>) -> Arc<Handle> {
        if let Some(handle) = newest_unchanged(&self.state.read()) {
            return handle;
        }
        let mut state = self.state.write();
        if let Some(handle) = newest_unchanged(&state) {
            return handle;
        }
        let id = state.pins.back().map_or(0, |pin| pin.id + 1);
        let handle = Arc::new(Handle { shared: Arc::clone(self), id, len: state.tree.len });
        state.pins.push_back(Pin {
            id,
            handle: Arc::downgrade(&handle),
            since: sync::now(),
            overlay: Tree::default(),
            held_bytes: 0,
        });
        handle
    }

    fn release(&self, id: u64) {
        let mut direction = None;
        loop {
            let progress = self.state.write().step(id, &mut direction);
            match progress {
                Progress::Going => sync::yield_now(),
                Progress::Gone(Some(pin)) => return self.release_all(&pin.overlay),
                Progress::Gone(None) => return,
            }
        }
    }

    /// Releases what the overlay of a pin that is gone has left, a leaf under each hold of the
    /// lock.
    fn release_all(&self, overlay: &Tree) {
        let mut released = Vec::new();
        overlay.each_leaf(&mut |leaf| {
            released.extend(Released::all_of(leaf));
            self.state.write().released.append(&mut released);
        });
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.shared.fork.is_child() {
            self.shared.release(self.id);
        }
    }
}

fn newest_unchanged(state: &State) -> Option<Arc<Handle>> {
    state.pins.back().filter(|pin| pin.overlay.len == 0)?.handle.upgrade()
}
