//! The one door to threads, locks, atomics and clocks.
//!
//! Everything the engine does that a scheduler could reorder comes through here, so that a
//! controlled scheduler can stand in for the operating system in tests.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{self, PoisonError, mpsc};
pub(crate) use std::sync::{Arc, Weak};
pub(crate) use std::time::{Duration, Instant};

pub(crate) type MutexGuard<'a, T> = sync::MutexGuard<'a, T>;
pub(crate) type ReadGuard<'a, T> = sync::RwLockReadGuard<'a, T>;
pub(crate) type WriteGuard<'a, T> = sync::RwLockWriteGuard<'a, T>;

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

    pub(crate) fn write(&self) -> WriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
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
}

/// A number that only grows, and threads that wait until it has. All of them are woken by one
/// system call and take no lock on their way.
#[derive(Debug)]
pub(crate) struct Gate(AtomicU32);

impl Gate {
    pub(crate) const fn new(value: u32) -> Self {
        Self(AtomicU32::new(value))
    }

    pub(crate) fn get(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Sets the number and wakes everyone.
    pub(crate) fn open(&self, value: u32) {
        self.0.store(value, Ordering::Release);
        atomic_wait::wake_all(&self.0);
    }

    /// Waits until the number is at least `least`; returns it.
    pub(crate) fn wait_for(&self, least: u32) -> u32 {
        loop {
            let value = self.get();
            if value >= least {
                return value;
            }
            atomic_wait::wait(&self.0, value);
        }
    }
}

/// Processor cores that threads may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Runs `work` on this thread and on as many others as there are cores besides, and items, to
/// take items from a list. Fewer threads than that are no failure.
pub(crate) fn for_each_parallel<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let others = items.len().min(cores()).saturating_sub(1);
    let items = Mutex::new(items);
    let take_all = || {
        loop {
            let item = items.lock().pop();
            match item {
                Some(item) => work(item),
                None => return,
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..others {
            drop(std::thread::Builder::new().spawn_scoped(scope, take_all));
        }
        take_all();
    });
}

/// What both make, at the same time where there is a thread for it.
pub(crate) fn both<A: Send, B>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B,
) -> (A, B) {
    let first = Mutex::new(Some(first));
    let run = || {
        let first = first.lock().take();
        first.map(|first| first())
    };
    std::thread::scope(|scope| {
        let started = std::thread::Builder::new().spawn_scoped(scope, run);
        let made = second();
        let first = match started.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(first)) => first,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => run(),
        };
        (first.expect("one of the two ran it"), made)
    })
}

/// Walks `items`, made up to `ahead` of them ahead where there is a thread for it.
pub(crate) fn for_each_ahead<T: Send, E>(
    items: impl Iterator<Item = T> + Send,
    ahead: usize,
    mut each: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let items = Mutex::new(items);
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(ahead);
        // Ends early once nobody takes items any more.
        let maker = || {
            let sender = sender;
            let mut items = items.lock();
            items.by_ref().map(|item| sender.send(item)).all(|sent| sent.is_ok())
        };
        drop(std::thread::Builder::new().spawn_scoped(scope, maker));
        receiver.into_iter().try_for_each(&mut each)
    })?;
    // Whatever is left, where no thread was to be had.
    let mut items = items.lock();
    items.by_ref().try_for_each(each)
}

/// Monotonic time.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Lets other threads run first.
pub(crate) fn yield_now() {
    std::thread::yield_now();
}

/// Lets time pass on the calling thread.
pub(crate) fn sleep(span: Duration) {
    std::thread::sleep(span);
}

/// A thread of the engine's own.
#[derive(Debug)]
pub(crate) struct Thread(std::thread::JoinHandle<()>);

impl Thread {
    /// Starts a thread named `name`.
    pub(crate) fn start(
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Thread> {
        std::thread::Builder::new().name(name.to_owned()).spawn(body).map(Thread)
    }

    /// Waits until the thread has ended, unless it is the calling one.
    pub(crate) fn join(self) {
        if self.0.thread().id() != std::thread::current().id() {
            // A panic of the engine's thread has already poisoned the handle.
            let _ = self.0.join();
        }
    }
}
