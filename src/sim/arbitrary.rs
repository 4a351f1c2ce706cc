//! T4: bytes that nobody wrote as a volume. Whatever they are, opening and reading them ends, with
//! an answer or an error, and never panics. `fuzz/` has the same behind libFuzzer.

use super::canonical::canonical;
use super::device::{Page, SimDevice, page_of};
use super::random::Random;
use super::trace::Pages;
use super::workload::{Model, Shape, key, open, run};
use crate::db::Db;
use crate::engine::Background;
use crate::format::ids::PAGE_BYTES;
use crate::format::log_page;
use crate::sync::{Arc, AtomicU64, Duration, Ordering};
use std::sync::mpsc;

/// Volumes of an ordinary run, unless `EXTENTDB_SEEDS` asks for another number.
const SEEDS: u64 = 40_000;
/// Volumes on which an open once ran in circles: its log is its own successor.
const FOUND: [u64; 2] = [229_906, 2455];
/// A volume that takes longer is a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// Numbers that are on the edge of something.
const EDGES: [u64; 8] = [0, 1, 2, 255, 0xffff, u32::MAX as u64, i64::MAX as u64, u64::MAX];

/// Changes a page: bits, numbers, parts of other pages, anywhere or in its first bytes, where most
/// of the meaning is.
fn mutate(page: &mut [u8; PAGE_BYTES], other: &Page, random: &mut Random) {
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
            mutate(&mut page, &other, random);
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
fn seal_any(page: &mut [u8; PAGE_BYTES]) {
    let store = log_page::store_of(page);
    log_page::seal_again(page, store);
}

/// Does all that can be done to a volume; errors are answers.
pub(crate) fn exercise(pages: Pages, shape: Shape) {
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
    let number = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let seeds: Vec<u64> = match number("EXTENTDB_SEED") {
        Some(seed) => vec![seed],
        None => FOUND.into_iter().chain(0..number("EXTENTDB_SEEDS").unwrap_or(SEEDS)).collect(),
    };
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
    for &seed in &seeds {
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
    println!("{} volumes", seeds.len());
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
