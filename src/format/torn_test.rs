//! Every way in which a page can be torn: any subset of its sectors new, the others zeros, noise
//! or an older valid page. What comes out is the old page, the new one, or decodes as neither.

use super::ids::{BatchNo, Epoch, ExtentNo, Generation, Incarnation, PAGE_BYTES, PageNo, StoreId};
use super::image::{EXTENTS_PER_ROOT, HEADER_BYTES, Position, RootPage, SliceHeader, SliceKind};
use super::large::{self, LargeIdentity};
use super::log_page::{self, LogHeader, PageKind};
use super::superblock::{Anchor, Checkpoint, Superblock};
use super::value_record::{self, ValueIdentity, record_len};
use std::ops::Range;

const SECTOR: usize = 512;
const STORE: StoreId = StoreId(77);
const AT: PageNo = PageNo(300);

/// Holds every torn mixture of `old` and `new` against `decodes`.
fn tear(name: &str, old: &[u8], new: &[u8], decodes: &dyn Fn(&[u8]) -> bool) {
    tear_within(name, 0..PAGE_BYTES, old, new, decodes);
}

/// The same, where what decodes is only what is `within` the pages.
fn tear_within(
    name: &str,
    within: Range<usize>,
    old: &[u8],
    new: &[u8],
    decodes: &dyn Fn(&[u8]) -> bool,
) {
    assert!(decodes(new), "{name}: the new page is valid");
    let first = within.start / SECTOR;
    let sectors = within.end.div_ceil(SECTOR) - first;
    for mask in 1..(1_u32 << sectors) - 1 {
        let mut pages = old.to_vec();
        for sector in (0..sectors).filter(|sector| mask & (1 << sector) != 0) {
            let range = (first + sector) * SECTOR..(first + sector + 1) * SECTOR;
            pages[range.clone()].copy_from_slice(&new[range]);
        }
        let found = &pages[within.clone()];
        let whole = *found == old[within.clone()] || *found == new[within.clone()];
        assert!(whole || !decodes(&pages), "{name}: mask {mask:08b} passes for a page");
    }
}

/// Over zeros, over noise, and over an older page of the same kind.
fn tear_over_all(name: &str, older: &[u8], new: &[u8], decodes: &dyn Fn(&[u8]) -> bool) {
    tear(name, &[0; PAGE_BYTES], new, decodes);
    tear(name, &noise(PAGE_BYTES), new, decodes);
    tear(name, older, new, decodes);
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(len)
    .collect()
}

fn log_page(kind: PageKind, batch: u64, fill: u8, used: u16) -> Vec<u8> {
    let mut page = vec![fill; PAGE_BYTES];
    let header = LogHeader {
        kind,
        used,
        store: STORE,
        epoch: Epoch(3),
        chain: fill.into(),
        page: AT,
        batch: BatchNo(batch),
        durable: BatchNo(batch.saturating_sub(1)),
        incarnation: Incarnation { epoch: Epoch(2), serial: batch },
        successor: ExtentNo(9),
        generation: Generation(4),
        index: 0,
        count: 1,
    };
    log_page::seal(&mut page, &header);
    page
}

#[test]
fn torn_log_pages_of_every_kind_are_invalid() {
    let decodes = |page: &[u8]| log_page::open(page, STORE, AT).is_some();
    for kind in [PageKind::Batch, PageKind::Epoch, PageKind::Evidence, PageKind::Footer] {
        for used in [0, 1, 2000, log_page::PAYLOAD_BYTES as u16] {
            let older = log_page(kind, 5, 0xaa, used);
            let newer = log_page(kind, 6, 0x55, used);
            tear_over_all(&format!("{kind:?} with {used} bytes"), &older, &newer, &decodes);
            // The next batch overwrites a page of evidence.
            let evidence = log_page(PageKind::Evidence, 0, 0, 0);
            tear(&format!("{kind:?} over evidence"), &evidence, &newer, &decodes);
        }
    }
}

#[test]
fn torn_superblocks_are_invalid() {
    let checkpoint = |page, serial| Checkpoint {
        anchor: Anchor { page: PageNo(page), chain: 5, batch: BatchNo(6), epoch: Epoch(7) },
        root: PageNo(page + 90),
        image: Incarnation { epoch: Epoch(7), serial },
    };
    let superblock = |generation: u64| {
        let superblock = Superblock {
            store: STORE,
            generation: Generation(generation),
            extent_pages: 2048,
            fixed: false,
            creating: generation == 0,
            max_pages: 1 << 20,
            pages: 1 << 14,
            checkpoint: checkpoint(300 + generation, generation),
            previous: (generation > 1).then(|| checkpoint(299, 1)),
            spares: vec![ExtentNo(3), ExtentNo(4)],
        };
        let mut page = vec![0; PAGE_BYTES];
        superblock.encode(&mut page);
        page
    };
    let decodes = |page: &[u8]| Superblock::decode(page).is_ok();
    for generation in [0, 1, 2, 9] {
        tear_over_all("superblock", &superblock(7), &superblock(generation), &decodes);
    }
}

