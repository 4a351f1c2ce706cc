//! Which operations of a thread are timed.
//!
//! One in [`PERIOD`] on average, after gaps that vary: with a fixed gap, of two stages that take
//! turns on a thread (a put and its queueing) the sample would only ever meet one.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Operations per sample, on average.
const PERIOD: u32 = 16;

/// A thread's own state; reached without synchronization.
struct Sampler {
    /// The number of the thread, from 1; 0 before it has one.
    thread: Cell<usize>,
    /// Operations to skip before the next sample.
    left: Cell<u32>,
    /// State of an xorshift generator; never 0 once the thread has a number.
    random: Cell<u32>,
}

/// Threads of the process numbered so far: more than one controlled scheduler sees of it.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SAMPLER: Sampler =
        const { Sampler { thread: Cell::new(0), left: Cell::new(0), random: Cell::new(0) } };
}

/// Whether the calling thread's next operation is one to time.
#[inline]
pub(super) fn is_due() -> bool {
    // A schedule is the same whatever the process did before.
    !cfg!(extentdb_schedules) && SAMPLER.with(Sampler::is_due)
}

/// The number of the calling thread: small, from 1, and stable for its life.
#[inline]
pub(super) fn thread_number() -> usize {
    SAMPLER.with(Sampler::number)
}

impl Sampler {
    /// See [`is_due`].
    #[inline]
    fn is_due(&self) -> bool {
        let left = self.left.get();
        if left > 0 {
            self.left.set(left - 1);
            return false;
        }
        self.is_due_after_gap()
    }

    /// A gap is over, or the thread is new: then it starts within one, at a place of its own, so
    /// that threads that live for one operation are sampled at the same rate as others.
    #[cold]
    fn is_due_after_gap(&self) -> bool {
        if self.random.get() == 0 {
            self.random.set(seed(self.number()));
            self.left.set(self.below(PERIOD));
            return self.is_due();
        }
        self.left.set(self.below(2 * PERIOD - 1));
        true
    }

    /// See [`thread_number`].
    #[inline]
    fn number(&self) -> usize {
        match self.thread.get() {
            0 => self.enlist(),
            number => number,
        }
    }

    /// Gives the thread its number.
    #[cold]
    fn enlist(&self) -> usize {
        let number = THREADS.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        self.thread.set(number);
        number
    }

    /// A random number from 0 to `limit - 1`; `limit` is small.
    fn below(&self, limit: u32) -> u32 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.random.set(x);
        ((u64::from(x) * u64::from(limit)) >> 32) as u32
    }
}

/// Spreads consecutive thread numbers over the generator's states; never 0.
fn seed(thread: usize) -> u32 {
    let mut x = (thread as u32).wrapping_mul(0x9e37_79b9);
    x ^= x >> 16;
    x = x.wrapping_mul(0x85eb_ca6b);
    (x ^ (x >> 13)) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_operation_in_sixteen_is_due() {
        let due = (0..160_000).filter(|_| is_due()).count();
        assert!((9_500..=10_500).contains(&due), "{due} of 160000");
    }

    #[test]
    fn of_two_stages_that_take_turns_both_are_due() {
        let mut due = [0_u32; 2];
        for turn in 0..160_000 {
            due[turn % 2] += u32::from(is_due());
        }
        assert!(due.iter().all(|due| (4_500..=5_500).contains(due)), "{due:?} of 80000 each");
    }

    #[test]
    fn threads_that_live_for_one_operation_are_sampled_too() {
        let spawn = |_| std::thread::spawn(is_due);
        let due = (0..1_600).map(spawn).map(|t| t.join().unwrap());
        let due = due.filter(|due| *due).count();
        assert!((50..=160).contains(&due), "{due} of 1600");
    }

    #[test]
    fn every_thread_has_a_number_of_its_own() {
        let here = thread_number();
        let there = std::thread::spawn(thread_number).join().unwrap();
        assert!(here > 0 && there > 0 && here != there);
        assert_eq!(here, thread_number());
    }
}
