//! What many threads wait for at once.

use super::Ordering;
use super::futex::{self, AtomicU32};

/// A number that only grows, and threads that wait until it has. All of them are woken by one
/// system call and take no lock on their way.
#[derive(Debug)]
pub(crate) struct Gate(AtomicU32);

impl Gate {
    pub(crate) fn new(value: u32) -> Self {
        Self(AtomicU32::new(value))
    }

    pub(crate) fn get(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Sets the number and wakes everyone.
    pub(crate) fn open(&self, value: u32) {
        self.0.store(value, Ordering::Release);
        futex::wake_all(&self.0);
    }

    /// Waits until the number is at least `least`; returns it.
    pub(crate) fn wait_for(&self, least: u32) -> u32 {
        loop {
            let value = self.get();
            if value >= least {
                return value;
            }
            futex::wait(&self.0, value);
        }
    }
}
