//! Opening a volume that exists: a barrier, the newest superblock, the log; then one page, which
//! begins the epoch (R1, R2).

use super::apply::large_run;
use super::checkpoint::Images;
use super::core::{Backlog, Core};
use super::delta::Delta;
use super::image::{Root, Slice};
use super::load::{Loading, Preparing};
use super::scan;
use super::shown::Shown;
use crate::device::{AlignedBuf, Purpose, Volume};
use crate::error::{Error, Result};
use crate::extent::{Claim, bytes_of};
use crate::format::extent_state::Role;
use crate::format::ids::{
    BatchNo, Epoch, Generation, MAX_EXTENTS, MAX_VOLUME_PAGES, PAGE_BYTES, PageNo,
};
use crate::format::large::{LargeIdentity, LargeShape, open as open_large};
use crate::format::log_page;
use crate::format::record::{Entry, Record};
use crate::format::superblock::{
    Anchor, Checkpoint, EXTENT_SHIFTS, FORMAT_VERSION, Superblock, SuperblockFault,
};
use crate::index::Index;
use crate::options::ProgressCallback;
use crate::report::{DroppedTail, OpenReport};
use crate::seeded::{Bug, seeded};
use crate::sync;
use crate::wal::{Begun, LogStart, Replay, ReplayError, Replayed, Sink, Tail, begin_epoch};

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

/// Looks at both superblocks; the valid one of the newest generation counts.
pub(super) fn find_superblock(volume: &Volume, page: &mut AlignedBuf) -> Result<Found> {
    let first = read_superblock(volume, PageNo(0), page);
    let shifts = match &first {
        Copy::Valid(superblock) => {
            let shift = superblock.extent_pages.ilog2();
            shift..=shift
        }
        _ => EXTENT_SHIFTS,
    };
    let mut second = Copy::Damaged;
    for shift in shifts {
        let found = read_superblock(volume, PageNo((1 << shift) - 1), page);
        if found.is_second(shift) && first.may_go_with(&found) {
            second = found;
            break;
        }
        if !matches!(found, Copy::Valid(_)) {
            second = second.or(found);
        }
    }
    choose(first, second)
}

/// One of the two places of a superblock.
enum Copy {
    Valid(Box<Superblock>),
    Zeros,
    Damaged,
    Newer(u32),
    Unreadable(Error),
}

impl Copy {
    /// Whether it is the second superblock of a volume whose extents have `1 << shift` pages.
    fn is_second(&self, shift: u32) -> bool {
        match self {
            Self::Valid(found) => found.extent_pages == 1 << shift && !found.creating,
            _ => false,
        }
    }

    /// Whether it is not of another volume than `other`, which was here before.
    fn may_go_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Valid(one), Self::Valid(other)) => {
                one.store == other.store || seeded(Bug::OtherVolumesSuperblock)
            }
            _ => true,
        }
    }

    /// The one that says more of why there is no superblock.
    fn or(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Newer(_) | Self::Unreadable(_), _) | (_, Self::Zeros) => self,
            _ => other,
        }
    }
}

fn choose(first: Copy, second: Copy) -> Result<Found> {
    match (first, second) {
        (Copy::Newer(found), _) | (_, Copy::Newer(found)) => {
            Err(Error::NewerFormat { found, supported: FORMAT_VERSION })
        }
        (Copy::Valid(marker), Copy::Valid(second)) if marker.creating => {
            // A marker that later superblocks have replaced is there again: their writing was lost.
            let replaced = second.generation > marker.generation.next();
            if replaced && !seeded(Bug::OldMarkerBelieved) {
                return Ok(Found::Store(second, Some("the first superblock")));
            }
            Ok(Found::Marked(second))
        }
        (Copy::Valid(first), Copy::Unreadable(error)) if first.creating => Err(error),
        (Copy::Valid(first), _) if first.creating => Ok(Found::Unfinished(first)),
        (Copy::Valid(first), Copy::Valid(second)) => {
            let newer = second.generation > first.generation;
            let newest = if newer != seeded(Bug::OlderSuperblock) { second } else { first };
            Ok(Found::Store(newest, None))
        }
        (Copy::Valid(first), _) => Ok(Found::Store(first, Some("the second superblock"))),
        (_, Copy::Valid(second)) => Ok(Found::Store(second, Some("the first superblock"))),
        (Copy::Unreadable(error), _) | (_, Copy::Unreadable(error)) => Err(error),
        (Copy::Zeros, _) => Ok(Found::Zeros),
        (Copy::Damaged, _) => Ok(Found::Foreign),
    }
}

