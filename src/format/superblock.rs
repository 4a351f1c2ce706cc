//! The superblock: where a volume says what it is and where its log begins.
//!
//! Two copies, in the first and the last page of extent 0, are written in turn; the valid one of
//! the newest generation counts. All of it fits one 512-byte sector, so a torn write leaves the
//! old copy, the new one, or one that fails its checksum.

use super::bytes::{get_u32, get_u64, put_u32, put_u64};
use super::ids::{BatchNo, Epoch, ExtentNo, Generation, Incarnation, PAGE_BYTES, PageNo, StoreId};
use crate::seeded::{Bug, seeded};
use std::ops::RangeInclusive;

/// First bytes after the checksum and the version.
pub(crate) const MAGIC: [u8; 8] = *b"EXTENTDB";
/// The format that this library writes, and the newest that it reads.
pub(crate) const FORMAT_VERSION: u32 = 6;
/// Most spare extents that a superblock can list as prepared.
pub(crate) const MAX_SPARES: usize = 16;

/// Extent sizes in pages, as powers of two: 16 KiB to 1 GiB.
pub(crate) const EXTENT_SHIFTS: RangeInclusive<u32> = 2..=16;

pub(crate) const CHECKSUM_AT: usize = 0;
pub(crate) const VERSION_AT: usize = 4;
pub(crate) const MAGIC_AT: usize = 8;
pub(crate) const STORE_AT: usize = 16;
pub(crate) const GENERATION_AT: usize = 24;
pub(crate) const EXTENT_PAGES_AT: usize = 32;
pub(crate) const FLAGS_AT: usize = 36;
pub(crate) const MAX_PAGES_AT: usize = 40;
pub(crate) const PAGES_AT: usize = 48;
pub(crate) const CHECKPOINT_AT: usize = 56;
pub(crate) const PREVIOUS_AT: usize = CHECKPOINT_AT + Checkpoint::BYTES;
pub(crate) const SPARE_COUNT_AT: usize = PREVIOUS_AT + Checkpoint::BYTES;
pub(crate) const SPARES_AT: usize = SPARE_COUNT_AT + 4;

pub(crate) const ANCHOR_PAGE_AT: usize = 0;
pub(crate) const ANCHOR_BATCH_AT: usize = 8;
pub(crate) const ANCHOR_CHAIN_AT: usize = 16;
pub(crate) const ANCHOR_EPOCH_AT: usize = 20;
pub(crate) const ROOT_AT: usize = 24;
pub(crate) const IMAGE_SERIAL_AT: usize = 32;
pub(crate) const IMAGE_EPOCH_AT: usize = 40;

const FLAG_FIXED: u32 = 1;
const FLAG_CREATING: u32 = 2;

/// The last page that the checkpoint covers: the log goes on after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Anchor {
    /// The covered page; it stays readable.
    pub(crate) page: PageNo,
    /// Its checksum, which the next page carries as its chain value.
    pub(crate) chain: u32,
    /// Its batch.
    pub(crate) batch: BatchNo,
    /// Its epoch.
    pub(crate) epoch: Epoch,
}

/// What an open starts from: an image, and the log after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) anchor: Anchor,
    /// First page of the image's root; page 0 where the whole log is there, and no image.
    pub(crate) root: PageNo,
    pub(crate) image: Incarnation,
}

impl Checkpoint {
    /// Bytes of the encoded form.
    pub(crate) const BYTES: usize = 48;

    /// The log from its first page on.
    pub(crate) fn of_whole_log(anchor: Anchor) -> Self {
        Self { anchor, root: PageNo(0), image: Incarnation::default() }
    }

    fn encode(&self, out: &mut [u8]) {
        put_u64(out, ANCHOR_PAGE_AT, self.anchor.page.0);
        put_u64(out, ANCHOR_BATCH_AT, self.anchor.batch.0);
        put_u32(out, ANCHOR_CHAIN_AT, self.anchor.chain);
        put_u32(out, ANCHOR_EPOCH_AT, self.anchor.epoch.0);
        put_u64(out, ROOT_AT, self.root.0);
        put_u64(out, IMAGE_SERIAL_AT, self.image.serial);
        put_u32(out, IMAGE_EPOCH_AT, self.image.epoch.0);
    }

