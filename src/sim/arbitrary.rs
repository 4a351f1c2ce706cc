//! T4: bytes that nobody wrote as a volume. Whatever they are, opening and reading them ends, with
//! an answer or an error, and never panics. `sim::fuzz` goes on with more of them for a while.

use super::canonical::{SMALL, canonical, put};
use super::device::{Page, SimDevice, page_of};
use super::random::{Random, seeds};
use super::tell;
use super::trace::Pages;
use super::workload::{Model, Op, Session, Shape, key, open, run};
use crate::db::Db;
use crate::durability::Durability::Synced;
use crate::engine::Background;
use crate::error::Error;
use crate::format::extent_state::{ExtentState, Role};
use crate::format::footer::FooterHead;
use crate::format::ids::{Epoch, ExtentNo, Incarnation, PAGE_BYTES, PageNo};
use crate::format::image::{self, SliceHeader, SliceKind};
use crate::format::log_page::{self, LogHeader, PageKind};
use crate::format::superblock::Superblock;
use crate::sync::{Arc, AtomicU64, Duration, Ordering};
use std::sync::mpsc;

/// Volumes of an ordinary run, unless `EXTENTDB_SEEDS` asks for another number.
const SEEDS: u64 = 40_000;
/// Volumes on which an open once ran in circles, as the log is its own successor, or freed what is live.
const FOUND: [u64; 3] = [229_906, 2455, 125_640];
/// A volume that takes longer is a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// Numbers that are on the edge of something.
const EDGES: [u64; 8] = [0, 1, 2, 255, 0xffff, u32::MAX as u64, i64::MAX as u64, u64::MAX];

/// Changes a page: bits, numbers, parts of other pages, anywhere or in its first bytes, where most
/// of the meaning is.
pub(super) fn change(page: &mut [u8; PAGE_BYTES], other: &Page, random: &mut Random) {
    let within = [96, 512, PAGE_BYTES][random.below(3) as usize] as u64;
    let at = random.below(within) as usize;
    match random.below(5) {
        0 => page[at] ^= 1 << random.below(8),
        1 => page[at] = random.next() as u8,
        2 | 3 => {
            let len = [1, 2, 4, 8][random.below(4) as usize];
            let at = at / len * len;
            let number = match random.below(3) {
                0 => EDGES[random.below(EDGES.len() as u64) as usize],
                1 => random.below(300),
                _ => {
                    let mut before = [0; 8];
                    before[..len].copy_from_slice(&page[at..at + len]);
                    u64::from_le_bytes(before).wrapping_add(random.below(5)).wrapping_sub(2)
                }
            };
            page[at..at + len].copy_from_slice(&number.to_le_bytes()[..len]);
        }
        _ => {
            let len = random.below((PAGE_BYTES - at) as u64) as usize;
            page[at..at + len].copy_from_slice(&other[at..at + len]);
        }
    }
}

/// Some pages of a sound volume are changed, most of them under a checksum that is right.
fn corrupted(sound: &Pages, random: &mut Random) -> Pages {
    let mut pages = sound.clone();
    let written = sound.written();
    for _ in 0..1 + random.below(4) {
        let any = |random: &mut Random| written[random.below(written.len() as u64) as usize];
        // The first page, and the others alike.
        let at = if random.below(6) == 0 { 0 } else { any(random) };
        let Some(page) = pages.get(at) else { continue };
        let mut page = *page;
        let other = pages.get(any(random)).unwrap_or_else(|| Arc::new([0; PAGE_BYTES]));
        for _ in 0..1 + random.below(4) {
            change(&mut page, &other, random);
        }
        if random.below(8) > 0 {
            seal_any(&mut page);
        }
        pages.set(at, page_of(&page));
    }
    if random.below(20) == 0 {
        pages.truncate(random.below(pages.len() + 1));
    }
    pages
}

/// Log pages, superblocks, slices of a page and roots have their checksum first, over the rest.
pub(super) fn seal_any(page: &mut [u8; PAGE_BYTES]) {
    let store = log_page::store_of(page);
    log_page::seal_again(page, store);
}

