//! T4: bytes that nobody wrote, for as long as there is time: as each decoder's input, as a volume, and
//! in a volume that was sound. Each target runs in a process of its own, which may have so much memory
//! and take so long for one input; what it came to grief on is known by its number. `fuzz/` has the same
//! behind libFuzzer, which goes where it has not been; this needs no other toolchain.

use super::arbitrary::{change, exercise, seal_any};
use super::canonical::{SMALL, TINY, canonical};
use super::device::{Page, SECTOR_BYTES, SimDevice, page_of};
use super::random::{Random, seeds};
use super::tell;
use super::trace::Pages;
use super::workload::{Model, Shape, run};
use crate::format::ids::{PAGE_BYTES, PageNo, StoreId};
use crate::format::image::SliceHeader;
use crate::format::log_page;
use crate::sync::{Arc, Duration};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Seconds for each target, unless this asks for another number.
const SECONDS: u64 = 20;
const SECONDS_VARIABLE: &str = "EXTENTDB_FUZZ_SECONDS";
/// Where the process that runs a target notes the input that it is at.
const NOTE_VARIABLE: &str = "EXTENTDB_FUZZ_NOTE";
/// An input that takes longer is a hang.
const PATIENCE: Duration = Duration::from_secs(30);
/// Memory that a target may map, in KiB: an input that makes it ask for more ends it.
const MOST_MEMORY_KIB: u64 = 2 << 20;

/// Pages of a volume of made-up bytes.
const PAGES: u64 = 64;

/// Every decoder, on pages and parts of pages that some volume has, changed, and on others.
#[test]
fn decoders() {
    target("decoders", |stock, random| {
        let mut bytes = Vec::new();
        for _ in 0..1 + random.below(3) {
            bytes.extend_from_slice(&made_up_page(stock, random)[..]);
        }
        let start = [0, 0, 64, random.below(4096) as usize][random.below(4) as usize];
        let len = [40, 300, PAGE_BYTES, 3 * PAGE_BYTES][random.below(4) as usize];
        let bytes = &mut bytes[start..];
        let len = len.min(bytes.len());
        crate::fuzzing::decode(&bytes[..len]);
    });
}

/// A volume of which no page was written by anybody.
#[test]
fn pages() {
    target("pages", |stock, random| {
        let mut pages = Pages::zeros(1 + random.below(PAGES));
        for at in 0..random.below(pages.len() + 1) {
            pages.set(at, made_up_page(stock, random));
        }
        exercise(pages, [TINY, SMALL][random.below(2) as usize]);
    });
}

/// A sound volume of which pages were changed, swapped, taken from an earlier moment or from another
/// volume, torn, or lost.
#[test]
fn volumes() {
    target("volumes", |stock, random| {
        let volume = stock.any(random);
        let mut pages = volume.pages.clone();
        for _ in 0..1 + random.below(4) {
            let at = if random.below(6) == 0 { 0 } else { volume.any_page(random) };
            let Some(old) = pages.get(at).filter(|_| at < pages.len()) else { continue };
            let new = match random.below(8) {
                0 => volume.earlier_page(at, random),
                1 => pages.get(volume.any_page(random)),
                2 => stock.any(random).pages.get(at),
                3 => Some(tear(&old, &made_up_page(stock, random), random)),
                _ => {
                    let mut page = *old;
                    let other = made_up_page(stock, random);
                    (0..1 + random.below(4)).for_each(|_| change(&mut page, &other, random));
                    Some(page_of(&page))
                }
            };
            let Some(new) = new else { continue };
            pages.set(at, new);
            // Most changes count for more than a checksum that is wrong.
            if random.below(8) > 0 {
                mend(&mut pages, at, volume.shape.extent_pages);
            }
        }
        if random.below(20) == 0 {
            pages.truncate(random.below(pages.len() + 1));
        }
        exercise(pages, volume.shape);
    });
}

/// Sound volumes of every kind.
struct Stock(Vec<Volume>);