    fn decode(bytes: &[u8]) -> Self {
        Self {
            anchor: Anchor {
                page: PageNo(get_u64(bytes, ANCHOR_PAGE_AT)),
                chain: get_u32(bytes, ANCHOR_CHAIN_AT),
                batch: BatchNo(get_u64(bytes, ANCHOR_BATCH_AT)),
                epoch: Epoch(get_u32(bytes, ANCHOR_EPOCH_AT)),
            },
            root: PageNo(get_u64(bytes, ROOT_AT)),
            image: Incarnation {
                epoch: Epoch(get_u32(bytes, IMAGE_EPOCH_AT)),
                serial: get_u64(bytes, IMAGE_SERIAL_AT),
            },
        }
    }
}

/// What one copy says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Superblock {
    pub(crate) store: StoreId,
    pub(crate) generation: Generation,
    pub(crate) extent_pages: u32,
    /// Whether the volume never grows.
    pub(crate) fixed: bool,
    /// Whether creation has not come to its end: nothing was ever stored.
    pub(crate) creating: bool,
    /// Pages to which it may grow.
    pub(crate) max_pages: u64,
    /// Pages that had been made durable when this was written.
    pub(crate) pages: u64,
    /// The newest checkpoint.
    pub(crate) checkpoint: Checkpoint,
    /// The one before, while its image and its log are kept: it serves where a page of the
    /// newest is damaged.
    pub(crate) previous: Option<Checkpoint>,
    /// Free extents that zeros were written to: log pages may go there.
    pub(crate) spares: Vec<ExtentNo>,
}

/// Why a page is not a superblock that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SuperblockFault {
    /// Every byte is zero.
    Zeros,
    /// Not ours, torn, or damaged.
    Invalid,
    /// Valid, from a newer version of the format.
    Newer(u32),
}

impl Superblock {
    /// The pages of the two copies.
    pub(crate) fn slots(extent_pages: u32) -> [PageNo; 2] {
        [PageNo(0), PageNo(u64::from(extent_pages) - 1)]
    }

    /// Which of [`slots`](Self::slots) this generation goes to.
    pub(crate) fn slot(&self) -> PageNo {
        let place = if seeded(Bug::SuperblockInPlace) { 0 } else { self.generation.0 % 2 };
        Self::slots(self.extent_pages)[place as usize]
    }

    /// Writes the encoded form over all of `page`.
    ///
    /// # Panics
    /// If there are more than [`MAX_SPARES`] spares.
    pub(crate) fn encode(&self, page: &mut [u8]) {
        assert!(self.spares.len() <= MAX_SPARES, "the superblock lists at most 16 spares");
        page.fill(0);
        put_u32(page, VERSION_AT, FORMAT_VERSION);
        page[MAGIC_AT..MAGIC_AT + 8].copy_from_slice(&MAGIC);
        put_u64(page, STORE_AT, self.store.0);
        put_u64(page, GENERATION_AT, self.generation.0);
        put_u32(page, EXTENT_PAGES_AT, self.extent_pages);
        let fixed = if self.fixed { FLAG_FIXED } else { 0 };
        let creating = if self.creating { FLAG_CREATING } else { 0 };
        put_u32(page, FLAGS_AT, fixed | creating);
        put_u64(page, MAX_PAGES_AT, self.max_pages);
        put_u64(page, PAGES_AT, self.pages);
        self.checkpoint.encode(&mut page[CHECKPOINT_AT..PREVIOUS_AT]);
        if let Some(previous) = &self.previous {
            previous.encode(&mut page[PREVIOUS_AT..SPARE_COUNT_AT]);
        }
        put_u32(page, SPARE_COUNT_AT, self.spares.len() as u32);
        for (i, spare) in self.spares.iter().enumerate() {
            put_u32(page, SPARES_AT + 4 * i, spare.0);
        }
        let checksum = crc32c::crc32c(&page[CHECKSUM_AT + 4..]);
        put_u32(page, CHECKSUM_AT, checksum);
    }