#[test]
fn torn_headers_of_large_values_are_invalid() {
    let identity = |serial| LargeIdentity {
        store: STORE,
        page: AT,
        incarnation: Incarnation { epoch: Epoch(1), serial },
    };
    let key = vec![b'k'; 900];
    let len = 900 * large::BLOCK_BYTES as u32 / 2;
    let header = |serial, fill: u32| {
        let mut page = vec![0; PAGE_BYTES];
        large::seal(&mut page, identity(serial), &key, len, &vec![fill; 450]);
        page
    };
    let decodes = |page: &[u8]| {
        [1, 2].iter().any(|&serial| large::open(page, identity(serial), &key, len).is_some())
    };
    tear_over_all("large header", &header(1, 0xdead), &header(2, 0xbeef), &decodes);
}

#[test]
fn torn_packed_records_are_invalid() {
    let identity = |serial, offset: usize| ValueIdentity {
        store: STORE,
        page: AT,
        offset: offset as u16,
        incarnation: Incarnation { epoch: Epoch(3), serial },
    };
    // One sector; one page; the head up to the end of a page, or across it; two pages.
    for (offset, value_len) in
        [(0, 0), (504, 1), (504, 1024), (0, 4068), (4072, 100), (4088, 0), (3000, 2500), (8, 8000)]
    {
        let within = offset..offset + record_len(4, value_len);
        let name = format!("{value_len} bytes at {offset}");
        let pages = |serial, fill: u8| {
            let mut pages = vec![fill; 2 * PAGE_BYTES];
            let (key, value) = ([fill; 4], vec![fill; value_len as usize]);
            let out = &mut pages[within.clone()];
            value_record::encode(identity(serial, offset), &key, &value, out);
            pages
        };
        let decodes = |pages: &[u8]| {
            let bytes = &pages[offset..];
            [1, 2].iter().any(|&life| value_record::scan(bytes, identity(life, offset)).is_some())
        };
        let new = pages(2, 0xaa);
        // Of an earlier life of the extent, or of this one, not proved before a crash.
        for old in [vec![0; 2 * PAGE_BYTES], noise(2 * PAGE_BYTES), pages(1, 0x55), pages(2, 0x55)]
        {
            tear_within(&name, within.clone(), &old, &new, &decodes);
        }
    }
}

#[test]
fn torn_slices_are_invalid() {
    let slice = |serial, fill: u8, kind, body_len: u32| {
        let header = SliceHeader {
            store: STORE,
            image: Incarnation { epoch: Epoch(3), serial },
            index: 0,
            kind,
            position: Position { batch: BatchNo(serial), records: 2 },
            body_len,
            count: 7,
        };
        let mut page = vec![fill; PAGE_BYTES];
        header.seal(&mut page);
        page
    };
    // The head alone says nothing: `verify` must see all of the slice.
    let decodes = |page: &[u8]| {
        SliceHeader::peek(page).is_some_and(|header| header.pages() == 1)
            && SliceHeader::verify(page)
    };
    for kind in [SliceKind::Extents, SliceKind::Runs, SliceKind::Keys] {
        for body_len in [0, 1, 2000, (PAGE_BYTES - HEADER_BYTES) as u32] {
            let older = slice(5, 0xaa, kind, body_len);
            let newer = slice(6, 0x55, kind, body_len);
            tear_over_all(&format!("{kind:?} of {body_len} bytes"), &older, &newer, &decodes);
            // The stream of an image takes the place of anything that was there.
            let log_page = log_page(PageKind::Batch, 5, 0xaa, 2000);
            tear(&format!("{kind:?} over a log page"), &log_page, &newer, &decodes);
        }
    }
}

#[test]
fn torn_pages_of_roots_are_invalid() {
    let root = |serial: u64, extents: usize, next| {
        let root = RootPage {
            store: STORE,
            image: Incarnation { epoch: Epoch(3), serial },
            page: AT,
            next,
            stream_pages: 100 + serial,
            slices: 7,
            newest: BatchNo(serial),
            extents: (0..extents as u32).map(|i| ExtentNo(serial as u32 * 5000 + i)).collect(),
        };
        let mut page = vec![0; PAGE_BYTES];
        root.encode(&mut page);
        page
    };
    let decodes = |page: &[u8]| RootPage::decode(page, STORE, AT).is_some();
    for extents in [0, 1, 500, EXTENTS_PER_ROOT] {
        for next in [PageNo(0), PageNo(301)] {
            let (older, newer) = (root(5, extents, next), root(6, extents, next));
            tear_over_all(&format!("root of {extents} extents"), &older, &newer, &decodes);
            // A longer list, or a shorter one, that an earlier image left there.
            let full = root(5, EXTENTS_PER_ROOT, PageNo(0));
            tear("root over a full one", &full, &newer, &decodes);
            tear("root over one of one extent", &root(5, 1, PageNo(0)), &newer, &decodes);
        }
    }
}
