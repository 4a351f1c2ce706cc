//! Opening a volume that exists: a barrier, the newest superblock, the log; then one page, which
//! begins the epoch (R1, R2).

use super::apply::apply;
use super::core::Core;
use crate::device::{AlignedBuf, Volume};
use crate::error::{Error, Result};
use crate::extent::Space;
use crate::format::ids::{BatchNo, PAGE_BYTES, PageNo};
use crate::format::large::{LargeIdentity, LargeShape, open as open_large};
use crate::format::record::Record;
use crate::format::superblock::{FORMAT_VERSION, Superblock, SuperblockFault};
use crate::index::Index;
use crate::options::ProgressCallback;
use crate::report::{DroppedTail, OpenProgress, OpenReport};
use crate::sync;
use crate::wal::{LogStart, Replay, Replayed, Sink, begin_epoch};

/// What the superblock pages say.
pub(super) enum Found {
    /// A volume, and what was damaged of its superblocks.
    Store(Box<Superblock>, Option<&'static str>),
    /// Our own creation, begun and not finished; its marker.
    Unfinished(Box<Superblock>),
    /// A volume whose marker has not been replaced yet.
    Marked(Box<Superblock>),
    /// Nothing but zeros where the first superblock would be.
    Zeros,
    /// Something else.
    Foreign,
}

/// Extent sizes in pages, as powers of two: where the second superblock can be.
const EXTENT_SHIFTS: std::ops::RangeInclusive<u32> = 2..=18;

/// Looks at both superblocks; the valid one of the newest generation counts.
pub(super) fn find_superblock(volume: &Volume, page: &mut AlignedBuf) -> Result<Found> {
    let first = read_superblock(volume, PageNo(0), page)?;
    if let Err(SuperblockFault::Newer(found)) = first {
        return Err(Error::NewerFormat { found, supported: FORMAT_VERSION });
    }
    let shift = |superblock: &Superblock| superblock.extent_pages.ilog2();
    let shifts = match &first {
        Ok(superblock) => shift(superblock)..=shift(superblock),
        Err(_) => EXTENT_SHIFTS,
    };
    let mut second = Err(SuperblockFault::Zeros);
    for shift in shifts {
        let at = PageNo((1 << shift) - 1);
        let found = read_superblock(volume, at, page)?;
        if let Ok(superblock) = &found
            && (superblock.extent_pages != 1 << shift || superblock.creating)
        {
            continue;
        }
        if found.is_ok() || second.is_err() {
            second = found;
        }
        if second.is_ok() {
            break;
        }
    }
    Ok(choose(first, second))
}

fn choose(
    first: Result<Superblock, SuperblockFault>,
    second: Result<Superblock, SuperblockFault>,
) -> Found {
    match (first, second) {
        (Ok(first), Ok(second)) if first.creating => Found::Marked(Box::new(second)),
        (Ok(first), Err(_)) if first.creating => Found::Unfinished(Box::new(first)),
        (Ok(first), Ok(second)) if second.generation > first.generation => {
            Found::Store(Box::new(second), None)
        }
        (Ok(first), Ok(_)) => Found::Store(Box::new(first), None),
        (Ok(first), Err(_)) => Found::Store(Box::new(first), Some("the second superblock")),
        (Err(_), Ok(second)) => Found::Store(Box::new(second), Some("the first superblock")),
        (Err(SuperblockFault::Zeros), Err(_)) => Found::Zeros,
        (Err(_), Err(_)) => Found::Foreign,
    }
}

fn read_superblock(
    volume: &Volume,
    at: PageNo,
    page: &mut AlignedBuf,
) -> Result<Result<Superblock, SuperblockFault>> {
    if at.0 >= volume.len_pages() {
        return Ok(Err(SuperblockFault::Invalid));
    }
    volume.read(at, page)?;
    Ok(Superblock::decode(page))
}

/// Takes what replay accepts into the index.
struct Recovering<'a> {
    core: &'a Core,
    progress: Option<&'a ProgressCallback>,
}