/// Does all that can be done to a volume; errors are answers.
pub(super) fn exercise(pages: Pages, shape: Shape) {
    let device = SimDevice::new(pages);
    let Ok(engine) = open(&device, shape, Background::Manual) else { return };
    let db = Db::new(Arc::clone(&engine));
    for entry in db.iter() {
        drop(entry.and_then(|entry| entry.value()));
    }
    db.iter().keys().rev().for_each(drop);
    for number in 0..4 {
        drop(db.get(key(number)));
        drop(db.get_range(key(number), 10, 40));
    }
    drop(db.check());
    for number in 0..4 {
        drop(db.put(key(number), vec![number; 1500]));
    }
    drop(db.delete(key(1)));
    drop(db.checkpoint());
    drop(db.collect_garbage());
    drop(engine.step());
    drop(db.close());
}

#[test]
fn arbitrary_volumes_neither_panic_nor_hang() {
    let seeds = seeds(SEEDS);
    let volumes: Vec<_> = canonical()
        .into_iter()
        .map(|(_, shape, ops)| {
            let device = SimDevice::new(Pages::zeros(0));
            run(&device, shape, &ops, &Model::new()).unwrap();
            (device.pages(), shape)
        })
        .collect();
    let now = Arc::new(AtomicU64::new(0));
    let ended = watch(&now);
    for seed in FOUND.into_iter().filter(|_| seeds.start == 0).chain(seeds.clone()) {
        now.store(seed, Ordering::SeqCst);
        let mut random = Random::new(seed);
        let (sound, shape) = &volumes[random.below(volumes.len() as u64) as usize];
        let pages = corrupted(sound, &mut random);
        if let Err(panic) = std::panic::catch_unwind(|| exercise(pages, *shape)) {
            eprintln!("repeat it with: EXTENTDB_SEED={seed} scripts/soak arbitrary");
            std::panic::resume_unwind(panic);
        }
    }
    drop(ended);
    tell(&format!("made-up volumes: {}", seeds.end - seeds.start));
}

/// The header of a page of the log.
fn log_header(pages: &Pages, at: u64) -> Option<LogHeader> {
    let page = pages.get(at)?;
    log_page::open(&page[..], log_page::store_of(&page[..]), PageNo(at))
}

/// Changes the header of a page of the log, under a checksum that is right.
fn change_header(pages: &mut Pages, at: u64, change: impl Fn(LogHeader) -> LogHeader) {
    let header = log_header(pages, at).unwrap();
    let mut page = *pages.get(at).unwrap();
    log_page::seal(&mut page, &change(header));
    pages.set(at, page_of(&page));
}

/// Does `ops` on a fresh volume. Returns what is on the device, and the newest superblock.
fn volume_after(shape: Shape, ops: impl IntoIterator<Item = Op>) -> (Pages, Superblock) {
    let device = SimDevice::new(Pages::zeros(0));
    let mut session = Session::open(&device, shape, &Model::new()).unwrap();
    for (at, op) in ops.into_iter().enumerate() {
        session.issue(at, &op).unwrap();
    }
    let pages = device.pages();
    let slots = Superblock::slots(shape.extent_pages as u32).into_iter();
    let superblocks = slots.filter_map(|at| Superblock::decode(&pages.get(at.0)?[..]).ok());
    let newest = superblocks.max_by_key(|superblock| superblock.generation).unwrap();
    (pages, newest)
}

/// Asserts that `pages` are not opened, and says why.
fn refusal(pages: Pages, shape: Shape) -> &'static str {
    match open(&SimDevice::new(pages), shape, Background::Manual) {
        Err(Error::Corrupt { what, .. }) => what,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was opened"),
    }
}