struct Volume {
    shape: Shape,
    pages: Pages,
    /// Everything that was ever written to it.
    writes: Vec<(u64, Page)>,
}

impl Stock {
    fn new() -> Self {
        let volumes = canonical().into_iter().map(|(_, shape, ops)| {
            let device = SimDevice::new(Pages::zeros(0));
            run(&device, shape, &ops, &Model::new()).unwrap();
            let of = |write: super::trace::Write| {
                let first = write.page.0;
                (first..).zip(write.pages)
            };
            let writes = device.trace().writes.into_iter().flat_map(of).collect();
            Volume { shape, pages: device.pages(), writes }
        });
        Self(volumes.collect())
    }

    fn any(&self, random: &mut Random) -> &Volume {
        &self.0[random.below(self.0.len() as u64) as usize]
    }
}

impl Volume {
    fn any_page(&self, random: &mut Random) -> u64 {
        self.writes[random.below(self.writes.len() as u64) as usize].0
    }

    /// What was once at `at`.
    fn earlier_page(&self, at: u64, random: &mut Random) -> Option<Page> {
        let there: Vec<_> = self.writes.iter().filter(|(page, _)| *page == at).collect();
        let number = random.below(there.len().max(1) as u64) as usize;
        there.get(number).map(|(_, page)| Arc::clone(page))
    }
}

/// Random bytes, or a page that somebody wrote and that was changed; under a checksum that is right,
/// more often than not.
fn made_up_page(stock: &Stock, random: &mut Random) -> Page {
    let volume = stock.any(random);
    let (_, written) = &volume.writes[random.below(volume.writes.len() as u64) as usize];
    let mut page = [0; PAGE_BYTES];
    match random.below(4) {
        // Small numbers more often than not: they are what lengths and kinds are.
        0 => page.iter_mut().for_each(|byte| {
            let any = random.next();
            *byte = if any & 3 == 0 { (any >> 8) as u8 } else { (any >> 8) as u8 & 3 };
        }),
        _ => page = **written,
    }
    for _ in 0..random.below(4) {
        change(&mut page, written, random);
    }
    if random.below(8) > 0 {
        seal_any(&mut page);
    }
    page_of(&page)
}

fn tear(old: &Page, new: &Page, random: &mut Random) -> Page {
    let mut page = **old;
    let mask = random.below(256);
    for sector in (0..PAGE_BYTES / SECTOR_BYTES).filter(|sector| mask & (1 << sector) != 0) {
        let range = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
        page[range.clone()].copy_from_slice(&new[range]);
    }
    Arc::new(page)
}

/// Gives the page at `at` the checksum that it should have, the slice too that begins there, and the
/// pages of the log after it a chain that leads there.
fn mend(pages: &mut Pages, at: u64, extent_pages: u64) {
    let Some(page) = pages.get(at) else { return };
    if let Some(header) = SliceHeader::peek(&page[..])
        && header.pages() <= 64
        && at + header.pages() <= pages.len()
    {
        let numbers = at..at + header.pages();
        let mut slice: Vec<u8> =
            numbers.clone().filter_map(|at| pages.get(at)).flat_map(|page| *page).collect();
        header.seal(&mut slice);
        let sealed = slice.chunks_exact(PAGE_BYTES).map(page_of);
        return numbers.zip(sealed).for_each(|(at, page)| pages.set(at, page));
    }
    let store = log_page::store_of(&page[..]);
    let (mut at, mut page) = (at, *page);
    for _ in 0..PAGES {
        let before = log_page::checksum(&page);
        seal_any(&mut page);
        pages.set(at, page_of(&page));
        let chain = log_page::checksum(&page);
        let successor = log_page::open(&page, store, PageNo(at))
            .map_or(0, |header| u64::from(header.successor.0).saturating_mul(extent_pages));
        let next = [at.saturating_add(1), successor].into_iter().find_map(|next| {
            let page = pages.get(next)?;
            let header = log_page::open(&page[..], store, PageNo(next))?;
            (header.chain == before && next != at).then_some((next, *page, header))
        });
        let Some((next, next_page, mut header)) = next else { return };
        (at, page) = (next, next_page);
        header.chain = chain;
        let found = log_page::checksum(&page);
        log_page::seal(&mut page, &header);
        // The next one is found by what this page had.
        page[..4].copy_from_slice(&found.to_le_bytes());
    }
}