impl Sink for Recovering<'_> {
    fn accept(&mut self, entries: &[u8]) -> Result<()> {
        match apply(&self.core.index, &self.core.space, entries) {
            Some(_) => Ok(()),
            None => Err(corrupt(PageNo(0), "the log holds a record that makes no sense")),
        }
    }

    fn is_whole(&mut self, record: &Record<'_>) -> Result<bool> {
        let Record::PutLarge { key, value_len, pointer, .. } = *record else { return Ok(true) };
        if pointer.barriered {
            return Ok(true);
        }
        let shape = LargeShape { key_len: key.len(), value_len };
        if pointer.page.0 + shape.pages() > self.core.volume.len_pages() {
            return Ok(false);
        }
        let mut buf = self.core.pool.take(shape.pages() as usize)?;
        self.core.volume.read(pointer.page, &mut buf)?;
        let (header, data) = buf.split_at(shape.header_pages() as usize * PAGE_BYTES);
        let identity = LargeIdentity {
            store: self.core.store,
            page: pointer.page,
            incarnation: pointer.incarnation,
        };
        let data = &data[..value_len as usize];
        Ok(open_large(header, identity, key, value_len).is_some_and(|header| {
            header.checksum() == pointer.checksum && header.verifies(0, data)
        }))
    }

    fn progress(&mut self, batch: BatchNo, extents: usize) {
        if let Some(progress) = self.progress {
            let pages = u64::from(self.core.space.extent_pages());
            progress(&OpenProgress {
                batch: batch.0,
                log_extents: extents as u64,
                extents: self.core.volume.len_pages() / pages,
            });
        }
    }
}

/// Rebuilds the index and the extent table from the log, and begins a new epoch.
pub(super) fn recover(
    core: &Core,
    superblock: &Superblock,
    progress: Option<&ProgressCallback>,
    report: &mut OpenReport,
) -> Result<LogStart> {
    if core.volume.len_pages() < superblock.pages {
        return Err(corrupt(PageNo(core.volume.len_pages()), "the volume was cut short"));
    }
    let begun = sync::now();
    let mut sink = Recovering { core, progress };
    let replay = Replay::new(
        &core.volume,
        &core.pool,
        core.store,
        superblock.extent_pages,
        superblock.anchor,
        &mut sink,
    )?;
    let replayed = replay.run()?;
    adopt_extents(&core.space, superblock, &replayed)?;
    report.timings.replay = begun.elapsed();
    describe(&replayed, superblock, &core.index, report);
    let begun = sync::now();
    let start = begin(core, superblock, replayed)?;
    report.timings.begin = begun.elapsed();
    Ok(start)
}

fn adopt_extents(space: &Space, superblock: &Superblock, replayed: &Replayed) -> Result<()> {
    for &(extent, incarnation) in &replayed.extents {
        if !space.adopt_log_extent(extent, incarnation) {
            return Err(corrupt(replayed.tail.next_page(), "the log runs through itself"));
        }
    }
    if !space.derive_free() {
        return Err(corrupt(replayed.tail.next_page(), "large values overlap"));
    }
    let tail = &replayed.tail;
    if tail.successor != tail.extent && !space.adopt_successor(tail.successor) {
        return Err(corrupt(tail.next_page(), "the log's successor is in use"));
    }
    for &spare in &superblock.spares {
        space.adopt_spare(spare);
    }
    Ok(())
}

fn describe(replayed: &Replayed, superblock: &Superblock, index: &Index, report: &mut OpenReport) {
    report.recovered_batch = replayed.tail.batch.0;
    report.proved_batch = replayed.proved.0;
    report.dropped_tail = replayed.dropped.map(|dropped| DroppedTail {
        page: dropped.page.0,
        batch: dropped.batch.0,
        pages: dropped.pages,
    });
    report.keys = index.len();
    report.log_extents = replayed.extents.len() as u64;
    report.walked_extents = replayed.walked;
    if replayed.generation > superblock.generation {
        report.repaired.push("the newest superblock, by the log that its elder anchors".into());
    }
}

/// Writes the epoch's header: the only write of an open.
fn begin(core: &Core, superblock: &Superblock, replayed: Replayed) -> Result<LogStart> {
    let mut tail = replayed.tail;
    let mut footers = replayed.footers;
    let epoch = tail.epoch.next();
    core.space.begin_epoch(epoch);
    let generation = superblock.generation.max(replayed.generation);
    if !tail.fits_epoch_header() {
        if tail.successor == tail.extent {
            return Err(Error::Full { pinned_by: None });
        }
        // With no extent left to follow it, the successor names itself.
        let after = core.space.reserve_free().unwrap_or(tail.successor);
        let incarnation = core.space.force_log_extent(tail.successor);
        let sealed = tail.clone();
        tail = sealed.rotated(incarnation, after);
        if !sealed.is_by_footer() {
            footers.push_back(sealed);
        }
    }
    begin_epoch(&core.volume, &core.pool, core.store, generation, epoch, &mut tail)?;
    Ok(LogStart { tail, footers, generation })
}

fn corrupt(page: PageNo, what: &'static str) -> Error {
    Error::Corrupt { page: page.0, key: None, what }
}
