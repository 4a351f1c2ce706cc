//! The checkpoint image: all that the log before it made of the store.
//!
//! An image is a stream of pages over extents of its own, in the order in which its root lists
//! them. The stream is slices, each of whole pages and exact at a log position that it states
//! (C1); the root's pages, a list linked by page numbers, follow them.

use super::bytes::{get_u32, get_u64, put_u32, put_u64};
use super::ids::{BatchNo, Epoch, ExtentNo, Incarnation, PAGE_BYTES, PageNo, StoreId, pages_for};

/// Bytes before the body of a slice.
pub(crate) const HEADER_BYTES: usize = 64;
/// Extents that one page of a root lists.
pub(crate) const EXTENTS_PER_ROOT: usize = (PAGE_BYTES - ROOT_EXTENTS_AT) / 4;

pub(crate) const CHECKSUM_AT: usize = 0;
pub(crate) const MAGIC_AT: usize = 4;
pub(crate) const STORE_AT: usize = 8;
pub(crate) const SERIAL_AT: usize = 16;
pub(crate) const EPOCH_AT: usize = 24;

pub(crate) const SLICE_INDEX_AT: usize = 28;
pub(crate) const SLICE_BATCH_AT: usize = 32;
pub(crate) const SLICE_RECORDS_AT: usize = 40;
pub(crate) const SLICE_BODY_LEN_AT: usize = 44;
pub(crate) const SLICE_COUNT_AT: usize = 48;
pub(crate) const SLICE_KIND_AT: usize = 56;

pub(crate) const ROOT_COUNT_AT: usize = 28;
pub(crate) const ROOT_PAGE_AT: usize = 32;
pub(crate) const ROOT_NEXT_AT: usize = 40;
pub(crate) const ROOT_STREAM_AT: usize = 48;
pub(crate) const ROOT_BATCH_AT: usize = 56;
pub(crate) const ROOT_SLICES_AT: usize = 64;
pub(crate) const ROOT_EXTENTS_AT: usize = 72;

pub(super) const SLICE_MAGIC: u32 = u32::from_le_bytes(*b"XSLC");
pub(super) const ROOT_MAGIC: u32 = u32::from_le_bytes(*b"XROT");

/// A place between two records of the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Position {
    /// Every batch before this one comes before the place.
    pub(crate) batch: BatchNo,
    /// And so many records of this one.
    pub(crate) records: u32,
}

impl Position {
    /// The end of `batch`.
    pub(crate) fn after(batch: BatchNo) -> Self {
        Self { batch, records: u32::MAX }
    }

    /// Whether record number `index` of `batch` comes before the place.
    pub(crate) fn covers(self, batch: BatchNo, index: u32) -> bool {
        batch < self.batch || (batch == self.batch && index < self.records)
    }
}

/// What a slice holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum SliceKind {
    /// Lines of the extent table, each after the number of its extent.
    Extents = 1,
    /// Large values: where they are, and their incarnations.
    Runs = 2,
    /// Keys in order, as leaves of the index, and where their values are.
    Keys = 3,
}

/// The head of a slice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SliceHeader {
    pub(crate) store: StoreId,
    /// The image that it is part of.
    pub(crate) image: Incarnation,
    /// Its number within the image.
    pub(crate) index: u32,
    pub(crate) kind: SliceKind,
    /// The log position at which it is exact.
    pub(crate) position: Position,
    pub(crate) body_len: u32,
    /// Things in it: lines, values, or keys.
    pub(crate) count: u64,
}

impl SliceHeader {
    /// Pages of the slice.
    pub(crate) fn pages(&self) -> u64 {
        slice_pages(self.body_len as usize)
    }

    /// Writes the head over the first bytes of `slice`, whose body is in its place, and clears
    /// what is behind the body.
    pub(crate) fn seal(&self, slice: &mut [u8]) {
        assert_eq!(slice.len() as u64, self.pages() * PAGE_BYTES as u64, "whole pages");
        slice[..HEADER_BYTES].fill(0);
        slice[HEADER_BYTES + self.body_len as usize..].fill(0);
        put_identity(slice, SLICE_MAGIC, self.store, self.image);
        put_u32(slice, SLICE_INDEX_AT, self.index);
        put_u64(slice, SLICE_BATCH_AT, self.position.batch.0);
        put_u32(slice, SLICE_RECORDS_AT, self.position.records);
        put_u32(slice, SLICE_BODY_LEN_AT, self.body_len);
        put_u64(slice, SLICE_COUNT_AT, self.count);
        put_u32(slice, SLICE_KIND_AT, self.kind as u32);
        put_checksum(slice);
    }

