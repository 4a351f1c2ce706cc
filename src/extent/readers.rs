//! Who may still be reading what the index does not refer to any more.
//!
//! A reader enters before it looks up where a value is, and leaves when it has the bytes. Readers
//! are counted by the parity of the epoch in which they entered. The epoch moves on from e to
//! e + 1 only when nobody is left who entered in e - 1; so once it is at e + 2, all have left who
//! were there when it was at e.

use crate::sync::{AtomicU64, Ordering};
use std::cell::Cell;

/// Counters per parity, so that readers on different cores do not share a cache line.
const STRIPES: usize = 16;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

/// Counts the readers.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    epoch: AtomicU64,
    inside: [[Stripe; STRIPES]; 2],
}

/// A reader, until it is dropped.
#[derive(Debug)]
pub(crate) struct Reading<'a>(&'a AtomicU64);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Readers {
    /// What the index refers to from now on stays where it is until the reader leaves.
    pub(crate) fn enter(&self) -> Reading<'_> {
        let stripe = own_stripe();
        loop {
            let epoch = self.epoch.load(Ordering::SeqCst);
            let reading = Reading(&self.inside[(epoch & 1) as usize][stripe].0);
            reading.0.fetch_add(1, Ordering::SeqCst);
            // Counted too late, it would be missed by who looks for those of this epoch.
            if self.epoch.load(Ordering::SeqCst) == epoch {
                return reading;
            }
        }
    }

    /// The epoch in which all who are here now have left.
    pub(crate) fn all_gone(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst) + 2
    }

    /// Moves the epoch on as far as it goes, up to `wanted`; whether it is there. For one thread
    /// at a time.
    pub(crate) fn reach(&self, wanted: u64) -> bool {
        loop {
            let epoch = self.epoch.load(Ordering::SeqCst);
            if epoch >= wanted {
                return true;
            }
            let before = &self.inside[((epoch + 1) & 1) as usize];
            if before.iter().any(|stripe| stripe.0.load(Ordering::SeqCst) > 0) {
                return false;
            }
            self.epoch.store(epoch + 1, Ordering::SeqCst);
        }
    }
}

/// Threads take stripes in turn.
fn own_stripe() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<Option<usize>> = const { Cell::new(None) };
    }
    OWN.with(|own| {
        own.get().unwrap_or_else(|| {
            let stripe = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % STRIPES;
            own.set(Some(stripe));
            stripe
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{Arc, AtomicBool};

    #[test]
    fn those_inside_are_waited_for_and_later_ones_are_not() {
        let readers = Readers::default();
        let first = readers.enter();
        let gone = readers.all_gone();
        assert!(!readers.reach(gone));
        let later = readers.enter();
        drop(first);
        // The later one entered an epoch on, so the second move has to wait for nobody.
        assert!(readers.reach(gone));
        assert!(!readers.reach(readers.all_gone()));
        drop(later);
        assert!(readers.reach(readers.all_gone()));
    }

    #[test]
    fn nothing_is_freed_under_a_reader() {
        let shared = Arc::new((Readers::default(), AtomicU64::new(0), AtomicU64::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (shared, stop) = (Arc::clone(&shared), Arc::clone(&stop));
                std::thread::spawn(move || {
                    let (readers, current, freed) = &*shared;
                    while !stop.load(Ordering::Relaxed) {
                        let _reading = readers.enter();
                        let seen = current.load(Ordering::SeqCst);
                        std::thread::yield_now();
                        assert!(freed.load(Ordering::SeqCst) <= seen, "G3: in use");
                    }
                })
            })
            .collect();
        let (state, current, freed) = &*shared;
        for version in 1..2000 {
            current.store(version, Ordering::SeqCst);
            let gone = state.all_gone();
            while !state.reach(gone) {
                std::thread::yield_now();
            }
            freed.store(version, Ordering::SeqCst);
        }
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }
}