/// Runs `try_one` on one input after the other, in a process of its own.
fn target(name: &str, try_one: impl Fn(&Stock, &mut Random)) {
    match std::env::var(NOTE_VARIABLE) {
        Ok(note) => try_all(&note, try_one),
        Err(_) => watch(name),
    }
}

fn try_all(note: &str, try_one: impl Fn(&Stock, &mut Random)) {
    let note = File::options().write(true).open(note).unwrap();
    let seconds = std::env::var(SECONDS_VARIABLE).map_or(SECONDS, |text| text.parse().unwrap());
    let stock = Stock::new();
    let until = Instant::now() + Duration::from_secs(seconds);
    for seed in seeds(u64::MAX) {
        note.write_all_at(&seed.to_le_bytes(), 0).unwrap();
        if Instant::now() >= until {
            break;
        }
        try_one(&stock, &mut Random::new(seed));
    }
}

/// Runs the target in another process until it ends, or is at one input for too long.
fn watch(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let note = dir.path().join("note");
    std::fs::write(&note, []).unwrap();
    let mut child = start(name, &note);
    let mut at = (None, Instant::now());
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        let now = noted(&note);
        at = if now == at.0 { at } else { (now, Instant::now()) };
        if at.1.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let last = noted(&note).unwrap_or(0);
    if status.is_none_or(|status| !status.success()) {
        let how = status.map_or("it hangs".to_owned(), |status| status.to_string());
        panic!("{how}; repeat it with: EXTENTDB_SEED={last} cargo test --lib sim::fuzz::{name}");
    }
    tell(&format!("made-up bytes, {name}: {last} inputs"));
}

fn start(name: &str, note: &Path) -> Child {
    let exe: PathBuf = std::env::current_exe().unwrap();
    let limited = format!("ulimit -v {MOST_MEMORY_KIB} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(limited).arg(exe);
    command.args([&format!("sim::fuzz::{name}"), "--exact", "--test-threads=1"]);
    command.env(NOTE_VARIABLE, note).stdin(Stdio::null()).spawn().unwrap()
}

/// The input that is being tried.
fn noted(note: &Path) -> Option<u64> {
    let bytes = std::fs::read(note).unwrap();
    bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// What is changed within the log is read, and not taken for the end of it.
#[test]
fn a_mended_log_is_as_long_as_before() {
    let shape = SMALL;
    let ops: Vec<_> = (0..6).map(|i| super::canonical::put(i, 900)).collect();
    let device = SimDevice::new(Pages::zeros(0));
    run(&device, shape, &ops, &Model::new()).unwrap();
    let mut pages = device.pages();
    let batch = device.trace().writes.iter().find_map(|write| {
        let page = &write.pages[0];
        let store: StoreId = log_page::store_of(&page[..]);
        let header = log_page::open(&page[..], store, write.page)?;
        (header.kind == log_page::PageKind::Batch && header.used > 900).then_some(write.page.0)
    });
    let at = batch.expect("a put is in the log");
    let mut page = *pages.get(at).unwrap();
    // Within the value of the record.
    page[800] ^= 1;
    pages.set(at, page_of(&page));
    let shown = |pages: &Pages| {
        let device = SimDevice::new(pages.clone());
        let background = crate::engine::Background::Manual;
        let engine = super::workload::open(&device, shape, background);
        engine.map(|engine| crate::db::Db::new(engine).len()).ok()
    };
    assert_eq!(shown(&pages), None, "a page of the log is damaged");
    mend(&mut pages, at, shape.extent_pages);
    assert_eq!(shown(&pages), Some(6));
}