    /// Reads a page that should hold a superblock.
    pub(crate) fn decode(page: &[u8]) -> Result<Self, SuperblockFault> {
        assert_eq!(page.len(), PAGE_BYTES, "a superblock is one page");
        if page.iter().all(|&byte| byte == 0) {
            return Err(SuperblockFault::Zeros);
        }
        let checksum = crc32c::crc32c(&page[CHECKSUM_AT + 4..]);
        if get_u32(page, CHECKSUM_AT) != checksum || page[MAGIC_AT..MAGIC_AT + 8] != MAGIC {
            return Err(SuperblockFault::Invalid);
        }
        match get_u32(page, VERSION_AT) {
            FORMAT_VERSION => Self::decode_fields(page).ok_or(SuperblockFault::Invalid),
            newer if newer > FORMAT_VERSION => Err(SuperblockFault::Newer(newer)),
            _ => Err(SuperblockFault::Invalid),
        }
    }

    fn decode_fields(page: &[u8]) -> Option<Self> {
        let flags = get_u32(page, FLAGS_AT);
        let extent_pages = get_u32(page, EXTENT_PAGES_AT);
        let spare_count = get_u32(page, SPARE_COUNT_AT) as usize;
        let sound = flags & !(FLAG_FIXED | FLAG_CREATING) == 0
            && extent_pages.is_power_of_two()
            && EXTENT_SHIFTS.contains(&extent_pages.ilog2())
            && spare_count <= MAX_SPARES;
        sound.then(|| Self {
            store: StoreId(get_u64(page, STORE_AT)),
            generation: Generation(get_u64(page, GENERATION_AT)),
            extent_pages,
            fixed: flags & FLAG_FIXED != 0,
            creating: flags & FLAG_CREATING != 0,
            max_pages: get_u64(page, MAX_PAGES_AT),
            pages: get_u64(page, PAGES_AT),
            checkpoint: Checkpoint::decode(&page[CHECKPOINT_AT..PREVIOUS_AT]),
            // No anchor is in page 0, which is a superblock.
            previous: Some(Checkpoint::decode(&page[PREVIOUS_AT..SPARE_COUNT_AT]))
                .filter(|previous| previous.anchor.page != PageNo(0)),
            spares: (0..spare_count).map(|i| ExtentNo(get_u32(page, SPARES_AT + 4 * i))).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(page: u64) -> Checkpoint {
        Checkpoint {
            anchor: Anchor {
                page: PageNo(page),
                chain: 0xdead_beef,
                batch: BatchNo(99),
                epoch: Epoch(3),
            },
            root: PageNo(page + 1),
            image: Incarnation { epoch: Epoch(2), serial: page },
        }
    }

    fn sample() -> Superblock {
        Superblock {
            store: StoreId(0x1234_5678_9abc_def0),
            generation: Generation(7),
            extent_pages: 4096,
            fixed: true,
            creating: false,
            max_pages: 1 << 30,
            pages: 1 << 20,
            checkpoint: checkpoint(4096),
            previous: Some(checkpoint(8192)),
            spares: vec![ExtentNo(2), ExtentNo(9)],
        }
    }

    #[test]
    fn survives_a_round_trip() {
        let mut page = vec![0xff; PAGE_BYTES];
        sample().encode(&mut page);
        assert_eq!(Superblock::decode(&page), Ok(sample()));
        let alone = Superblock { previous: None, ..sample() };
        alone.encode(&mut page);
        assert_eq!(Superblock::decode(&page), Ok(alone));
    }

    #[test]
    fn every_single_bit_flip_is_detected() {
        let mut page = vec![0; PAGE_BYTES];
        sample().encode(&mut page);
        for bit in 0..PAGE_BYTES * 8 {
            page[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Superblock::decode(&page), Err(SuperblockFault::Invalid), "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn tells_zeros_and_newer_formats_apart() {
        assert_eq!(Superblock::decode(&[0; PAGE_BYTES]), Err(SuperblockFault::Zeros));
        let mut page = vec![0; PAGE_BYTES];
        sample().encode(&mut page);
        put_u32(&mut page, VERSION_AT, FORMAT_VERSION + 1);
        let checksum = crc32c::crc32c(&page[4..]);
        put_u32(&mut page, CHECKSUM_AT, checksum);
        assert_eq!(Superblock::decode(&page), Err(SuperblockFault::Newer(FORMAT_VERSION + 1)));
    }

    #[test]
    fn fits_one_sector() {
        const { assert!(SPARES_AT + 4 * MAX_SPARES <= 512) };
    }
}
