//! Log pages: a header that binds the page to its place in the log (W4), then payload.
//!
//! The payloads of a batch's pages, one after the other, are its stream of records.

use super::bytes::{get_u16, get_u32, get_u48, get_u64, put_u16, put_u32, put_u48, put_u64};
use super::ids::{BatchNo, Epoch, ExtentNo, Generation, Incarnation, PAGE_BYTES, PageNo, StoreId};
use super::{image, large};
use crate::seeded::{Bug, seeded};

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 64;
/// Bytes of payload in a page.
pub(crate) const PAYLOAD_BYTES: usize = PAGE_BYTES - HEADER_BYTES;

/// Most pages that belong together: an extent has no more.
pub(crate) const MAX_PAGES: u32 = 1 << 16;

/// Magics of pages of other kinds.
const MAGICS: [u32; 3] = [image::SLICE_MAGIC, image::ROOT_MAGIC, large::MAGIC];

pub(crate) const CHECKSUM_AT: usize = 0;
pub(crate) const KIND_AT: usize = 4;
pub(crate) const USED_AT: usize = 6;
pub(crate) const STORE_AT: usize = 8;
pub(crate) const EPOCH_AT: usize = 16;
pub(crate) const CHAIN_AT: usize = 20;
pub(crate) const PAGE_AT: usize = 24;
pub(crate) const SUCCESSOR_AT: usize = 28;
pub(crate) const INCARNATION_EPOCH_AT: usize = 32;
pub(crate) const SERIAL_AT: usize = 36;
pub(crate) const BATCH_AT: usize = 42;
pub(crate) const DURABLE_AT: usize = 48;
pub(crate) const GENERATION_AT: usize = 54;
pub(crate) const INDEX_AT: usize = 60;
pub(crate) const LAST_AT: usize = 62;

/// What a log page is for. The values are on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum PageKind {
    /// Records of a batch.
    Batch = 1,
    /// The first page of an epoch: an open accepted the log up to the page before (R2).
    Epoch = 2,
    /// Proof, while the log is idle, that all before it is durable (W6). Not in the chain: the
    /// next batch overwrites it.
    Evidence = 3,
    /// Lists the records of a sealed extent. Not in the chain: its presence only saves reading.
    Footer = 4,
}

/// The identity of a log page, all of it under the page's checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LogHeader {
    pub(crate) kind: PageKind,
    /// Bytes of payload in use.
    pub(crate) used: u16,
    pub(crate) store: StoreId,
    pub(crate) epoch: Epoch,
    /// Checksum of the page before, in log order.
    pub(crate) chain: u32,
    /// Where this page belongs.
    pub(crate) page: PageNo,
    /// Batch: its number. Epoch header and footer: the last batch before it. Evidence: 0.
    pub(crate) batch: BatchNo,
    /// D: every batch up to this one was durable when this page was written.
    pub(crate) durable: BatchNo,
    pub(crate) incarnation: Incarnation,
    /// The extent in which the log goes on when this one is full.
    pub(crate) successor: ExtentNo,
    /// The newest superblock when this page was written.
    pub(crate) generation: Generation,
    /// Which page of `count` this is.
    pub(crate) index: u32,
    /// Pages that belong together.
    pub(crate) count: u32,
}

/// Seals `page`: header in place, checksum over all of it. Returns the checksum, which is the
/// chain value of the next page.
pub(crate) fn seal(page: &mut [u8], header: &LogHeader) -> u32 {
    assert_eq!(page.len(), PAGE_BYTES, "a log page is one page");
    assert!(header.used as usize <= PAYLOAD_BYTES, "payload exceeds the page");
    assert!(header.index < header.count && header.count <= MAX_PAGES, "pages of one extent");
    page[..HEADER_BYTES].fill(0);
    page[KIND_AT] = header.kind as u8;
    put_u16(page, USED_AT, header.used);
    put_u64(page, STORE_AT, header.store.0);
    put_u32(page, EPOCH_AT, header.epoch.0);
    put_u32(page, CHAIN_AT, header.chain);
    put_u32(page, PAGE_AT, header.page.0 as u32);
    put_u48(page, BATCH_AT, header.batch.0);
    put_u48(page, DURABLE_AT, header.durable.0);
    put_u48(page, SERIAL_AT, header.incarnation.serial);
    put_u32(page, INCARNATION_EPOCH_AT, header.incarnation.epoch.0);
    put_u32(page, SUCCESSOR_AT, header.successor.0);
    put_u48(page, GENERATION_AT, header.generation.0);
    put_u16(page, INDEX_AT, header.index as u16);
    put_u16(page, LAST_AT, (header.count - 1) as u16);
    page[HEADER_BYTES + header.used as usize..].fill(0);
    let checksum = crc32c::crc32c(&page[CHECKSUM_AT + 4..]);
    put_u32(page, CHECKSUM_AT, checksum);
    checksum
}

