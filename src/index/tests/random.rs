//! Reproducible randomness.

use super::Bounds;
use std::ops::Bound;

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(in crate::index) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of `kinds` keys, from no bytes to the most, many with a long prefix in common.
    pub(super) fn key(&mut self, kinds: u64, longest: usize) -> Vec<u8> {
        let which = self.below(kinds);
        let mut of_key = Random::new(which);
        let len = of_key.len(longest);
        let letter = if of_key.below(2) == 0 { b'a' } else { of_key.next() as u8 };
        let mut key = vec![letter; len];
        let tail = len.saturating_sub(3);
        key[tail..].iter_mut().for_each(|byte| *byte = of_key.next() as u8);
        key
    }

    fn len(&mut self, longest: usize) -> usize {
        let scale = match self.below(10) {
            0 => longest,
            1 => longest.div_ceil(8),
            2 | 3 => longest.min(64),
            _ => longest.min(12),
        };
        if self.below(40) == 0 { longest } else { 1 + self.below(scale as u64) as usize }
    }

    pub(super) fn bounds(&mut self, kinds: u64, longest: usize) -> Bounds {
        (self.bound(kinds, longest), self.bound(kinds, longest))
    }

    fn bound(&mut self, kinds: u64, longest: usize) -> Bound<Vec<u8>> {
        match self.below(5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Included(self.key(kinds, longest)),
            _ => Bound::Excluded(self.key(kinds, longest)),
        }
    }
}
