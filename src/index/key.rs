//! Keys, and how they compare.

use crate::sync::Arc;

/// A key, cheap to clone out of the index.
pub(crate) type Key = Arc<[u8]>;

/// Longest key. Two of them fit one node, which is what lets an overfull node split in two.
pub(crate) const MAX_KEY_BYTES: usize = 65_535;

/// A key to look for, with its head at hand.
#[derive(Clone, Copy)]
pub(super) struct Probe<'a> {
    pub(super) head: u64,
    pub(super) bytes: &'a [u8],
}

impl<'a> Probe<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { head: head(bytes), bytes }
    }
}

/// The first eight bytes of a key as a number, zeros standing in for missing ones. Different
/// heads order as their keys do; equal heads say nothing.
pub(super) fn head(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut padded = [0; 8];
    padded[..key.len()].copy_from_slice(key);
    u64::from_be_bytes(padded)
}

/// The shortest key that is above `left` and not above `right`. Separators outlive the keys they
/// came from, so they should not keep long ones alive.
pub(super) fn separator(left: &Key, right: &Key) -> Key {
    let shared = left.iter().zip(right.iter()).take_while(|(a, b)| a == b).count();
    if shared + 1 == right.len() {
        return right.clone();
    }
    Key::from(&right[..=shared])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&[u8]; 9] =
        [b"", b"\0", b"\0\0", b"a", b"a\0", b"abcdefg", b"abcdefg\0", b"abcdefg\0z", b"abcdefgh"];

    #[test]
    fn heads_never_contradict_the_order_of_keys() {
        assert!(KEYS.is_sorted());
        assert!(KEYS.map(head).is_sorted());
    }

    #[test]
    fn a_separator_lies_above_left_and_not_above_right() {
        for pair in KEYS.windows(2) {
            let (left, right) = (Key::from(pair[0]), Key::from(pair[1]));
            let between = separator(&left, &right);
            assert!(left < between && between <= right);
        }
        assert_eq!(&*separator(&Key::from(&b"abc"[..]), &Key::from(&b"azzz"[..])), b"az");
    }
}