fn read_superblock(volume: &Volume, at: PageNo, page: &mut AlignedBuf) -> Copy {
    if at.0 >= volume.len_pages() {
        return Copy::Damaged;
    }
    if let Err(error) = volume.read(at, page).or_else(|_| volume.read(at, page)) {
        return Copy::Unreadable(error);
    }
    match Superblock::decode(page) {
        Ok(superblock) if superblock.pages.max(superblock.max_pages) > most_pages(&superblock) => {
            Copy::Damaged
        }
        Ok(superblock) => Copy::Valid(Box::new(superblock)),
        Err(SuperblockFault::Zeros) => Copy::Zeros,
        Err(SuperblockFault::Newer(found)) => Copy::Newer(found),
        Err(SuperblockFault::Invalid) => Copy::Damaged,
    }
}

fn most_pages(superblock: &Superblock) -> u64 {
    MAX_VOLUME_PAGES.min(MAX_EXTENTS * u64::from(superblock.extent_pages))
}

/// Collects what replay accepts.
struct Collecting<'a> {
    core: &'a Core,
    shown: &'a Shown<'a>,
    delta: Delta,
}

impl Sink for Collecting<'_> {
    fn accept<'e>(&mut self, entries: impl Iterator<Item = Option<Entry<'e>>>) -> bool {
        let (space, len_pages) = (&self.core.space, self.core.volume.len_pages());
        self.delta.add(entries, |record| {
            if let Record::Announce { extent, state } = *record {
                let announced = matches!(state.role, Role::Large | Role::Value);
                return announced && space.adopt_extent(extent, state);
            }
            let Some((page, run)) = large_run(record) else { return true };
            space.adopt_large(page, run);
            page.0 + run.pages <= len_pages
        })
    }

    fn is_whole(&mut self, record: &Record<'_>) -> Result<bool> {
        let Record::PutLarge { key, value_len, pointer, .. } = *record else { return Ok(true) };
        if pointer.barriered || seeded(Bug::LargeNotVerified) {
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
        self.shown.replayed(batch, extents);
    }
}

/// Bytes of an image from which it is worth threads to read it, beside the log, and how far that runs ahead:
/// enough to be worth waking another for.
const READ_AHEAD_FROM: u64 = 4 << 20;
const SLICES_AHEAD: usize = 64;

/// What recovery leaves behind.
pub(super) struct Recovered {
    pub(super) start: LogStart,
    pub(super) images: Images,
    /// The superblock, without what turned out to be damaged.
    pub(super) superblock: Superblock,
}