/// The extent that an image anchors names itself as its successor, and its first page says that it
/// follows: whoever goes on reading goes round for ever.
#[test]
fn a_log_that_comes_back_to_itself_is_refused() {
    let fill = (0..16).map(|i| put(2 + i % 3, 1000));
    let ops = [put(1, 100), Op::Checkpoint].into_iter().chain(fill).chain([Op::Step, put(1, 9)]);
    let (mut pages, superblock) = volume_after(SMALL, ops);
    assert!(open(&SimDevice::new(pages.clone()), SMALL, Background::Manual).is_ok());
    let extent = superblock.checkpoint.anchor.page.0 / SMALL.extent_pages;
    let first = extent * SMALL.extent_pages;
    let is_footer =
        |&at: &u64| log_header(&pages, at).is_some_and(|header| header.kind == PageKind::Footer);
    let footer: Vec<_> = (first..first + SMALL.extent_pages).filter(is_footer).collect();
    let payload = |&at: &u64| {
        let header = log_header(&pages, at).unwrap();
        log_page::payload(&pages.get(at).unwrap()[..], &header).to_vec()
    };
    let stream: Vec<u8> = footer.iter().flat_map(payload).collect();
    let (head, _) = FooterHead::decode(&stream).expect("the extent has a footer");
    let successor = ExtentNo(extent as u32);
    for at in footer {
        change_header(&mut pages, at, |header| LogHeader { successor, ..header });
    }
    change_header(&mut pages, first, |header| LogHeader {
        kind: PageKind::Batch,
        chain: head.chain,
        epoch: head.epoch,
        batch: head.batch.next(),
        ..header
    });
    assert_eq!(refusal(pages, SMALL), "the log runs through itself");
}

/// The extent in which the record of `key` is.
fn extent_of(pages: Pages, key: &[u8]) -> u64 {
    let engine = open(&SimDevice::new(pages), SMALL, Background::Manual).unwrap();
    let location = engine.locate(key).unwrap().unwrap();
    location.page().0 / SMALL.extent_pages
}

/// Has the only image say of `extent` that large values are in it, in a life after all others. Returns
/// what an open repaired.
fn repaired_after_claim(mut pages: Pages, extent: u64) -> Vec<String> {
    let image = pages.written().into_iter().find_map(|at| {
        let header = SliceHeader::peek(&pages.get(at)?[..])?;
        (header.kind == SliceKind::Extents).then_some((at, header))
    });
    let (at, header) = image.expect("the image lists extents");
    let mut page = *pages.get(at).unwrap();
    let number = (extent as u32).to_le_bytes();
    let lines = &mut page[image::HEADER_BYTES..][..header.body_len as usize];
    let mut lines = lines.chunks_exact_mut(4 + ExtentState::BYTES);
    let line = lines.find(|line| line[..4] == number).expect("the image lists this extent");
    let incarnation = Incarnation { epoch: Epoch(1), serial: 1000 };
    line[4..].copy_from_slice(&ExtentState { role: Role::Large, incarnation }.encode());
    header.seal(&mut page);
    pages.set(at, page_of(&page));
    let engine = open(&SimDevice::new(pages), SMALL, Background::Manual).unwrap();
    Db::new(engine).open_report().repaired.clone()
}

/// Nothing is live in the extent in which the log ends. It would be free, and given to somebody else
/// while the log goes on in it.
#[test]
fn an_image_that_gives_the_end_of_the_log_away_does_not_serve() {
    let ops = [put(1, 100), Op::Checkpoint, Op::Delete(1, Synced)];
    let (pages, superblock) = volume_after(SMALL, ops);
    let extent = superblock.checkpoint.anchor.page.0 / SMALL.extent_pages;
    let repaired = repaired_after_claim(pages, extent);
    assert!(repaired[0].contains("something else is where the log is"), "{repaired:?}");
}

/// What is live in the extent would count for nothing, and the extent be free (G5).
#[test]
fn an_image_that_calls_live_records_large_values_does_not_serve() {
    let fill = (0..16).map(|_| put(2, 1000));
    let ops = [put(1, 100)].into_iter().chain(fill).chain([Op::Checkpoint, put(3, 10)]);
    let (pages, superblock) = volume_after(SMALL, ops);
    let record = extent_of(pages.clone(), &key(1));
    assert_ne!(record, superblock.checkpoint.anchor.page.0 / SMALL.extent_pages);
    let repaired = repaired_after_claim(pages, record);
    assert!(repaired[0].contains("values lie where none can be"), "{repaired:?}");
}

/// Ends the process if the seed in `now` stays the same for too long, until what it returns is
/// dropped.
fn watch(now: &Arc<AtomicU64>) -> mpsc::Sender<()> {
    let (ended, running) = mpsc::channel();
    let now = Arc::clone(now);
    std::thread::spawn(move || {
        let mut last = u64::MAX;
        while running.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            let seed = now.load(Ordering::SeqCst);
            if seed == last {
                eprintln!("repeat the hang with: EXTENTDB_SEED={seed} scripts/soak arbitrary");
                std::process::abort();
            }
            last = seed;
        }
    });
    ended
}
