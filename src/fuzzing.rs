//! Every decoder on bytes that nobody wrote, for `fuzz/` and for the tests: none may panic.

use crate::format::extent_state::ExtentState;
use crate::format::footer::FooterHead;
use crate::format::ids::{Incarnation, PAGE_BYTES, PageNo, StoreId};
use crate::format::image::{RootPage, RunLine, SliceHeader};
use crate::format::large::{self, LargeIdentity};
use crate::format::listed::List;
use crate::format::location::Location;
use crate::format::log_page;
use crate::format::moves::Moves;
use crate::format::record::{Entries, decode_record};
use crate::format::superblock::Superblock;
use crate::format::value_record::{self, ValueIdentity};
use crate::index::Leaves;

/// The checksum of `bytes`, as pages have it.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Decodes `bytes` as everything that they could be.
pub fn decode(bytes: &[u8]) {
    decode_records(bytes);
    for page in bytes.chunks_exact(PAGE_BYTES) {
        decode_page(page);
    }
    for start in [0, 4, 12] {
        let Some(bytes) = bytes.get(start..) else { continue };
        bytes.first_chunk().map(ExtentState::decode);
        bytes.first_chunk().map(Location::decode);
        bytes.first_chunk().map(Location::unpack);
        bytes.first_chunk().map(RunLine::decode);
    }
}

fn decode_records(bytes: &[u8]) {
    let mut at = 0;
    while let Some(found) = decode_record(bytes, at) {
        at = found.next;
    }
    let sound = |entry: &Option<_>| entry.is_some();
    Entries::new(bytes).take_while(sound).for_each(drop);
    if let Some((_, list)) = FooterHead::decode(bytes) {
        List::new(list).take_while(|listed| listed.is_some()).for_each(drop);
    }
    if Moves::are_sound(bytes) {
        Moves::new(bytes).into_iter().flatten().for_each(drop);
    }
    for leaf in Leaves::new(bytes) {
        let Some(leaf) = leaf else { break };
        let mut key = Vec::new();
        leaf.for_each(|record| {
            key.clear();
            record.push_key(&mut key);
            record.location();
        });
    }
}

fn decode_page(page: &[u8]) {
    let store = StoreId(page[8..16].iter().rev().fold(0, |id, &byte| id << 8 | u64::from(byte)));
    let incarnation = Incarnation::default();
    for at in [0, 1, 44] {
        let at = PageNo(at);
        if let Some(header) = log_page::open(page, store, at) {
            decode_records(log_page::payload(page, &header));
        }
        drop(RootPage::decode(page, store, at));
        let identity = LargeIdentity { store, page: at, incarnation };
        let _ = large::open(page, identity, b"key", 5000);
        let _ = value_record::scan(page, ValueIdentity { store, page: at, offset: 0, incarnation });
    }
    drop(Superblock::decode(page));
    if let Some(header) = SliceHeader::peek(page)
        && header.pages() == 1
        && SliceHeader::verify(page)
    {
        decode_records(header.body(page));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64.
    fn next(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[test]
    fn no_decoder_panics() {
        let mut seed = 5;
        for round in 0..60_000 {
            let mut bytes = vec![0; [40, 300, PAGE_BYTES][round % 3]];
            // Small numbers more often than not: they are what lengths and kinds are.
            for byte in &mut bytes {
                let random = next(&mut seed);
                *byte = if random & 3 == 0 { (random >> 8) as u8 } else { (random >> 8) as u8 & 3 };
            }
            if bytes.len() == PAGE_BYTES {
                let checksum = checksum(&bytes[4..]);
                bytes[..4].copy_from_slice(&checksum.to_le_bytes());
            }
            decode(&bytes);
        }
    }
}
