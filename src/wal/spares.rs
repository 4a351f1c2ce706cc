//! What batches had, for others: in steady state a commit allocates nothing.

use super::completion::Completion;
use super::state::Reached;
use crate::device::AlignedBuf;
use crate::sync::Arc;

/// Things of a kind that are kept.
const MOST: usize = 16;
/// Buffers that are kept; they are large.
const MOST_BUFS: usize = 2;

/// Empty vectors, buffers and completions.
#[derive(Debug, Default)]
pub(super) struct Spares {
    listed: Vec<Vec<u8>>,
    entries: Vec<Arc<Vec<u8>>>,
    bufs: Vec<Arc<AlignedBuf>>,
    done: Vec<Arc<Completion>>,
    reached: Vec<Vec<Reached>>,
}

impl Spares {
    /// A vector for what a footer lists.
    pub(super) fn listed(&mut self) -> Vec<u8> {
        self.listed.pop().unwrap_or_default()
    }

    pub(super) fn keep_listed(&mut self, mut listed: Vec<u8>) {
        listed.clear();
        keep(&mut self.listed, listed, MOST);
    }

    /// A vector for entries, which nobody else refers to.
    pub(super) fn entries(&mut self) -> Arc<Vec<u8>> {
        let mut entries = take_sole(&mut self.entries).unwrap_or_default();
        Arc::get_mut(&mut entries).into_iter().for_each(Vec::clear);
        entries
    }

    pub(super) fn keep_entries(&mut self, entries: Arc<Vec<u8>>) {
        keep(&mut self.entries, entries, MOST);
    }

    /// A buffer of `bytes`, which nobody else refers to; `None` if there is none.
    pub(super) fn buf(&mut self, bytes: usize) -> Option<Arc<AlignedBuf>> {
        take_sole(&mut self.bufs).filter(|buf| buf.len() == bytes)
    }

    pub(super) fn keep_buf(&mut self, buf: Arc<AlignedBuf>) {
        keep(&mut self.bufs, buf, MOST_BUFS);
    }

    /// A completion that nobody else refers to.
    pub(super) fn done(&mut self) -> Arc<Completion> {
        let Some(mut done) = take_sole(&mut self.done) else {
            return Arc::new(Completion::new());
        };
        Arc::get_mut(&mut done).into_iter().for_each(Completion::renew);
        done
    }

    /// Keeps it until those who wait on it are gone.
    pub(super) fn keep_done(&mut self, done: Arc<Completion>) {
        keep(&mut self.done, done, MOST);
    }

    pub(super) fn reached(&mut self) -> Vec<Reached> {
        self.reached.pop().unwrap_or_default()
    }

    pub(super) fn keep_reached(&mut self, reached: Vec<Reached>) {
        debug_assert!(reached.is_empty());
        keep(&mut self.reached, reached, MOST);
    }
}

fn keep<T>(kept: &mut Vec<T>, more: T, most: usize) {
    if kept.len() < most {
        kept.push(more);
    }
}

/// The one kept last of those that nobody else refers to: no more of them grow than are in use at a
/// time, and what is in it may be in the processor's caches.
fn take_sole<T>(kept: &mut Vec<Arc<T>>) -> Option<Arc<T>> {
    let at = kept.iter_mut().rposition(|one| Arc::get_mut(one).is_some())?;
    Some(kept.remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_refers_to_is_not_handed_out() {
        let mut spares = Spares::default();
        let (held, free) = (spares.done(), spares.done());
        let waits = Arc::clone(&held);
        spares.keep_done(held);
        let at = Arc::as_ptr(&free);
        spares.keep_done(free);
        assert_eq!(Arc::as_ptr(&spares.done()), at);
        let fresh = spares.done();
        assert!(!Arc::ptr_eq(&fresh, &waits));
        drop(fresh);
        let at = Arc::as_ptr(&waits);
        drop(waits);
        assert_eq!(Arc::as_ptr(&spares.done()), at);
    }

    #[test]
    fn what_was_kept_last_is_handed_out_first() {
        let mut spares = Spares::default();
        let large = Arc::new(Vec::with_capacity(1 << 20));
        for small in [5, 6, 7] {
            spares.keep_entries(Arc::new(Vec::with_capacity(small)));
        }
        spares.keep_entries(large);
        for _ in 0..3 {
            let entries = spares.entries();
            assert_eq!(entries.capacity(), 1 << 20);
            spares.keep_entries(entries);
        }
    }

    #[test]
    fn entries_are_empty_again() {
        let mut spares = Spares::default();
        spares.keep_entries(Arc::new(vec![1, 2, 3]));
        assert!(spares.entries().is_empty());
    }
}