/// The page and the offset into its payload of position `at` in the stream that starts at
/// `start`.
pub(crate) fn place(start: PageNo, at: usize) -> (PageNo, u16) {
    (start.plus((at / PAYLOAD_BYTES) as u64), (at % PAYLOAD_BYTES) as u16)
}

/// Reads the header of a page that should be the log page `at` of `store`. `None` if the page
/// is torn, damaged, of another store or misplaced.
pub(crate) fn open(page: &[u8], store: StoreId, at: PageNo) -> Option<LogHeader> {
    assert_eq!(page.len(), PAGE_BYTES, "a log page is one page");
    let kind = match page[KIND_AT] {
        1 => PageKind::Batch,
        2 => PageKind::Epoch,
        3 => PageKind::Evidence,
        4 => PageKind::Footer,
        _ => return None,
    };
    let header = LogHeader {
        kind,
        used: get_u16(page, USED_AT),
        store: StoreId(get_u64(page, STORE_AT)),
        epoch: Epoch(get_u32(page, EPOCH_AT)),
        chain: get_u32(page, CHAIN_AT),
        page: PageNo(u64::from(get_u32(page, PAGE_AT))),
        batch: BatchNo(get_u48(page, BATCH_AT)),
        durable: BatchNo(get_u48(page, DURABLE_AT)),
        incarnation: Incarnation {
            epoch: Epoch(get_u32(page, INCARNATION_EPOCH_AT)),
            serial: get_u48(page, SERIAL_AT),
        },
        successor: ExtentNo(get_u32(page, SUCCESSOR_AT)),
        generation: Generation(get_u48(page, GENERATION_AT)),
        index: u32::from(get_u16(page, INDEX_AT)),
        count: u32::from(get_u16(page, LAST_AT)) + 1,
    };
    let sound = header.store == store
        && header.page == at
        && header.used as usize <= PAYLOAD_BYTES
        && header.index < header.count
        && (checksum(page) == crc32c::crc32c(&page[CHECKSUM_AT + 4..])
            || seeded(Bug::LogChecksumIgnored));
    sound.then_some(header)
}

/// Whether a page was to be the log page `at` of `store` in `epoch`, and is not: it was cut short, or
/// damaged. What was there before is none: pages of another volume, and what an earlier epoch left,
/// whole or torn, unless they would be right but for that. Images and large values, which may have been
/// here in an earlier life, have the store at the same place, and a magic at that of the kind.
pub(crate) fn is_spoiled(page: &[u8], store: StoreId, at: PageNo, epoch: Epoch) -> bool {
    if MAGICS.contains(&get_u32(page, KIND_AT)) || open(page, store, at).is_some() {
        return false;
    }
    let is_right_with = |change: &dyn Fn(&mut [u8])| {
        let mut page = page.to_vec();
        change(&mut page);
        open(&page, store, at).is_some()
    };
    if seeded(Bug::VoidIsDropped) {
        return get_u64(page, STORE_AT) == store.0 || u64::from(get_u32(page, PAGE_AT)) == at.0;
    }
    if get_u64(page, STORE_AT) != store.0 {
        return is_right_with(&|page| put_u64(page, STORE_AT, store.0));
    }
    let is_whole = checksum(page) == crc32c::crc32c(&page[CHECKSUM_AT + 4..]);
    is_whole
        || get_u32(page, EPOCH_AT) >= epoch.0
        || is_right_with(&|page| put_u32(page, EPOCH_AT, epoch.0))
}

/// The store that a page claims to be of.
#[cfg(test)]
pub(crate) fn store_of(page: &[u8]) -> StoreId {
    StoreId(get_u64(page, STORE_AT))
}

/// The checksum that a sealed page carries.
pub(crate) fn checksum(page: &[u8]) -> u32 {
    get_u32(page, CHECKSUM_AT)
}

/// Gives pages that may be damaged the checksums that they should have: what nobody does.
pub(crate) fn seal_again(pages: &mut [u8], store: StoreId) {
    for page in pages.chunks_exact_mut(PAGE_BYTES).filter(|p| get_u64(p, STORE_AT) == store.0) {
        let checksum = crc32c::crc32c(&page[CHECKSUM_AT + 4..]);
        put_u32(page, CHECKSUM_AT, checksum);
    }
}

/// The used payload of a sealed page.
pub(crate) fn payload<'a>(page: &'a [u8], header: &LogHeader) -> &'a [u8] {
    &page[HEADER_BYTES..HEADER_BYTES + header.used as usize]
}

