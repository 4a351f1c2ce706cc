//! Packed records of value extents: what the collector copied, one after the other.
//!
//! A record is contiguous bytes from one multiple of 8 to another, whatever pages they span: there
//! are no page headers, so that a read needs no copy. Each is under a checksum of its own, which
//! says where it belongs as well.

use super::bytes::{get_u16, get_u32, put_u16, put_u32, put_u64};
use super::ids::{Incarnation, PageNo, StoreId};
use super::location::Location;
use super::record::RECORD_ALIGN;
use crate::seeded::{Bug, seeded};
use std::ops::Range;

/// Bytes before the key.
pub(crate) const HEAD_BYTES: usize = 12;
/// Bytes of the place that the checksum covers ahead of the record.
pub(crate) const SEED_BYTES: usize = 28;

pub(crate) const CHECKSUM_AT: usize = 0;
pub(crate) const KEY_LEN_AT: usize = 4;
pub(crate) const FLAGS_AT: usize = 6;
pub(crate) const VALUE_LEN_AT: usize = 8;

/// Bytes that a record takes, padding included.
pub(crate) const fn record_len(key_len: usize, value_len: u32) -> usize {
    (HEAD_BYTES + key_len + value_len as usize).next_multiple_of(RECORD_ALIGN)
}

/// Which record this is: the one that starts `offset` bytes into `page`, in this life of its
/// extent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ValueIdentity {
    pub(crate) store: StoreId,
    pub(crate) page: PageNo,
    pub(crate) offset: u16,
    /// Of the extent.
    pub(crate) incarnation: Incarnation,
}

impl ValueIdentity {
    /// What the checksum covers that the record does not hold.
    pub(crate) fn seed(self) -> [u8; SEED_BYTES] {
        let mut seed = [0; SEED_BYTES];
        put_u64(&mut seed, 0, self.store.0);
        put_u32(&mut seed, 8, self.page.0 as u32);
        put_u32(&mut seed, 12, u32::from(self.offset));
        put_u32(&mut seed, 16, self.incarnation.epoch.0);
        put_u64(&mut seed, 20, self.incarnation.serial);
        seed
    }
}

/// Writes the record over all of `out`, which is [`record_len`] bytes.
///
/// # Panics
/// If the record has no key, or does not fit `out`.
pub(crate) fn encode(identity: ValueIdentity, key: &[u8], value: &[u8], out: &mut [u8]) {
    assert!(!key.is_empty() && key.len() <= usize::from(u16::MAX), "a record has a key");
    assert!(value.len() <= Location::MAX_INLINE_BYTES as usize, "an inline value");
    assert_eq!(out.len(), record_len(key.len(), value.len() as u32), "the record fits");
    put_u16(out, KEY_LEN_AT, key.len() as u16);
    put_u16(out, FLAGS_AT, 0);
    put_u32(out, VALUE_LEN_AT, value.len() as u32);
    let value_at = HEAD_BYTES + key.len();
    let end = value_at + value.len();
    out[HEAD_BYTES..value_at].copy_from_slice(key);
    out[value_at..end].copy_from_slice(value);
    out[end..].fill(0);
    let checksum = checksum(identity, &out[..end]);
    put_u32(out, CHECKSUM_AT, checksum);
}

/// Of `record` without its padding.
fn checksum(identity: ValueIdentity, record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&identity.seed()), &record[CHECKSUM_AT + 4..])
}

/// Verifies the record of `key` that `bytes` begin with; returns where its value is in them.
pub(crate) fn open(
    bytes: &[u8],
    identity: ValueIdentity,
    key: &[u8],
    value_len: u32,
) -> Option<Range<usize>> {
    let found = scan(bytes, identity)?;
    let value_at = HEAD_BYTES + key.len();
    let end = value_at + value_len as usize;
    let own = found.key == key || seeded(Bug::OtherKeyRead);
    (own && found.value.len() == value_len as usize).then_some(value_at..end)
}

/// A verified record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    /// Bytes from this record to where the next one would be.
    pub(crate) next_len: usize,
}