    /// The head that the first page of a slice claims. Nothing is verified before
    /// [`verify`](Self::verify).
    pub(crate) fn peek(page: &[u8]) -> Option<Self> {
        let kind = match get_u32(page, SLICE_KIND_AT) {
            1 => SliceKind::Extents,
            2 => SliceKind::Runs,
            3 => SliceKind::Keys,
            _ => return None,
        };
        (get_u32(page, MAGIC_AT) == SLICE_MAGIC).then(|| Self {
            store: StoreId(get_u64(page, STORE_AT)),
            image: get_image(page),
            index: get_u32(page, SLICE_INDEX_AT),
            kind,
            position: Position {
                batch: BatchNo(get_u64(page, SLICE_BATCH_AT)),
                records: get_u32(page, SLICE_RECORDS_AT),
            },
            body_len: get_u32(page, SLICE_BODY_LEN_AT),
            count: get_u64(page, SLICE_COUNT_AT),
        })
    }

    /// Whether the pages of a slice are what its checksum says.
    pub(crate) fn verify(slice: &[u8]) -> bool {
        is_sound(slice)
    }

    /// The body of a slice.
    pub(crate) fn body<'a>(&self, slice: &'a [u8]) -> &'a [u8] {
        &slice[HEADER_BYTES..HEADER_BYTES + self.body_len as usize]
    }
}

/// Pages of a slice with a body of `body_len` bytes.
pub(crate) fn slice_pages(body_len: usize) -> u64 {
    pages_for((HEADER_BYTES + body_len) as u64)
}

/// A page of a root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RootPage {
    pub(crate) store: StoreId,
    pub(crate) image: Incarnation,
    /// Its own page.
    pub(crate) page: PageNo,
    /// The page on which the root goes on; page 0 at its end.
    pub(crate) next: PageNo,
    /// Pages of slices.
    pub(crate) stream_pages: u64,
    /// Slices.
    pub(crate) slices: u32,
    /// The newest batch at whose position a slice is exact (C2).
    pub(crate) newest: BatchNo,
    /// Extents of the image that this page lists.
    pub(crate) extents: Vec<ExtentNo>,
}

impl RootPage {
    /// Writes the encoded form over all of `page`.
    ///
    /// # Panics
    /// If there are more than [`EXTENTS_PER_ROOT`] extents.
    pub(crate) fn encode(&self, page: &mut [u8]) {
        assert!(self.extents.len() <= EXTENTS_PER_ROOT, "the extents fit the page");
        page.fill(0);
        put_identity(page, ROOT_MAGIC, self.store, self.image);
        put_u32(page, ROOT_COUNT_AT, self.extents.len() as u32);
        put_u64(page, ROOT_PAGE_AT, self.page.0);
        put_u64(page, ROOT_NEXT_AT, self.next.0);
        put_u64(page, ROOT_STREAM_AT, self.stream_pages);
        put_u64(page, ROOT_BATCH_AT, self.newest.0);
        put_u32(page, ROOT_SLICES_AT, self.slices);
        for (i, extent) in self.extents.iter().enumerate() {
            put_u32(page, ROOT_EXTENTS_AT + 4 * i, extent.0);
        }
        put_checksum(page);
    }

    /// Reads the page at `at`; `None` if it is not a page of a root that `store` wrote there.
    pub(crate) fn decode(page: &[u8], store: StoreId, at: PageNo) -> Option<Self> {
        let count = get_u32(page, ROOT_COUNT_AT) as usize;
        let sound = page.len() == PAGE_BYTES
            && get_u32(page, MAGIC_AT) == ROOT_MAGIC
            && get_u64(page, STORE_AT) == store.0
            && get_u64(page, ROOT_PAGE_AT) == at.0
            && count <= EXTENTS_PER_ROOT
            && is_sound(page);
        let extent = |i| ExtentNo(get_u32(page, ROOT_EXTENTS_AT + 4 * i));
        sound.then(|| Self {
            store,
            image: get_image(page),
            page: at,
            next: PageNo(get_u64(page, ROOT_NEXT_AT)),
            stream_pages: get_u64(page, ROOT_STREAM_AT),
            slices: get_u32(page, ROOT_SLICES_AT),
            newest: BatchNo(get_u64(page, ROOT_BATCH_AT)),
            extents: (0..count).map(extent).collect(),
        })
    }
}

/// A large value, as a slice of runs lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RunLine {
    pub(crate) page: PageNo,
    pub(crate) pages: u64,
    pub(crate) incarnation: Incarnation,
}

impl RunLine {
    /// Bytes of a line.
    pub(crate) const BYTES: usize = 24;

    /// Appends the encoded line.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.page.0 as u32).to_le_bytes());
        out.extend_from_slice(&(self.pages as u32).to_le_bytes());
        out.extend_from_slice(&self.incarnation.serial.to_le_bytes());
        out.extend_from_slice(&self.incarnation.epoch.0.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
    }

