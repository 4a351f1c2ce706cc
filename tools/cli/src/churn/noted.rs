//! How long puts took, kept from one look to the next.

use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Times in ns, by writer: no writer waits for another to note its own.
#[derive(Debug)]
pub(super) struct Noted(Vec<Mutex<Vec<u64>>>);

impl Noted {
    /// Room for so many `writers`.
    pub(super) fn new(writers: usize) -> Self {
        Self((0..writers).map(|_| Mutex::default()).collect())
    }

    /// A put of `writer` took `time`.
    pub(super) fn note(&self, writer: usize, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0[writer].lock().unwrap_or_else(PoisonError::into_inner).push(ns);
    }

    /// All that was noted since it was taken last.
    pub(super) fn take(&self) -> Times {
        let take = |writer: &Mutex<Vec<u64>>| {
            mem::take(&mut *writer.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let mut ns: Vec<u64> = self.0.iter().flat_map(take).collect();
        ns.sort_unstable();
        Times { ns }
    }
}

/// Times in ns, in order.
#[derive(Debug)]
pub(super) struct Times {
    ns: Vec<u64>,
}

impl Times {
    pub(super) fn count(&self) -> usize {
        self.ns.len()
    }

    /// `None` where there are none.
    pub(super) fn median_ns(&self) -> Option<u64> {
        self.ns.get(self.ns.len() / 2).copied()
    }

    /// `None` where there are none.
    pub(super) fn longest_ns(&self) -> Option<u64> {
        self.ns.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_writers_note_is_taken_once() {
        let noted = Noted::new(2);
        for (writer, us) in [(0, 5), (1, 1), (0, 3)] {
            noted.note(writer, Duration::from_micros(us));
        }
        let times = noted.take();
        assert_eq!(times.count(), 3);
        assert_eq!((times.median_ns(), times.longest_ns()), (Some(3_000), Some(5_000)));
        let none = noted.take();
        assert_eq!((none.count(), none.median_ns(), none.longest_ns()), (0, None, None));
    }
}
