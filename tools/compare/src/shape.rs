//! Keys and values. Both follow from a number: keys in no visible order, values that begin with
//! what tells whose they are and go on with bytes that do not compress.

use anyhow::{Result, ensure};
use extentdb_measure::random::{Random, mix};

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 16;
/// Bytes that values are parts of, beyond the length of one.
const POOL_BYTES: usize = 1 << 20;
/// Bytes at the beginning of a value that tell whose it is.
const MARK_BYTES: usize = 8;

/// The key of `number`.
pub(crate) fn key(number: u64) -> Vec<u8> {
    let (high, low) = (mix(number), mix(number ^ 0xA5A5_5A5A));
    [high.to_be_bytes(), low.to_be_bytes()].concat()
}

/// Makes values of one length.
#[derive(Debug)]
pub(crate) struct Values {
    pool: Vec<u8>,
    bytes: usize,
}

impl Values {
    pub(crate) fn new(bytes: usize) -> Self {
        let mut random = Random::new(1);
        let words = (POOL_BYTES + bytes).div_ceil(8);
        let pool = (0..words).flat_map(|_| random.next().to_le_bytes()).collect();
        Self { pool, bytes }
    }

    /// Makes `value` one of the values of `number`.
    pub(crate) fn make<'v>(
        &self,
        number: u64,
        random: &mut Random,
        value: &'v mut Vec<u8>,
    ) -> &'v [u8] {
        let start = random.below(POOL_BYTES as u64) as usize;
        value.clear();
        value.extend_from_slice(&mix(number).to_le_bytes());
        value.extend_from_slice(&self.pool[start..start + self.bytes - MARK_BYTES]);
        value
    }

    /// Fails unless `value` is one of those of `number`.
    pub(crate) fn verify(&self, number: u64, value: &[u8]) -> Result<()> {
        let is_its = value.first_chunk() == Some(&mix(number).to_le_bytes());
        ensure!(is_its && value.len() == self.bytes, "a get has shown another value");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn keys_differ() {
        let keys: BTreeSet<_> = (0..10_000).map(key).collect();
        assert!(keys.len() == 10_000 && keys.iter().all(|key| key.len() == KEY_BYTES));
    }

    #[test]
    fn a_value_tells_whose_it_is() {
        let (values, mut random, mut value) = (Values::new(128), Random::new(1), Vec::new());
        let value = values.make(5, &mut random, &mut value);
        assert_eq!(value.len(), 128);
        assert!(values.verify(5, value).is_ok());
        assert!(values.verify(6, value).is_err());
        assert!(values.verify(5, &value[..127]).is_err());
    }
}
