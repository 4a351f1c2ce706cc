//! Threads, locks and time of a controlled scheduler: one thread runs at a time, and which goes on is
//! decided at every lock, atomic and wait. See `sim::schedules`.
//!
//! Time passes when it is looked at, or waited for: whoever waits for a span lets the others run,
//! and the span is over. So a timed wait can end at any point of what the others do.

use super::Duration;
pub(super) use shuttle::{sync, thread};
use std::cell::Cell;
use std::ops::{Add, Deref, DerefMut};
use std::sync::PoisonError;

/// What passes between two looks at the clock.
const TICK: Duration = Duration::from_micros(1);

thread_local! {
    /// All threads of an execution are one of the operating system's.
    static CLOCK: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// A moment of the execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn elapsed(self) -> Duration {
        now().saturating_duration_since(self)
    }

    pub(crate) fn saturating_duration_since(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, span: Duration) -> Instant {
        Instant(self.0 + span)
    }
}

fn pass(span: Duration) -> Instant {
    CLOCK.set(CLOCK.get() + span);
    Instant(CLOCK.get())
}

/// Begins time anew, for an execution that is the same each time.
pub(crate) fn reset_clock() {
    CLOCK.set(Duration::ZERO);
}

/// Monotonic time.
pub(crate) fn now() -> Instant {
    pass(TICK)
}

/// Lets time pass on the calling thread.
pub(crate) fn sleep(span: Duration) {
    thread::yield_now();
    pass(span);
}

/// A mutex; see `system`.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

/// A mutex that is held, and which one.
pub(crate) struct MutexGuard<'a, T> {
    guard: sync::MutexGuard<'a, T>,
    mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard { guard, mutex: self }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A condition variable for [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Condvar(sync::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(&self, held: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let MutexGuard { guard, mutex } = held;
        let guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
        MutexGuard { guard, mutex }
    }

    /// Lets the span pass. A wakeup before it is over is none that a caller could tell.
    pub(crate) fn wait_for<'a, T>(
        &self,
        held: MutexGuard<'a, T>,
        limit: Duration,
    ) -> MutexGuard<'a, T> {
        let mutex = held.mutex;
        drop(held);
        sleep(limit);
        mutex.lock()
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }
}

/// A number that only grows, and threads that wait until it has.
#[derive(Debug)]
pub(crate) struct Gate {
    value: Mutex<u32>,
    moved: Condvar,
}

impl Gate {
    pub(crate) fn new(value: u32) -> Self {
        Self { value: Mutex::new(value), moved: Condvar::new() }
    }

    pub(crate) fn get(&self) -> u32 {
        *self.value.lock()
    }

    /// Sets the number and wakes everyone.
    pub(crate) fn open(&self, value: u32) {
        *self.value.lock() = value;
        self.moved.notify_all();
    }

    /// Waits until the number is at least `least`; returns it.
    pub(crate) fn wait_for(&self, least: u32) -> u32 {
        let mut value = self.value.lock();
        while *value < least {
            value = self.moved.wait(value);
        }
        *value
    }
}

/// One: work that is spread over threads shares nothing that a schedule could show.
pub(crate) fn cores() -> usize {
    1
}

/// Runs `work` on the items of a list.
pub(crate) fn for_each_parallel<T>(items: Vec<T>, work: impl Fn(T)) {
    items.into_iter().rev().for_each(work);
}

/// Runs `work` on the items of a list, on this thread.
pub(crate) fn for_each_on<T>(_: usize, items: Vec<T>, work: impl Fn(T)) {
    for_each_parallel(items, work);
}

/// What both make.
pub(crate) fn both<A, B>(first: impl FnOnce() -> A, second: impl FnOnce() -> B) -> (A, B) {
    (first(), second())
}

/// Walks `items`.
pub(crate) fn for_each_prepared<T, P, E>(
    items: impl Iterator<Item = T>,
    _: usize,
    prepare: impl Fn(T) -> P,
    each: impl FnMut(P) -> Result<(), E>,
) -> Result<(), E> {
    items.map(prepare).try_for_each(each)
}