/// Verifies the record that `bytes` begin with, whatever its key. `None` if that is not all there:
/// in a walk over an extent, the end of its records, unless it is damaged.
pub(crate) fn scan(bytes: &[u8], identity: ValueIdentity) -> Option<Found<'_>> {
    let head = bytes.get(..HEAD_BYTES)?;
    let key_len = usize::from(get_u16(head, KEY_LEN_AT));
    let value_len = get_u32(head, VALUE_LEN_AT);
    let sound =
        key_len > 0 && value_len <= Location::MAX_INLINE_BYTES && get_u16(head, FLAGS_AT) == 0;
    let next_len = record_len(key_len, value_len);
    if !sound || next_len > bytes.len() {
        return None;
    }
    let record = &bytes[..HEAD_BYTES + key_len + value_len as usize];
    let (key, value) = record[HEAD_BYTES..].split_at(key_len);
    let whole = get_u32(head, CHECKSUM_AT) == checksum(identity, record)
        || seeded(Bug::PackedChecksumIgnored);
    whole.then_some(Found { key, value, next_len })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ids::Epoch;

    const IDENTITY: ValueIdentity = ValueIdentity {
        store: StoreId(5),
        page: PageNo(900),
        offset: 4088,
        incarnation: Incarnation { epoch: Epoch(2), serial: 3 },
    };

    fn sample(key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut out = vec![0xff; record_len(key.len(), value.len() as u32)];
        encode(IDENTITY, key, value, &mut out);
        out
    }

    #[test]
    fn survives_a_round_trip() {
        for (key_len, value_len) in [(1, 0), (1, 7), (3, 5), (16, 1024), (65_535, 10_000)] {
            let (key, value) = (vec![b'k'; key_len], vec![b'v'; value_len]);
            let mut bytes = sample(&key, &value);
            let next_len = bytes.len();
            assert!(next_len.is_multiple_of(RECORD_ALIGN));
            assert!(bytes[HEAD_BYTES + key_len + value_len..].iter().all(|&byte| byte == 0));
            bytes.extend_from_slice(b"the next record");
            let range = open(&bytes, IDENTITY, &key, value_len as u32).unwrap();
            assert_eq!(bytes[range], value);
            let found = Found { key: &key, value: &value, next_len };
            assert_eq!(scan(&bytes, IDENTITY), Some(found));
        }
    }

    #[test]
    fn every_single_bit_flip_is_detected() {
        let mut bytes = sample(b"key", &[7; 100]);
        let len = HEAD_BYTES + 3 + 100;
        assert_eq!(bytes.len() - len, 5, "there is padding, which nothing protects");
        bytes.resize(1 << 17, 0);
        for bit in 0..len * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&bytes, IDENTITY, b"key", 100), None, "bit {bit}");
            assert_eq!(scan(&bytes, IDENTITY), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        bytes[len] = 1;
        assert!(open(&bytes, IDENTITY, b"key", 100).is_some());
    }

    #[test]
    fn refuses_what_is_not_asked_for() {
        let bytes = sample(b"key", b"value");
        assert!(open(&bytes, IDENTITY, b"key", 5).is_some());
        for (key, value_len) in [(&b"kez"[..], 5), (b"ke", 5), (b"keyv", 4), (b"key", 4), (b"", 8)]
        {
            assert_eq!(open(&bytes, IDENTITY, key, value_len), None);
        }
        let incarnation = |epoch, serial| Incarnation { epoch: Epoch(epoch), serial };
        for other in [
            ValueIdentity { store: StoreId(6), ..IDENTITY },
            ValueIdentity { page: PageNo(901), ..IDENTITY },
            ValueIdentity { offset: 4080, ..IDENTITY },
            ValueIdentity { incarnation: incarnation(1, 3), ..IDENTITY },
            ValueIdentity { incarnation: incarnation(2, 4), ..IDENTITY },
        ] {
            assert_eq!(open(&bytes, other, b"key", 5), None);
            assert_eq!(scan(&bytes, other), None);
        }
    }

    #[test]
    fn cut_records_are_refused() {
        let bytes = sample(b"key", b"valu");
        for len in 0..bytes.len() {
            assert_eq!(open(&bytes[..len], IDENTITY, b"key", 4), None);
            assert_eq!(scan(&bytes[..len], IDENTITY), None);
        }
    }

    #[test]
    fn zeros_and_records_that_could_not_be_are_refused() {
        let zeros = Incarnation { epoch: Epoch(0), serial: 0 };
        let never = ValueIdentity { incarnation: zeros, ..IDENTITY };
        assert_eq!(scan(&[0; 4096], never), None);
        let refused = |at: usize, with: &[u8]| {
            let mut bytes = sample(b"key", b"value");
            bytes[at..at + with.len()].copy_from_slice(with);
            let key_len = usize::from(get_u16(&bytes, KEY_LEN_AT));
            let len = HEAD_BYTES + key_len + get_u32(&bytes, VALUE_LEN_AT) as usize;
            bytes.resize(len.next_multiple_of(RECORD_ALIGN), 0);
            let checksum = checksum(IDENTITY, &bytes[..len]);
            put_u32(&mut bytes, CHECKSUM_AT, checksum);
            scan(&bytes, IDENTITY).is_none()
        };
        assert!(!refused(KEY_LEN_AT, &3_u16.to_le_bytes()));
        assert!(refused(KEY_LEN_AT, &0_u16.to_le_bytes()));
        assert!(refused(FLAGS_AT, &1_u16.to_le_bytes()));
        assert!(refused(VALUE_LEN_AT, &(Location::MAX_INLINE_BYTES + 1).to_le_bytes()));
    }

    #[test]
    fn noise_never_panics() {
        let mut state = 1_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        for round in 0..20_000 {
            let len = random() as usize % 200;
            let mut bytes: Vec<u8> = (0..len).map(|_| random() as u8).collect();
            // Half of them get as far as the checksum.
            if round % 2 == 0 && len >= HEAD_BYTES {
                put_u16(&mut bytes, FLAGS_AT, 0);
                put_u16(&mut bytes, KEY_LEN_AT, random() as u16 % 100);
                put_u32(&mut bytes, VALUE_LEN_AT, random() as u32 % 100);
            }
            assert_eq!(scan(&bytes, IDENTITY), None);
            assert_eq!(open(&bytes, IDENTITY, b"key", random() as u32), None);
        }
    }
}
