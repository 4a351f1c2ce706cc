//! The one door to threads, locks, atomics and clocks.
//!
//! Everything the engine does that a scheduler could reorder comes through here, so that a
//! controlled scheduler can stand in for the operating system in tests: with
//! `--cfg extentdb_schedules`, by `scripts/schedules`.

#[cfg(not(all(test, extentdb_schedules)))]
mod gate;
#[cfg(extentdb_tsan)]
mod instrumented;
#[cfg(not(all(test, extentdb_schedules)))]
mod parallel;
#[cfg(all(test, extentdb_schedules))]
mod scheduled;
#[cfg(not(all(test, extentdb_schedules)))]
mod system;

#[cfg(all(test, extentdb_schedules))]
use scheduled as given;
#[cfg(not(all(test, extentdb_schedules)))]
use system as given;

/// Waiting until a number is another one.
#[cfg(not(all(test, extentdb_schedules)))]
mod futex {
    pub(super) use atomic_wait::{wait, wake_all};
    pub(super) use std::sync::atomic::AtomicU32;
}

#[cfg(all(test, extentdb_schedules))]
pub(crate) use given::reset_clock;
pub(crate) use given::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use given::{
    Condvar, Gate, Instant, Mutex, MutexGuard, both, cores, for_each_on, for_each_parallel,
    for_each_prepared, now, sleep,
};
use given::{sync, thread};
use std::cell::Cell;
pub(crate) use std::sync::{Arc, Weak};
use std::sync::{PoisonError, TryLockError};
pub(crate) use std::time::Duration;

pub(crate) type ReadGuard<'a, T> = sync::RwLockReadGuard<'a, T>;
pub(crate) type WriteGuard<'a, T> = sync::RwLockWriteGuard<'a, T>;

/// A readers-writer lock with the same attitude to panics as [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> ReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if somebody writes.
    pub(crate) fn try_read(&self) -> Option<ReadGuard<'_, T>> {
        match self.0.try_read() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(crate) fn write(&self) -> WriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets other threads run first.
pub(crate) fn yield_now() {
    thread::yield_now();
}

/// A thread of the engine's own.
#[derive(Debug)]
pub(crate) struct Thread(thread::JoinHandle<()>);

impl Thread {
    /// Starts a thread named `name`.
    pub(crate) fn start(
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Thread> {
        thread::Builder::new().name(name.to_owned()).spawn(body).map(Thread)
    }

    /// Waits until the thread has ended, unless it is the calling one, or [may wait](without_joins) for it.
    pub(crate) fn join(self) {
        let may_join = self.0.thread().id() != thread::current().id() && !HOLDS_UP_OTHERS.get();
        if may_join {
            // A panic of the engine's thread has already poisoned the handle.
            let _ = self.0.join();
        }
    }
}

thread_local! {
    static HOLDS_UP_OTHERS: Cell<bool> = const { Cell::new(false) };
}

/// Calls `body`, in which this thread waits for no other to end: its caller may hold what they wait for.
pub(crate) fn without_joins<T>(body: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            HOLDS_UP_OTHERS.set(self.0);
        }
    }
    let _restore = Restore(HOLDS_UP_OTHERS.replace(true));
    body()
}

#[cfg(all(test, not(extentdb_schedules)))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_thread_joins_again_after_what_it_did_without_joins_panicked() {
        let join = || {
            let ended = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&ended);
            let thread = Thread::start("ends", move || {
                sleep(Duration::from_millis(20));
                flag.store(true, Ordering::Relaxed);
            });
            thread.unwrap().join();
            ended.load(Ordering::Relaxed)
        };
        assert!(join());
        assert!(!without_joins(join));
        catch_unwind(AssertUnwindSafe(|| without_joins(|| panic!("on purpose")))).unwrap_err();
        assert!(join());
    }
}
