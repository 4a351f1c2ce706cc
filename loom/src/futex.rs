//! Waiting until a number is another one, as the kernel has it: whoever waits looks once more where
//! nobody can be woken meanwhile.

use crate::sync::{Ordering, access};
use loom::sync::{Condvar, Mutex, atomic};

#[derive(Debug)]
pub(crate) struct AtomicU32 {
    value: atomic::AtomicU32,
    sleepers: Mutex<()>,
    woken: Condvar,
}

impl AtomicU32 {
    pub(crate) fn new(value: u32) -> Self {
        let (sleepers, woken) = (Mutex::new(()), Condvar::new());
        Self { value: atomic::AtomicU32::new(value), sleepers, woken }
    }

    pub(crate) fn load(&self, order: Ordering) -> u32 {
        access(order, Ordering::Acquire, |order| self.value.load(order))
    }

    pub(crate) fn store(&self, value: u32, order: Ordering) {
        access(order, Ordering::Release, |order| self.value.store(value, order));
    }
}

pub(crate) fn wait(at: &AtomicU32, value: u32) {
    let sleepers = at.sleepers.lock().unwrap();
    if at.value.load(Ordering::Relaxed) == value {
        drop(at.woken.wait(sleepers).unwrap());
    }
}

pub(crate) fn wake_all(at: &AtomicU32) {
    drop(at.sleepers.lock().unwrap());
    at.woken.notify_all();
}
