//! The header of a large value: what it is, its key, and a checksum for every block.
//!
//! A large value is a run of whole pages: header pages, then data pages. The record that refers
//! to it carries the checksum of the header pages, which carry those of the blocks.

use super::bytes::{get_u16, get_u32, get_u64, put_u16, put_u32, put_u64};
use super::ids::{Epoch, Incarnation, PAGE_BYTES, PageNo, StoreId, pages_for};

/// Bytes of data under one checksum.
pub(crate) const BLOCK_BYTES: usize = 64 << 10;
/// Bytes before the key.
pub(crate) const FIXED_BYTES: usize = 64;
pub(super) const MAGIC: u32 = u32::from_le_bytes(*b"XLRG");

pub(crate) const CHECKSUM_AT: usize = 0;
pub(crate) const MAGIC_AT: usize = 4;
pub(crate) const STORE_AT: usize = 8;
pub(crate) const PAGE_AT: usize = 16;
pub(crate) const SERIAL_AT: usize = 24;
pub(crate) const EPOCH_AT: usize = 32;
pub(crate) const KEY_LEN_AT: usize = 36;
pub(crate) const VALUE_LEN_AT: usize = 40;

/// Where the parts of a large value are, as its key's and its own length settle it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LargeShape {
    pub(crate) key_len: usize,
    pub(crate) value_len: u32,
}

impl LargeShape {
    /// Checksummed blocks of data.
    pub(crate) fn blocks(self) -> usize {
        (self.value_len as usize).div_ceil(BLOCK_BYTES)
    }

    fn checksums_at(self) -> usize {
        (FIXED_BYTES + self.key_len).next_multiple_of(4)
    }

    /// Pages before the data.
    pub(crate) fn header_pages(self) -> u64 {
        pages_for((self.checksums_at() + 4 * self.blocks()) as u64)
    }

    /// Pages of data.
    pub(crate) fn data_pages(self) -> u64 {
        pages_for(u64::from(self.value_len))
    }

    /// All its pages.
    pub(crate) fn pages(self) -> u64 {
        self.header_pages() + self.data_pages()
    }
}

/// The shape that the first header page of a large value states: not to be relied on before all of
/// its header is verified. `None` if it is no such page.
pub(crate) fn stated_shape(page: &[u8]) -> Option<LargeShape> {
    let value_len = u32::try_from(get_u64(page, VALUE_LEN_AT)).ok()?;
    let key_len = usize::from(get_u16(page, KEY_LEN_AT));
    (get_u32(page, MAGIC_AT) == MAGIC).then_some(LargeShape { key_len, value_len })
}

/// The key that the header `pages` of a value of such a `shape` hold.
pub(crate) fn stated_key(pages: &[u8], shape: LargeShape) -> &[u8] {
    &pages[FIXED_BYTES..FIXED_BYTES + shape.key_len]
}

/// The identity that header pages carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LargeIdentity {
    pub(crate) store: StoreId,
    /// The first header page.
    pub(crate) page: PageNo,
    pub(crate) incarnation: Incarnation,
}

/// Writes the header over all of `pages`; returns its checksum, for the record.
pub(crate) fn seal(
    pages: &mut [u8],
    identity: LargeIdentity,
    key: &[u8],
    value_len: u32,
    blocks: &[u32],
) -> u32 {
    let shape = LargeShape { key_len: key.len(), value_len };
    assert_eq!(pages.len() as u64, shape.header_pages() * PAGE_BYTES as u64, "whole header");
    assert_eq!(blocks.len(), shape.blocks(), "one checksum per block");
    pages.fill(0);
    put_u32(pages, MAGIC_AT, MAGIC);
    put_u64(pages, STORE_AT, identity.store.0);
    put_u64(pages, PAGE_AT, identity.page.0);
    put_u64(pages, SERIAL_AT, identity.incarnation.serial);
    put_u32(pages, EPOCH_AT, identity.incarnation.epoch.0);
    put_u16(pages, KEY_LEN_AT, key.len() as u16);
    put_u64(pages, VALUE_LEN_AT, u64::from(value_len));
    pages[FIXED_BYTES..FIXED_BYTES + key.len()].copy_from_slice(key);
    for (i, &block) in blocks.iter().enumerate() {
        put_u32(pages, shape.checksums_at() + 4 * i, block);
    }
    let checksum = crc32c::crc32c(&pages[CHECKSUM_AT + 4..]);
    put_u32(pages, CHECKSUM_AT, checksum);
    checksum
}

/// A verified header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LargeHeader<'a> {
    pages: &'a [u8],
    shape: LargeShape,
}