/// Pages that a stream of `bytes` takes; at least one.
pub(crate) const fn pages_for_stream(bytes: usize) -> usize {
    let pages = bytes.div_ceil(PAYLOAD_BYTES);
    if pages == 0 { 1 } else { pages }
}

/// Copies `bytes` into the payloads of consecutive `pages`, from stream position `at` on.
pub(crate) fn write_stream(pages: &mut [u8], mut at: usize, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let within = at % PAYLOAD_BYTES;
        let len = bytes.len().min(PAYLOAD_BYTES - within);
        let start = at / PAYLOAD_BYTES * PAGE_BYTES + HEADER_BYTES + within;
        pages[start..start + len].copy_from_slice(&bytes[..len]);
        at += len;
        bytes = &bytes[len..];
    }
}

/// Moves the payloads of consecutive `pages` together and returns where the stream begins.
pub(crate) fn join_payloads(pages: &mut [u8]) -> usize {
    for i in 1..pages.len() / PAGE_BYTES {
        let source = i * PAGE_BYTES + HEADER_BYTES;
        pages.copy_within(source..source + PAYLOAD_BYTES, HEADER_BYTES + i * PAYLOAD_BYTES);
    }
    HEADER_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> LogHeader {
        LogHeader {
            kind: PageKind::Batch,
            used: 100,
            store: StoreId(11),
            epoch: Epoch(2),
            chain: 33,
            page: PageNo(44),
            batch: BatchNo(55),
            durable: BatchNo(54),
            incarnation: Incarnation { epoch: Epoch(1), serial: 66 },
            successor: ExtentNo(7),
            generation: Generation(8),
            index: 1,
            count: 3,
        }
    }

    #[test]
    fn other_pages_than_those_of_this_log_are_not_spoiled_ones_of_it() {
        let sealed = |header: LogHeader| {
            let mut page = vec![0; PAGE_BYTES];
            seal(&mut page, &header);
            page
        };
        let spoiled = |page: &[u8]| is_spoiled(page, StoreId(11), PageNo(44), Epoch(2));
        assert!(!spoiled(&sealed(sample())), "whole");
        let elsewhere = LogHeader { page: PageNo(45), ..sample() };
        assert!(spoiled(&sealed(elsewhere)), "misplaced");
        for at in 0..PAGE_BYTES {
            let mut page = sealed(sample());
            page[at] ^= 1;
            assert!(spoiled(&page), "byte {at}");
        }
        for magic in MAGICS {
            let mut page = sealed(sample());
            put_u32(&mut page, KIND_AT, magic);
            assert!(!spoiled(&page));
        }
        let mut of_another = sealed(LogHeader { store: StoreId(12), ..sample() });
        assert!(!spoiled(&of_another));
        of_another[PAGE_BYTES - 512..].fill(0xaa);
        assert!(!spoiled(&of_another), "torn");
        let mut of_earlier = sealed(LogHeader { epoch: Epoch(1), ..sample() });
        of_earlier[PAGE_BYTES - 512..].fill(0xaa);
        assert!(!spoiled(&of_earlier), "torn before this epoch");
        assert!(!spoiled(&[0; PAGE_BYTES]));
    }

    #[test]
    fn survives_a_round_trip() {
        let mut page = vec![0xaa; PAGE_BYTES];
        let chain = seal(&mut page, &sample());
        assert_eq!(open(&page, StoreId(11), PageNo(44)), Some(sample()));
        assert_eq!(checksum(&page), chain);
        assert!(page[HEADER_BYTES + 100..].iter().all(|&b| b == 0));
    }

    #[test]
    fn every_single_bit_flip_is_detected() {
        let mut page = vec![0x5a; PAGE_BYTES];
        seal(&mut page, &sample());
        for bit in 0..PAGE_BYTES * 8 {
            page[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&page, StoreId(11), PageNo(44)), None, "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn refuses_another_store_and_another_place() {
        let mut page = vec![0; PAGE_BYTES];
        seal(&mut page, &sample());
        assert_eq!(open(&page, StoreId(12), PageNo(44)), None);
        assert_eq!(open(&page, StoreId(11), PageNo(45)), None);
    }

    #[test]
    fn a_stream_crosses_pages_and_comes_back_whole() {
        let bytes: Vec<u8> = (0..3 * PAYLOAD_BYTES).map(|i| (i % 251) as u8).collect();
        let mut pages = vec![0; 4 * PAGE_BYTES];
        write_stream(&mut pages, 100, &bytes[..1000]);
        write_stream(&mut pages, 1100, &bytes[1000..]);
        let start = join_payloads(&mut pages) + 100;
        assert_eq!(&pages[start..start + bytes.len()], &bytes[..]);
    }
}