/// Rebuilds index and extent table from the newest checkpoint, or from the one before if a page
/// of that is damaged, and the log after it; then begins a new epoch.
pub(super) fn recover(
    core: &Core,
    superblock: &Superblock,
    progress: Option<&ProgressCallback>,
    report: &mut OpenReport,
) -> Result<Recovered> {
    if core.volume.len_pages() < superblock.pages {
        return Err(corrupt(PageNo(core.volume.len_pages()), "the volume was cut short"));
    }
    // What the newest shows was durable when it was put in force.
    let proved = superblock.checkpoint.anchor.batch;
    let newest = rebuild(core, superblock, proved, progress, report);
    match (newest, superblock.previous) {
        (Ok(rebuilt), _) => finish(core, superblock.clone(), rebuilt, report),
        // W1: the older one needs the same log, and may not find the proof that this one found.
        (Err(error @ ReplayError::LaterProof(_)), _) if !seeded(Bug::ProvedLogGivenUp) => {
            Err(error.into())
        }
        (Err(error), Some(previous)) if superblock.checkpoint.root != PageNo(0) => {
            let error = Error::from(error);
            let elder = Superblock { checkpoint: previous, previous: None, ..superblock.clone() };
            core.space.forget();
            // If it is of no use either, the newest is the one to speak of.
            let Ok(mut rebuilt) = rebuild(core, &elder, proved, progress, report) else {
                return Err(error);
            };
            rebuilt.images.damaged = true;
            report.repaired.push(format!("the newest checkpoint, by the one before it ({error})"));
            finish(core, elder, rebuilt, report)
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// The state as a checkpoint and the log after it tell it.
struct Rebuilt {
    replayed: Replayed,
    images: Images,
    /// The checkpoint before, if it has not been given up: its log is kept.
    previous: Option<Checkpoint>,
}

/// Rebuilds the state from the newest checkpoint of `superblock`. The log holds at least the
/// batches up to `proved`.
fn rebuild(
    core: &Core,
    superblock: &Superblock,
    proved: BatchNo,
    progress: Option<&ProgressCallback>,
    report: &mut OpenReport,
) -> Result<Rebuilt, ReplayError> {
    let Superblock { checkpoint, previous, .. } = *superblock;
    let begun = sync::now();
    let root = Root::read(core, checkpoint)?;
    let mut images = Images::default();
    if let Some(root) = &root {
        if !core.space.adopt_image(&root.extents, root.image()) {
            return Err(corrupt(checkpoint.root, "a checkpoint image lies where none can").into());
        }
        images.newest.clone_from(&root.extents);
    }
    let proved = root.as_ref().map_or(proved, |root| root.newest.max(proved));
    let shown = Shown::new(progress, core);
    let mut sink = Collecting { core, shown: &shown, delta: Delta::default() };
    let mut replay = || {
        let replayed = Replay::new(
            &core.volume,
            &core.pool,
            core.store,
            superblock.extent_pages,
            checkpoint.anchor,
            &mut sink,
        )?
        .proving(proved)
        .run()?;
        Ok((replayed, begun.elapsed()))
    };
    let preparing = Preparing::new(core);
    let load = || load_image(core, root.as_ref(), &preparing, &shown);
    let is_long = root.as_ref().is_some_and(|root| root.bytes() >= READ_AHEAD_FROM);
    // Where there is no log, there is nothing to load for.
    let (loading, replayed): (_, Result<_, ReplayError>) = match is_long {
        true => sync::both(load, replay),
        false => replay().map_or_else(
            |error| (Ok(Loading::new(core)), Err(error)),
            |replayed| (load(), Ok(replayed)),
        ),
    };
    let (replayed, took) = replayed?;
    report.timings.replay = took;
    images.backlog = Backlog {
        records: sink.delta.len(),
        log_bytes: bytes_of(replayed.extents.len() as u64 * u64::from(superblock.extent_pages)),
    };
    for &(extent, incarnation) in &replayed.extents {
        if !core.space.adopt_log_extent(extent, incarnation) {
            return Err(corrupt(replayed.tail.next_page(), "the log runs through itself").into());
        }
    }
    let mut loading = loading?;
    loading.take_lists()?;
    let mut delta = sink.delta;
    let trails = delta.take_moved();
    let mut log = delta.sorted(&trails);
    images.bytes = root.as_ref().map_or(0, Root::bytes);
    let mut liveness = preparing.liveness();
    loading.finish(&mut log, &trails, &mut liveness)?;
    drop(log);
    // What an older superblock calls the previous checkpoint has been given up since.
    let is_newest = replayed.generation <= superblock.generation;
    let previous = previous.filter(|_| is_newest || seeded(Bug::GivenUpAdopted));
    // The log that the older checkpoint starts from is kept, to the end.
    let life = |at: Checkpoint| {
        core.space.incarnation_of(core.space.extent_of(at.anchor.page)).unwrap_or_default()
    };
    let first = previous.map_or(life(checkpoint), |elder| life(elder).min(life(checkpoint)));
    let kept = first..=replayed.tail.incarnation;
    let tail = &replayed.tail;
    let adopt_successor =
        || tail.successor == tail.extent || core.space.adopt_successor(tail.successor);
    let adopted_first = seeded(Bug::SuccessorAdoptedFirst).then(adopt_successor);
    if !core.space.derive_free(&liveness, &kept) {
        return Err(corrupt(replayed.tail.next_page(), "values lie where none can be").into());
    }
    let is_log = |&(extent, life): &_| core.space.is_log_extent(extent, life);
    if !replayed.extents.iter().all(is_log) {
        return Err(corrupt(replayed.tail.next_page(), "something else is where the log is").into());
    }
    if !adopted_first.unwrap_or_else(adopt_successor) {
        return Err(corrupt(tail.next_page(), "the log's successor is in use").into());
    }
    core.space.expect_holes();
    for &spare in &superblock.spares {
        core.space.adopt_spare(spare);
    }
    // The older image serves only if the newest does not. Where its root is damaged, or this
    // superblock is so old that something else is there by now, it has nothing to lose.
    if let Some(previous) = previous
        && let Ok(Some(elder)) = Root::read(core, previous)
        && !seeded(Bug::OlderImageForgotten)
        && core.space.adopt_image(&elder.extents, elder.image())
    {
        images.previous = elder.extents;
    }
    report.timings.load = begun.elapsed().saturating_sub(took);
    describe(&replayed, superblock, &core.index, report);
    Ok(Rebuilt { replayed, images, previous })
}

/// Reads the image whose root is `root`, if there is one.
fn load_image<'a>(
    core: &'a Core,
    root: Option<&Root>,
    preparing: &Preparing<'_>,
    shown: &Shown<'_>,
) -> Result<Loading<'a>> {
    let mut loading = Loading::new(core);
    let Some(root) = root else { return Ok(loading) };
    let slices = root.slices(core)?;
    let prepare = |slice: Result<Slice>| preparing.prepare(slice?);
    let mut take = |slice: Result<Slice>| {
        let slice = slice?;
        shown.loaded(slice.end * PAGE_BYTES as u64, root.bytes());
        loading.take(slice)
    };
    if root.bytes() < READ_AHEAD_FROM {
        slices.map(prepare).try_for_each(take)?;
    } else {
        sync::for_each_prepared(slices, SLICES_AHEAD, prepare, &mut take)?;
    }
    Ok(loading)
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

/// Begins the epoch that this open is.
fn finish(
    core: &Core,
    superblock: Superblock,
    rebuilt: Rebuilt,
    report: &mut OpenReport,
) -> Result<Recovered> {
    let Rebuilt { replayed, mut images, previous } = rebuilt;
    // The next superblock must not name what this one should not have any more.
    let previous = if seeded(Bug::GivenUpNamed) { superblock.previous } else { previous };
    let superblock = Superblock { previous, ..superblock };
    images.damaged |= replayed.generation > superblock.generation;
    core.space.put_image_in_force(images.newest.len(), images.previous.len(), &[]);
    core.measure_image();
    let begun = sync::now();
    let start = begin(core, &superblock, replayed)?;
    report.timings.begin = begun.elapsed();
    if seeded(Bug::KeysFromValues) {
        scan::take_keys(core)?;
    }
    Ok(Recovered { start, images, superblock })
}

/// Writes the epoch's header: the only write of an open. Where there is no room for it, the log is
/// not added to until there is.
fn begin(core: &Core, superblock: &Superblock, replayed: Replayed) -> Result<LogStart> {
    let Replayed { tail, mut footers, dropped, .. } = replayed;
    let generation = superblock.generation.max(replayed.generation);
    // Where an image was written before an epoch could begin, none has the number of its.
    let images = [Some(superblock.checkpoint), superblock.previous].into_iter().flatten();
    let newest = images.map(|checkpoint| checkpoint.image.epoch).fold(tail.epoch, Epoch::max);
    let epoch = if seeded(Bug::EpochReissued) { newest } else { newest.next() };
    core.space.begin_epoch(epoch);
    if seeded(Bug::DroppedErased) && dropped.is_some() {
        core.volume.write(Purpose::Log, tail.next_page().plus(1), &core.pool.take(1)?)?;
    }
    match begin_epoch_after(core, &tail, generation, epoch) {
        Ok(Begun { tail, sealed, settled }) => {
            footers.extend(sealed);
            Ok(LogStart { tail, footers, generation, settled, frozen: false })
        }
        Err(Error::Full { .. }) => {
            let settled = last_page(core, &tail)?.unwrap_or(superblock.checkpoint.anchor);
            Ok(LogStart { tail, footers, generation, settled, frozen: true })
        }
        Err(error) => Err(error),
    }
}

/// Begins `epoch` after `tail`, where it fits or in the extent that follows.
pub(super) fn begin_epoch_after(
    core: &Core,
    tail: &Tail,
    generation: Generation,
    epoch: Epoch,
) -> Result<Begun> {
    let mut tail = tail.clone();
    if tail.names_none() {
        // Its last pages are for naming a successor, and for nothing else.
        tail.successor = core.space.reserve_extent(Claim::Barren)?;
    }
    let mut sealed = None;
    if !tail.fits_epoch_header() {
        let after = core.space.reserve_extent(Claim::Barren)?;
        let incarnation = core.space.force_log_extent(tail.successor);
        let next = tail.rotated(incarnation, after);
        let left = std::mem::replace(&mut tail, next);
        sealed = Some(left).filter(|left| !left.is_by_footer());
    }
    begin_epoch(&core.volume, &core.pool, core.store, generation, epoch, &mut tail)?;
    let settled = Anchor {
        page: PageNo(tail.next_page().0 - 1),
        chain: tail.chain,
        batch: tail.batch,
        epoch,
    };
    Ok(Begun { tail, sealed, settled })
}

/// The last page of the log, which ends at `tail`; `None` if it cannot be read any more.
fn last_page(core: &Core, tail: &Tail) -> Result<Option<Anchor>> {
    let mut page = core.pool.take(1)?;
    let (chain, batch, epoch) = (tail.chain, tail.batch, tail.epoch);
    let mut is_it = |at: &PageNo| {
        core.volume.read(*at, &mut page).is_ok()
            && log_page::open(&page, core.store, *at).is_some()
            && log_page::checksum(&page) == chain
    };
    let mut pages = (0..tail.next).rev().map(|index| tail.first_page().plus(u64::from(index)));
    let found = pages.find(|at| is_it(at));
    Ok(found.map(|page| Anchor { page, chain, batch, epoch }))
}

fn corrupt(page: PageNo, what: &'static str) -> Error {
    Error::Corrupt { page: page.0, key: None, what }
}