/// Verifies the header pages of the large value of `key`.
pub(crate) fn open<'a>(
    pages: &'a [u8],
    identity: LargeIdentity,
    key: &[u8],
    value_len: u32,
) -> Option<LargeHeader<'a>> {
    let shape = LargeShape { key_len: key.len(), value_len };
    let sound = pages.len() as u64 == shape.header_pages() * PAGE_BYTES as u64
        && get_u32(pages, MAGIC_AT) == MAGIC
        && get_u64(pages, STORE_AT) == identity.store.0
        && get_u64(pages, PAGE_AT) == identity.page.0
        && get_u64(pages, SERIAL_AT) == identity.incarnation.serial
        && Epoch(get_u32(pages, EPOCH_AT)) == identity.incarnation.epoch
        && usize::from(get_u16(pages, KEY_LEN_AT)) == key.len()
        && get_u64(pages, VALUE_LEN_AT) == u64::from(value_len)
        && pages[FIXED_BYTES..FIXED_BYTES + key.len()] == *key
        && checksum(pages) == crc32c::crc32c(&pages[CHECKSUM_AT + 4..]);
    sound.then_some(LargeHeader { pages, shape })
}

/// The checksum that sealed header pages carry.
pub(crate) fn checksum(pages: &[u8]) -> u32 {
    get_u32(pages, CHECKSUM_AT)
}

impl LargeHeader<'_> {
    /// The checksum that the record must carry.
    pub(crate) fn checksum(&self) -> u32 {
        checksum(self.pages)
    }

    /// Whether `data`, which starts with block `first`, is what was written. It ends at a
    /// block's end or at the value's.
    pub(crate) fn verifies(&self, first: usize, data: &[u8]) -> bool {
        data.chunks(BLOCK_BYTES).enumerate().all(|(i, block)| {
            let at = self.shape.checksums_at() + 4 * (first + i);
            first + i < self.shape.blocks() && get_u32(self.pages, at) == crc32c::crc32c(block)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: LargeIdentity = LargeIdentity {
        store: StoreId(5),
        page: PageNo(900),
        incarnation: Incarnation { epoch: Epoch(2), serial: 3 },
    };

    fn sample(value: &[u8], key: &[u8]) -> Vec<u8> {
        let blocks: Vec<u32> = value.chunks(BLOCK_BYTES).map(crc32c::crc32c).collect();
        let shape = LargeShape { key_len: key.len(), value_len: value.len() as u32 };
        let mut pages = vec![1; shape.header_pages() as usize * PAGE_BYTES];
        seal(&mut pages, IDENTITY, key, value.len() as u32, &blocks);
        pages
    }

    #[test]
    fn verifies_what_was_sealed_and_nothing_else() {
        let value: Vec<u8> = (0..3 * BLOCK_BYTES + 17).map(|i| (i % 253) as u8).collect();
        let len = value.len() as u32;
        let pages = sample(&value, b"key");
        let header = open(&pages, IDENTITY, b"key", len).unwrap();
        assert!(header.verifies(0, &value));
        assert!(header.verifies(2, &value[2 * BLOCK_BYTES..]));
        assert!(!header.verifies(1, &value));
        assert!(!header.verifies(0, &value[1..]));
        assert!(open(&pages, IDENTITY, b"kez", len).is_none());
        assert!(open(&pages, IDENTITY, b"key", len - 1).is_none());
        let elsewhere = LargeIdentity { page: PageNo(901), ..IDENTITY };
        assert!(open(&pages, elsewhere, b"key", len).is_none());
        let earlier =
            LargeIdentity { incarnation: Incarnation { epoch: Epoch(2), serial: 2 }, ..IDENTITY };
        assert!(open(&pages, earlier, b"key", len).is_none());
    }

    #[test]
    fn the_first_page_states_shape_and_key() {
        let key = vec![b'k'; 5000];
        let mut pages = sample(&[7; 100], &key);
        let shape = LargeShape { key_len: 5000, value_len: 100 };
        assert_eq!(stated_shape(&pages[..PAGE_BYTES]), Some(shape));
        assert_eq!(stated_key(&pages, shape), key);
        pages[MAGIC_AT] ^= 1;
        assert_eq!(stated_shape(&pages), None);
    }

    #[test]
    fn every_single_bit_flip_is_detected() {
        let mut pages = sample(&[7; 100], b"key");
        for bit in 0..pages.len() * 8 {
            pages[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&pages, IDENTITY, b"key", 100).is_none(), "bit {bit}");
            pages[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn long_keys_and_long_values_take_more_header_pages() {
        assert_eq!(LargeShape { key_len: 16, value_len: 1 << 20 }.header_pages(), 1);
        assert_eq!(LargeShape { key_len: 65_535, value_len: 1 }.header_pages(), 17);
        assert_eq!(LargeShape { key_len: 16, value_len: u32::MAX }.header_pages(), 65);
    }
}
