//! Locks, threads and time of the operating system.

use super::Duration;
pub(crate) use super::gate::Gate;
#[cfg(extentdb_tsan)]
pub(super) use super::instrumented as sync;
pub(crate) use super::parallel::{both, cores, for_each_on, for_each_parallel, for_each_prepared};
#[cfg(not(extentdb_tsan))]
pub(super) use std::sync;
use std::sync::PoisonError;
pub(super) use std::thread;
pub(crate) use std::time::Instant;

pub(crate) type MutexGuard<'a, T> = sync::MutexGuard<'a, T>;

/// A mutex that a panicking thread does not poison: the engine poisons itself (E1p) where a
/// panic could leave a half-made change.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A condition variable for [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Condvar(sync::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait_for<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> MutexGuard<'a, T> {
        self.0.wait_timeout(guard, limit).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }
}

/// Monotonic time.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Lets time pass on the calling thread.
pub(crate) fn sleep(span: Duration) {
    thread::sleep(span);
}
