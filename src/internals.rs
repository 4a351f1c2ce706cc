//! What `benches/` measure that is not public. Compiled for them alone, and no part of the interface.

use crate::format::ids::{BatchNo, Epoch, ExtentNo, Generation, Incarnation, PageNo, StoreId};
use crate::format::location::Location;
use crate::format::log_page::{self, LogHeader, PAYLOAD_BYTES, PageKind};
use crate::format::record::{MAX_PREFIX_BYTES, Record, decode_record};
use crate::index;

/// The index of a store.
pub struct Index(index::Index);

impl Default for Index {
    fn default() -> Self {
        Self(index::Index::new())
    }
}

impl Index {
    /// Inserts `keys`, as a batch is applied; their values are on page number `page`.
    pub fn insert<K: AsRef<[u8]>>(&self, keys: &[K], page: u64) {
        self.0.edit(|edit| {
            for key in keys {
                edit.replace(key.as_ref(), Some(Location::log(PageNo(page), 0, 1024)));
            }
        });
    }

    /// Whether it has `key`.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.0.get(key).is_some()
    }
}

/// Appends the record of a put to `stream`.
pub fn encode_put(key: &[u8], value: &[u8], stream: &mut Vec<u8>) {
    let record = Record::Put { key, value_len: value.len() as u32, expected: None };
    let end = stream.len() + record.log_len();
    let mut prefix = [0; MAX_PREFIX_BYTES];
    let len = record.encode_prefix(&mut prefix);
    stream.extend_from_slice(&prefix[..len]);
    stream.extend_from_slice(key);
    stream.extend_from_slice(value);
    stream.resize(end, 0);
}

/// Length of the key of the first record of `stream`.
#[must_use]
pub fn decode_put(stream: &[u8]) -> Option<usize> {
    decode_record(stream, 0).map(|found| found.record.key().len())
}

/// Makes `page` a log page that is full of records: header and checksum.
pub fn seal_page(page: &mut [u8]) -> u32 {
    log_page::seal(
        page,
        &LogHeader {
            kind: PageKind::Batch,
            used: PAYLOAD_BYTES as u16,
            store: StoreId(1),
            epoch: Epoch(1),
            chain: 1,
            page: PageNo(1),
            batch: BatchNo(1),
            durable: BatchNo(0),
            incarnation: Incarnation::default(),
            successor: ExtentNo(1),
            generation: Generation(1),
            index: 0,
            count: 1,
        },
    )
}

/// Whether `page` is one that was [sealed](seal_page), by its checksum.
#[must_use]
pub fn open_page(page: &[u8]) -> bool {
    log_page::open(page, StoreId(1), PageNo(1)).is_some()
}

/// The checksum of `bytes`, as pages have it.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_works() {
        let index = Index::default();
        index.insert(&["a", "b"], 7);
        assert!(index.contains(b"a") && !index.contains(b"c"));
        let mut stream = Vec::new();
        encode_put(b"key", &[1; 100], &mut stream);
        assert_eq!((stream.len() % 8, decode_put(&stream)), (0, Some(3)));
        let mut page = vec![5; 4096];
        assert_eq!(seal_page(&mut page), checksum(&page[4..]));
        assert!(open_page(&page));
        page[4095] ^= 1;
        assert!(!open_page(&page));
    }
}
