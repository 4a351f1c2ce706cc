//! A scan and what it should return, walked from both ends.

use crate::support::{Bytes, Model, Rng, assert_entry};
use extentdb::{Entry, Iter};
use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};

/// A scan under way.
pub(crate) struct Scan {
    entries: Iter,
    expected: VecDeque<(Bytes, Bytes)>,
    /// Entries that were returned and are asked for their values later.
    kept: Vec<(Entry, Bytes, Bytes)>,
}

impl Scan {
    pub(crate) fn range(
        entries: Iter,
        model: &Model,
        range: &(Bound<Vec<u8>>, Bound<Vec<u8>>),
    ) -> Self {
        let slices = (range.0.as_ref().map(Vec::as_slice), range.1.as_ref().map(Vec::as_slice));
        Self::filtered(entries, model, |key| RangeBounds::<[u8]>::contains(&slices, key))
    }

    pub(crate) fn prefix(entries: Iter, model: &Model, prefix: &[u8]) -> Self {
        Self::filtered(entries, model, |key| key.starts_with(prefix))
    }

    pub(crate) fn all(entries: Iter, model: &Model) -> Self {
        Self::filtered(entries, model, |_| true)
    }

    fn filtered(entries: Iter, model: &Model, wanted: impl Fn(&[u8]) -> bool) -> Self {
        let wanted = |(key, _): &(&Bytes, &Bytes)| wanted(key);
        let own = |(key, value): (&Bytes, &Bytes)| (Bytes::clone(key), Bytes::clone(value));
        let expected = model.iter().filter(wanted).map(own).collect();
        Self { entries, expected, kept: Vec::new() }
    }

    /// Takes `steps` entries, each from the one end or the other; every value is read that `read`
    /// bytes are enough for.
    pub(crate) fn walk(&mut self, rng: &mut Rng, steps: usize, read: usize) {
        let back_in = 1 + rng.below(4);
        for _ in 0..steps {
            let (entry, expected) = if rng.one_in(back_in) {
                (self.entries.next_back(), self.expected.pop_back())
            } else {
                (self.entries.next(), self.expected.pop_front())
            };
            let entry = entry.map(|entry| entry.expect("an entry"));
            assert_eq!(entry.is_some(), expected.is_some(), "a scan ends where the model does");
            let (Some(entry), Some((key, value))) = (entry, expected) else { return };
            assert_entry(&entry, &key, &value, value.len() <= read);
            if rng.one_in(8) {
                self.kept.push((entry, key, value));
            }
        }
    }

    /// Walks to the end, past it, and reads the values of the entries that were kept.
    pub(crate) fn finish(mut self, rng: &mut Rng, read: usize) {
        while !self.expected.is_empty() {
            self.walk(rng, 16, read);
        }
        for _ in 0..2 {
            assert!(self.entries.next().is_none(), "a scan that ended stays ended");
            assert!(self.entries.next_back().is_none(), "a scan that ended stays ended");
        }
        for (entry, key, value) in &self.kept {
            assert_entry(entry, key, value, true);
        }
    }
}
