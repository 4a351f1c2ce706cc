//! What `src/sync.rs` gives the engine, of loom.
//!
//! loom knows acquire and release, and of what is sequentially consistent only fences. An access that is
//! to be that has one on either side. That is right for cells all of whose accesses are.

pub(crate) use crate::gate::Gate;
use loom::sync::atomic;
pub(crate) use loom::sync::atomic::Ordering;
pub(crate) use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64 as Plain};
pub(crate) use std::time::Instant;

/// What accesses are taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Strength {
    /// What they are: there is one order of all of them.
    Total,
    /// Those that should be sequentially consistent are releases and acquires.
    Acquire,
    /// All are nothing but accesses.
    Relaxed,
}

// Not loom's: they are the same for all executions.
static STRENGTH: AtomicU8 = AtomicU8::new(0);
static EXECUTIONS: Plain = Plain::new(0);

pub(crate) fn set_strength(strength: Strength) {
    STRENGTH.store(strength as u8, Ordering::SeqCst);
}

pub(crate) fn count_execution() {
    EXECUTIONS.fetch_add(1, Ordering::SeqCst);
}

pub(crate) fn executions() -> u64 {
    EXECUTIONS.load(Ordering::SeqCst)
}

pub(crate) fn access<R>(
    order: Ordering,
    weaker: Ordering,
    access: impl FnOnce(Ordering) -> R,
) -> R {
    let strength = STRENGTH.load(Ordering::SeqCst);
    if strength == Strength::Relaxed as u8 {
        return access(Ordering::Relaxed);
    }
    if order != Ordering::SeqCst {
        return access(order);
    }
    if strength == Strength::Acquire as u8 {
        return access(weaker);
    }
    atomic::fence(Ordering::SeqCst);
    let done = access(weaker);
    atomic::fence(Ordering::SeqCst);
    done
}

#[derive(Debug, Default)]
pub(crate) struct AtomicU64(atomic::AtomicU64);

impl AtomicU64 {
    pub(crate) fn new(value: u64) -> Self {
        Self(atomic::AtomicU64::new(value))
    }

    pub(crate) fn load(&self, order: Ordering) -> u64 {
        access(order, Ordering::Acquire, |order| self.0.load(order))
    }

    pub(crate) fn store(&self, value: u64, order: Ordering) {
        access(order, Ordering::Release, |order| self.0.store(value, order));
    }

    pub(crate) fn fetch_add(&self, more: u64, order: Ordering) -> u64 {
        access(order, Ordering::AcqRel, |order| self.0.fetch_add(more, order))
    }

    pub(crate) fn fetch_sub(&self, less: u64, order: Ordering) -> u64 {
        access(order, Ordering::AcqRel, |order| self.0.fetch_sub(less, order))
    }
}

/// As the engine's, which no panic poisons.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }
}
