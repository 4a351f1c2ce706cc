//! Keys and values of a run.

use super::random::{Bytes, Random, mix};

/// Bytes of a key that tell it from all others, and of a value that tell whose it is.
pub(crate) const UNIQUE_BYTES: usize = 8;

/// What keys and values look like. Key number n and the beginning of its value follow from n.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Length of a key.
    pub(crate) key_bytes: usize,
    /// Length of the beginning that all keys share.
    pub(crate) shared_prefix: usize,
    /// Length of a value.
    pub(crate) value_bytes: usize,
    bytes: Bytes,
}

impl Shape {
    /// Keys that have at least 8 bytes of their own, and values of at least 8 bytes, at most
    /// `longest` where some are to be longer than usual.
    pub(crate) fn new(
        key_bytes: usize,
        shared_prefix: usize,
        value_bytes: usize,
        longest: usize,
    ) -> Self {
        assert!(key_bytes >= shared_prefix + UNIQUE_BYTES && value_bytes >= UNIQUE_BYTES);
        let bytes = Bytes::new(longest.max(value_bytes));
        Self { key_bytes, shared_prefix, value_bytes, bytes }
    }

    /// Makes `key` key number `number`.
    pub(crate) fn key<'k>(&self, number: u64, key: &'k mut Vec<u8>) -> &'k [u8] {
        key.clear();
        key.resize(self.shared_prefix, b'p');
        let mut word = number;
        while key.len() < self.key_bytes {
            word = mix(word);
            let len = (self.key_bytes - key.len()).min(UNIQUE_BYTES);
            key.extend_from_slice(&word.to_be_bytes()[..len]);
        }
        key
    }

    /// Makes `value` a value of `len` bytes: that of key number `number` in its `version`.
    pub(crate) fn value<'v>(
        &self,
        (number, version): (u64, u64),
        len: usize,
        random: &mut Random,
        value: &'v mut Vec<u8>,
    ) -> &'v [u8] {
        value.clear();
        value.extend_from_slice(&mix(number).wrapping_add(version).to_le_bytes());
        value.extend_from_slice(self.bytes.pick(random, len - UNIQUE_BYTES));
        value
    }

    /// The version of `value`, which is that of key number `number`; `None` if it is too short.
    pub(crate) fn version(number: u64, value: &[u8]) -> Option<u64> {
        let (head, _) = value.split_first_chunk()?;
        Some(u64::from_le_bytes(*head).wrapping_sub(mix(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn keys_differ_whatever_their_shape() {
        for (key_bytes, shared_prefix) in [(8, 0), (16, 0), (16, 8), (19, 3), (100, 80)] {
            let shape = Shape::new(key_bytes, shared_prefix, 8, 8);
            let key = |number| shape.key(number, &mut Vec::new()).to_vec();
            let keys: BTreeSet<_> = (0..10_000).map(key).collect();
            assert_eq!(keys.len(), 10_000);
            let prefix = vec![b'p'; shared_prefix];
            assert!(keys.iter().all(|key| key.len() == key_bytes && key.starts_with(&prefix)));
        }
    }

    #[test]
    fn a_value_tells_whose_it_is() {
        let shape = Shape::new(16, 0, 8, 100);
        let mut random = Random::new(1);
        for len in [8, 9, 100] {
            let mut value = Vec::new();
            assert_eq!(shape.value((5, 2), len, &mut random, &mut value).len(), len);
            assert_eq!(Shape::version(5, &value), Some(2));
            assert_ne!(Shape::version(6, &value), Some(2));
        }
        assert_eq!(Shape::version(5, b"short"), None);
    }
}