    /// Reads an encoded line; `None` if it is not one.
    pub(crate) fn decode(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let incarnation =
            Incarnation { epoch: Epoch(get_u32(bytes, 16)), serial: get_u64(bytes, 8) };
        let pages = u64::from(get_u32(bytes, 4));
        let page = PageNo(u64::from(get_u32(bytes, 0)));
        (pages > 0 && bytes[20..] == [0; 4]).then_some(Self { page, pages, incarnation })
    }
}

fn put_identity(page: &mut [u8], magic: u32, store: StoreId, image: Incarnation) {
    put_u32(page, MAGIC_AT, magic);
    put_u64(page, STORE_AT, store.0);
    put_u64(page, SERIAL_AT, image.serial);
    put_u32(page, EPOCH_AT, image.epoch.0);
}

fn get_image(page: &[u8]) -> Incarnation {
    Incarnation { epoch: Epoch(get_u32(page, EPOCH_AT)), serial: get_u64(page, SERIAL_AT) }
}

fn put_checksum(pages: &mut [u8]) {
    let checksum = crc32c::crc32c(&pages[CHECKSUM_AT + 4..]);
    put_u32(pages, CHECKSUM_AT, checksum);
}

fn is_sound(pages: &[u8]) -> bool {
    get_u32(pages, CHECKSUM_AT) == crc32c::crc32c(&pages[CHECKSUM_AT + 4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: Incarnation = Incarnation { epoch: Epoch(3), serial: 9 };
    const STORE: StoreId = StoreId(0x1234_5678_9abc_def0);

    fn slice() -> (SliceHeader, Vec<u8>) {
        let header = SliceHeader {
            store: STORE,
            image: IMAGE,
            index: 4,
            kind: SliceKind::Keys,
            position: Position { batch: BatchNo(77), records: 3 },
            body_len: 5000,
            count: 120,
        };
        let mut pages = vec![0xaa; 2 * PAGE_BYTES];
        header.seal(&mut pages);
        (header, pages)
    }

    fn root() -> RootPage {
        RootPage {
            store: STORE,
            image: IMAGE,
            page: PageNo(70),
            next: PageNo(71),
            stream_pages: 66,
            slices: 2,
            newest: BatchNo(77),
            extents: (5..5 + EXTENTS_PER_ROOT as u32).map(ExtentNo).collect(),
        }
    }

    #[test]
    fn a_slice_survives_a_round_trip() {
        let (header, pages) = slice();
        assert_eq!(SliceHeader::peek(&pages), Some(header));
        assert!(SliceHeader::verify(&pages));
        assert_eq!(header.body(&pages), [0xaa; 5000]);
        assert!(pages[HEADER_BYTES + 5000..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_root_survives_a_round_trip() {
        let mut page = vec![0xff; PAGE_BYTES];
        root().encode(&mut page);
        assert_eq!(RootPage::decode(&page, STORE, PageNo(70)), Some(root()));
        assert_eq!(RootPage::decode(&page, STORE, PageNo(71)), None);
        assert_eq!(RootPage::decode(&page, StoreId(1), PageNo(70)), None);
    }

    #[test]
    fn every_single_bit_flip_is_detected() {
        let (_, mut pages) = slice();
        let mut page = vec![0; PAGE_BYTES];
        root().encode(&mut page);
        for bit in 0..PAGE_BYTES * 8 {
            pages[bit / 8] ^= 1 << (bit % 8);
            page[bit / 8] ^= 1 << (bit % 8);
            assert!(!SliceHeader::verify(&pages), "bit {bit}");
            assert_eq!(RootPage::decode(&page, STORE, PageNo(70)), None, "bit {bit}");
            pages[bit / 8] ^= 1 << (bit % 8);
            page[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_line_of_a_large_value_survives_a_round_trip() {
        let line = RunLine { page: PageNo(u64::from(u32::MAX)), pages: 9, incarnation: IMAGE };
        let mut bytes = Vec::new();
        line.encode(&mut bytes);
        let mut bytes: [u8; RunLine::BYTES] = bytes.try_into().unwrap();
        assert_eq!(RunLine::decode(&bytes), Some(line));
        bytes[23] = 1;
        assert_eq!(RunLine::decode(&bytes), None);
    }

    #[test]
    fn a_position_covers_what_comes_before_it() {
        let inside = Position { batch: BatchNo(5), records: 2 };
        assert!(inside.covers(BatchNo(4), 9) && inside.covers(BatchNo(5), 1));
        assert!(!inside.covers(BatchNo(5), 2) && !inside.covers(BatchNo(6), 0));
        assert!(Position::after(BatchNo(5)).covers(BatchNo(5), 1 << 30));
        assert!(Position::after(BatchNo(4)) < inside && inside < Position::after(BatchNo(5)));
    }
}
