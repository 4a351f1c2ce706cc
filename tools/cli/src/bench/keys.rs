//! Keys of the benchmark: 16 bytes, in no order of their insertion.

use crate::measure::random::mix;

/// Length of a key in bytes.
pub(super) const KEY_BYTES: usize = 16;
/// Bytes that say which values the key is for.
const CLASS_BYTES: usize = 4;

/// The beginning of the keys of values of `value_bytes` bytes.
pub(super) fn prefix(value_bytes: u64) -> [u8; CLASS_BYTES] {
    (value_bytes as u32).to_be_bytes()
}

/// Key number `number` of values of `value_bytes` bytes.
pub(super) fn key(value_bytes: u64, number: u64) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let (class, rest) = key.split_at_mut(CLASS_BYTES);
    class.copy_from_slice(&prefix(value_bytes));
    let (order, unique) = rest.split_at_mut(8);
    order.copy_from_slice(&mix(number).to_be_bytes());
    unique.copy_from_slice(&(number as u32).to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn keys_differ_and_share_their_prefix() {
        let keys: BTreeSet<_> = (0..10_000).map(|number| key(1024, number)).collect();
        assert_eq!(keys.len(), 10_000);
        assert!(keys.iter().all(|key| key.starts_with(&prefix(1024))));
        assert!(!key(1 << 20, 0).starts_with(&prefix(1024)));
    }
}
