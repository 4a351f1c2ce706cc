//! Which extent holds what, and where there is room.
//!
//! Roles and incarnations come back from the image and the log; how much of an extent is live,
//! and what is free, is derived from the index (G5).

use super::image_size::{Contents, ImageSize};
use super::liveness::LiveChanges;
use super::reserve::{Claim, Images};
use super::table::{Collected, Extent, LargeRun, Table, extents_in, extents_of, numbered};
use crate::device::{BufferPool, Purpose, Volume};
use crate::error::{Error, Result};
use crate::events::{Event, Stall};
use crate::format::extent_state::{ExtentState, Role};
use crate::format::ids::{Epoch, ExtentNo, Incarnation, PAGE_BYTES, PageNo};
use crate::seeded::{Bug, seeded};
use crate::sync::{self, Arc, AtomicBool, AtomicU64, Mutex, Ordering, RwLock};

/// The least by which a file grows, and the fraction of its length if that is more: large
/// enough that growing is rare, small enough that little is claimed ahead of need.
const GROWTH_EXTENTS: u64 = 4;
const GROWTH_FRACTION: u64 = 8;
/// Zeros are written this much at a time, so that a read or a commit waits for no more of them.
const PREPARE_PAGES: usize = 32;
/// Time left to others per time that this takes.
const IDLE_PER_PREPARED: f64 = 3.0;

/// Pages that were set aside for a large value.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) page: PageNo,
    pub(crate) pages: u64,
    pub(crate) incarnation: Incarnation,
    /// Extents that the log must announce before it refers to these pages (G4).
    pub(crate) announce: Vec<(ExtentNo, ExtentState)>,
}

/// The extent table, and the growth of the volume under it.
#[derive(Debug)]
pub(crate) struct Space {
    pub(super) volume: Arc<Volume>,
    pool: BufferPool,
    pub(super) extent_pages: u32,
    max_pages: u64,
    /// Pages that it never has fewer than.
    pub(super) least_pages: u64,
    /// Bytes of the records that the index refers to.
    pub(super) live_bytes: AtomicU64,
    pub(super) table: RwLock<Table>,
    image: ImageSize,
    /// Pages that the next image may have where puts are admitted.
    longest_image: AtomicU64,
    pub(super) growing: Mutex<()>,
    preparing: Mutex<()>,
    pub(super) discards: bool,
    pub(super) may_have_holes: bool,
    /// The device does not take blocks back.
    pub(super) cannot_discard: AtomicBool,
}

impl Space {
    /// A volume of which nothing is known but its superblocks.
    pub(crate) fn new(
        volume: Arc<Volume>,
        pool: BufferPool,
        extent_pages: u32,
        max_pages: u64,
        slice_bytes: usize,
    ) -> Self {
        let table = Table::new(volume.len_pages(), extent_pages);
        Self {
            volume,
            pool,
            extent_pages,
            max_pages,
            least_pages: u64::MAX,
            live_bytes: AtomicU64::new(0),
            table: RwLock::new(table),
            image: ImageSize::new(slice_bytes),
            longest_image: AtomicU64::new(0),
            growing: Mutex::new(()),
            preparing: Mutex::new(()),
            discards: false,
            may_have_holes: false,
            cannot_discard: AtomicBool::new(false),
        }
    }

    /// The same volume, which may become as short as `pages`.
    pub(crate) fn shrinking_to(self, pages: u64) -> Self {
        Self { least_pages: pages, ..self }
    }

    pub(crate) fn extent_pages(&self) -> u32 {
        self.extent_pages
    }

    /// Pages to which the volume may grow.
    pub(crate) fn max_pages(&self) -> u64 {
        self.max_pages
    }

    pub(crate) fn extent_of(&self, page: PageNo) -> ExtentNo {
        ExtentNo((page.0 / u64::from(self.extent_pages)) as u32)
    }

    /// The life that `extent` is in.
    pub(crate) fn incarnation_of(&self, extent: ExtentNo) -> Option<Incarnation> {
        let table = self.table.read();
        table.extents.get(extent.0 as usize).map(|extent| extent.state.incarnation)
    }

    /// The large value that starts at `page`, be it dead or live.
    pub(crate) fn large_at(&self, page: PageNo) -> Option<LargeRun> {
        self.table.read().large.get(&page.0).copied()
    }

    /// What the index refers to changed.
    pub(crate) fn count_live(&self, changes: &LiveChanges) {
        // One number for all, as it wraps; only the one who applies changes it.
        self.live_bytes.fetch_add(changes.total as u64, Ordering::Relaxed);
        let all_live = self.live_bytes();
        let mut table = self.table.write();
        let table = &mut *table;
        for &(extent, change) in &changes.extents {
            let entry = &mut table.extents[extent.0 as usize];
            entry.live = entry.live.checked_add_signed(change).expect("G5: live bytes are exact");
            // What the collector moves does not die.
            if change < 0 && entry.collected != Collected::UnderWay {
                table.died += change.unsigned_abs();
                entry.heat.add(change.unsigned_abs(), table.died, all_live);
            }
        }
        for &(extent, bytes) in &changes.held {
            table.extents[extent.0 as usize].held += bytes;
        }
    }

    /// Bytes of the records in `extent` that the index refers to.
    pub(crate) fn live_in(&self, extent: ExtentNo) -> u64 {
        self.table.read().extents[extent.0 as usize].live
    }

    /// Bytes of the records that the index refers to, heads included.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes.load(Ordering::Relaxed)
    }

    /// An announcement that is being applied: its extent is in use already.
    pub(crate) fn announce(&self, extent: ExtentNo, state: ExtentState) {
        let mut table = self.table.write();
        let entry = &mut table.extents[extent.0 as usize];
        assert_eq!(entry.state, state, "G4: an extent is announced in the life that it is in");
        entry.announced = true;
    }

    /// The index refers to a large value from now on, or may when replay is over.
    pub(crate) fn adopt_large(&self, page: PageNo, run: LargeRun) {
        let mut table = self.table.write();
        let known = table.large.get(&page.0).map(|known| known.incarnation);
        if known.is_none_or(|known| known <= run.incarnation) {
            table.large.insert(page.0, run);
        }
    }

    /// The index refers no more to the large value at `page`; views may, where it is `held`.
    pub(crate) fn drop_large(&self, page: PageNo, held: bool) {
        let mut table = self.table.write();
        if let Some(run) = table.large.get_mut(&page.0) {
            (run.live, run.held) = (false, held && !seeded(Bug::HeldLargeIgnored));
            if !run.held {
                table.dead.push(page);
            }
        }
    }

    /// Free extents that are prepared, for the superblock.
    pub(crate) fn prepared_spares(&self, limit: usize) -> Vec<ExtentNo> {
        let table = self.table.read();
        let spare = |extent: &Extent| extent.state.role == Role::Free && extent.prepared;
        numbered(&table.extents)
            .filter(|(_, extent)| spare(extent))
            .map(|(number, _)| number)
            .take(limit)
            .collect()
    }

    /// Sets a free extent aside for the log; growing the volume if need be.
    pub(crate) fn reserve_extent(&self, claim: Claim) -> Result<ExtentNo> {
        self.take(claim, |table, floor| table.reserve(floor))
    }

    /// Whether an extent is free for `claim`.
    pub(crate) fn has_room(&self, claim: Claim) -> bool {
        let image = self.image_extents(claim);
        let table = self.table.read();
        table.free() > table.floor(claim, image)
    }

    /// Whether a put is admitted that may, with others that are not applied yet, make the index longer
    /// by `growth`. It may go where the log is already.
    pub(crate) fn admits_put(&self, growth: u64) -> bool {
        self.image.after(growth) <= self.longest_image.load(Ordering::SeqCst)
    }

    /// Has such a put admitted, growing the volume if need be.
    pub(crate) fn admit_put(&self, growth: u64) -> Result<()> {
        loop {
            let known = self.table.read().extents.len();
            // What is live may have changed since.
            self.change(|_| ());
            if self.admits_put(growth) {
                return Ok(());
            }
            let _stalled = self.volume.events.stall(Stall::Growth);
            self.grow_beyond(known, 1)?;
        }
    }

    /// Free extents beyond those that puts leave; those included by which the volume may grow.
    pub(crate) fn spare_extents(&self) -> u64 {
        let image = self.image_extents(Claim::Put);
        let table = self.table.read();
        let growth = self.max_pages.saturating_sub(self.volume.len_pages());
        let spare = table.free().saturating_sub(table.floor(Claim::Put, image)) as u64;
        spare + growth / u64::from(self.extent_pages) + table.count_discarded()
    }

    /// Whether there is room for a put: of a large value of so many `pages`, or of a small one.
    pub(crate) fn has_room_for_put(&self, pages: Option<u64>) -> bool {
        let Some(pages) = pages else { return self.spare_extents() > 0 };
        let image = self.image_extents(Claim::LargePut);
        let table = self.table.read();
        let growth = self.max_pages.saturating_sub(self.volume.len_pages());
        let floor = table.floor(Claim::LargePut, image);
        let may_grow = growth >= u64::from(self.extent_pages) || table.count_discarded() > 0;
        may_grow || table.has_run(pages, self.extent_pages, floor)
    }

    /// Extents of the next image, as `claim` foresees it.
    pub(super) fn image_extents(&self, claim: Claim) -> usize {
        let of_put = matches!(claim, Claim::Put | Claim::LargePut);
        let pages = if of_put { self.image.after(0) } else { self.image.now() };
        pages.div_ceil(u64::from(self.extent_pages)) as usize
    }

    /// The index has grown by so much at most: the next image may be longer.
    pub(crate) fn grow_image(&self, bytes: usize) {
        self.image.grow(bytes as u64);
    }

    /// Measures what the next image will be of: an index of `keys` keys and `index_bytes`.
    pub(crate) fn measure_image(&self, look: impl FnOnce() -> (u64, u64)) {
        self.image.measure(|| {
            let (keys, index_bytes) = look();
            let table = self.table.read();
            let (extents, large_values) = (table.extents.len() as u64, table.large.len() as u64);
            Contents { keys, index_bytes, extents, large_values }
        });
    }

    /// Changes what is free.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut Table) -> R) -> R {
        let mut table = self.table.write();
        let changed = change(&mut table);
        let longest = table.longest_image().map_or(0, |extents| extents as u64);
        self.longest_image.store(longest * u64::from(self.extent_pages), Ordering::SeqCst);
        changed
    }

    /// Starts a fresh life of the log's successor though it may not be prepared: recovery writes
    /// one page there, whatever it costs, as an open must not fail for want of zeros.
    pub(crate) fn force_log_extent(&self, extent: ExtentNo) -> Incarnation {
        self.table.write().extents[extent.0 as usize].prepared = true;
        self.open_log_extent(extent)
    }

    /// Takes back an extent that was set aside.
    pub(crate) fn return_extent(&self, extent: ExtentNo) {
        self.change(|table| table.extents[extent.0 as usize].reserved = false);
    }

    /// Starts a fresh life of an extent that was set aside, as one of the log.
    pub(crate) fn open_log_extent(&self, extent: ExtentNo) -> Incarnation {
        let mut table = self.table.write();
        let incarnation = table.next_incarnation();
        let entry = &mut table.extents[extent.0 as usize];
        assert!(entry.reserved && entry.prepared, "S1: log pages go only where space is ready");
        entry.reserved = false;
        entry.state = ExtentState { role: Role::Log, incarnation };
        incarnation
    }

    pub(crate) fn is_prepared(&self, extent: ExtentNo) -> bool {
        let table = self.table.read();
        let prepared = |extent: &Extent| extent.prepared || seeded(Bug::PreparationSkipped);
        table.extents.get(extent.0 as usize).is_some_and(prepared)
    }

    /// Writes zeros over an extent that was set aside, and makes them durable: later pages then
    /// cost one write and one flush, as no file metadata changes with them.
    ///
    /// Lets the device be others' in between unless `is_behind`, who is told what part of it is done.
    pub(crate) fn prepare(&self, extent: ExtentNo, is_behind: &dyn Fn(f64) -> bool) -> Result<()> {
        let _one_at_a_time = self.preparing.lock();
        if self.is_prepared(extent) {
            return Ok(());
        }
        let begun = sync::now();
        let start = u64::from(extent.0) * u64::from(self.extent_pages);
        let step = PREPARE_PAGES.min(self.extent_pages as usize);
        let mut zeros = self.pool.take(step)?;
        zeros.fill(0);
        for at in (0..u64::from(self.extent_pages)).step_by(step) {
            let written = sync::now();
            self.volume.write(Purpose::Preparation, PageNo(start + at), &zeros)?;
            let done = at + step as u64;
            if done < u64::from(self.extent_pages)
                && !is_behind(done as f64 / f64::from(self.extent_pages))
            {
                sync::sleep(written.elapsed().mul_f64(IDLE_PER_PREPARED));
            }
        }
        self.volume.barrier()?;
        self.table.write().extents[extent.0 as usize].prepared = true;
        self.volume.events.tell(|| {
            let bytes = bytes_of(u64::from(self.extent_pages));
            Event::Prepared { page: start, bytes, took: begun.elapsed() }
        });
        Ok(())
    }

    /// Sets pages aside for a large value, growing the volume if need be.
    pub(crate) fn allocate(&self, pages: u64) -> Result<Allocation> {
        loop {
            let known = self.table.read().extents.len();
            if let Some(allocation) = self.allocate_for(Claim::LargePut, pages) {
                return Ok(allocation);
            }
            let _stalled = self.volume.events.stall(Stall::Growth);
            self.grow_beyond(known, pages.div_ceil(u64::from(self.extent_pages)))?;
        }
    }

    /// Sets pages aside for a copy of a large value, out of what there is.
    pub(crate) fn allocate_copy(&self, pages: u64) -> Option<Allocation> {
        self.allocate_for(Claim::LargeCopies, pages)
    }

    fn allocate_for(&self, claim: Claim, pages: u64) -> Option<Allocation> {
        let image = self.image_extents(claim);
        self.change(|table| {
            let floor = table.floor(claim, image);
            self.allocate_in(table, pages, floor)
        })
    }

    fn allocate_in(&self, table: &mut Table, pages: u64, floor: usize) -> Option<Allocation> {
        let start = table.take_run(pages, self.extent_pages, floor)?;
        let incarnation = table.next_incarnation();
        let announce = extents_of(start, pages, self.extent_pages)
            .map(|extent| (extent, table.extents[extent.0 as usize]))
            .filter(|(_, extent)| !extent.announced)
            .map(|(number, extent)| (number, extent.state))
            .collect();
        Some(Allocation { page: PageNo(start), pages, incarnation, announce })
    }

    /// The announcements of `allocation` are in the log.
    pub(crate) fn announced(&self, allocation: &Allocation) {
        if !allocation.announce.is_empty() {
            let mut table = self.table.write();
            for (extent, _) in &allocation.announce {
                table.extents[extent.0 as usize].announced = true;
            }
        }
    }

    /// Takes back pages that no record refers to and to which nothing is being written.
    pub(crate) fn give_back(&self, allocation: &Allocation) {
        let &Allocation { page, pages, .. } = allocation;
        self.table.write().add_free(page.0, pages, self.extent_pages);
    }

    /// Grows the volume, unless it has more extents than the `known` ones by now; where extents were
    /// discarded, those are had back first.
    fn grow_beyond(&self, known: usize, extents: u64) -> Result<()> {
        let _one_at_a_time = self.growing.lock();
        if self.table.read().extents.len() > known && !seeded(Bug::GrowthRepeated) {
            return Ok(());
        }
        if self.allocate_discarded(extents)? {
            return Ok(());
        }
        let len = self.volume.len_pages();
        let extent_pages = u64::from(self.extent_pages);
        let short = self.shortage();
        let wanted = (extents + short).max(GROWTH_EXTENTS) * extent_pages;
        let generous = len + wanted.max(len / GROWTH_FRACTION);
        let mut goal = generous.min(self.max_pages) / extent_pages * extent_pages;
        if goal <= len {
            return Err(Error::Full { pinned_by: None });
        }
        let begun = sync::now();
        let modest = (len + (extents + short) * extent_pages).min(goal);
        if let Err(error) = self.volume.grow(goal) {
            // The file system may have room for what is needed now, if for no more.
            if !matches!(error, Error::Full { .. }) || modest == goal {
                return Err(error);
            }
            goal = modest / extent_pages * extent_pages;
            self.volume.grow(goal)?;
        }
        let extents = extents_in(goal, self.extent_pages);
        self.change(|table| table.extents.resize(extents, Extent::FREE));
        self.volume.events.tell(|| {
            let (from_bytes, to_bytes) = (bytes_of(len), bytes_of(goal));
            Event::Grown { from_bytes, to_bytes, took: begun.elapsed() }
        });
        Ok(())
    }

    /// Free extents that are missing from those that puts leave.
    pub(super) fn shortage(&self) -> u64 {
        let image = self.image_extents(Claim::Put);
        let table = self.table.read();
        table.floor(Claim::Put, image).saturating_sub(table.free()) as u64
    }

    /// Sets an extent aside for an image.
    pub(crate) fn take_image_extent(&self, image: Incarnation) -> Result<ExtentNo> {
        let state = ExtentState { role: Role::Checkpoint, incarnation: image };
        self.take(Claim::Image, |table, floor| {
            let extent = table.take_free(state, floor)?;
            table.images.next += 1;
            Some(extent)
        })
    }

    /// Starts a fresh life of a free extent, as one that the collector appends to.
    pub(crate) fn open_value_extent(&self) -> Result<(ExtentNo, ExtentState)> {
        self.take(Claim::Copies, |table, floor| {
            let state = ExtentState { role: Role::Value, incarnation: table.next_incarnation() };
            let extent = table.take_free(state, floor)?;
            table.extents[extent.0 as usize].open = true;
            Some((extent, state))
        })
    }

    /// The collector appends no more to `extent`.
    pub(crate) fn seal_value_extent(&self, extent: ExtentNo) {
        self.change(|table| table.extents[extent.0 as usize].open = false);
    }

    /// What `take` takes of the table, where it has to leave so many extents to others; growing the
    /// volume if need be.
    fn take<T>(&self, claim: Claim, take: impl Fn(&mut Table, usize) -> Option<T>) -> Result<T> {
        loop {
            let known = self.table.read().extents.len();
            let image = self.image_extents(claim);
            let taken = self.change(|table| {
                let floor = table.floor(claim, image);
                take(table, floor)
            });
            if let Some(taken) = taken {
                return Ok(taken);
            }
            self.grow_beyond(known, 1)?;
        }
    }

    /// The image under way is in force, in so many extents as is the one before it. No superblock
    /// names those that are `freed` any more.
    pub(crate) fn put_image_in_force(&self, newest: usize, previous: usize, freed: &[ExtentNo]) {
        self.change(|table| {
            table.free_image(freed);
            table.images = Images { newest, previous, next: 0 };
            table.name_newest();
            table.age_free();
        });
    }

    /// No superblock names the previous image, in `freed`, any more.
    pub(crate) fn give_up_previous_image(&self, freed: &[ExtentNo]) {
        self.change(|table| {
            table.free_image(freed);
            table.images.previous = 0;
            table.name_newest_only();
        });
    }

    /// The image under way, in `freed`, is given up: the next will take as much again.
    pub(crate) fn give_up_image(&self, freed: &[ExtentNo]) {
        self.change(|table| {
            table.free_image(freed);
            table.images.next = 0;
        });
    }

    /// That of the life that began last.
    pub(crate) fn newest_incarnation(&self) -> Incarnation {
        let table = self.table.read();
        Incarnation { epoch: table.epoch, serial: table.serial }
    }

    /// An incarnation for an image.
    pub(crate) fn next_incarnation(&self) -> Incarnation {
        self.table.write().next_incarnation()
    }

    /// Incarnations of this epoch have serials above `serial` from now on.
    pub(crate) fn issue_serials_after(&self, serial: u64) {
        let mut table = self.table.write();
        table.serial = table.serial.max(serial);
    }

    /// Up to `limit` lines of the extent table from `from` on: extents that hold records.
    pub(crate) fn lines(&self, from: ExtentNo, limit: usize) -> Vec<(ExtentNo, ExtentState)> {
        let table = self.table.read();
        numbered(&table.extents)
            .skip(from.0 as usize)
            .filter(|(_, extent)| {
                matches!(extent.state.role, Role::Log | Role::Value | Role::Large)
            })
            .map(|(number, extent)| (number, extent.state))
            .take(limit)
            .collect()
    }

    /// Up to `limit` large values that the index refers to, from `from` on.
    pub(crate) fn live_runs(&self, from: PageNo, limit: usize) -> Vec<(PageNo, LargeRun)> {
        let table = self.table.read();
        let runs = table.large.range(from.0..).filter(|(_, run)| run.live);
        runs.map(|(&page, &run)| (PageNo(page), run)).take(limit).collect()
    }

    /// The epoch that issues incarnations.
    pub(crate) fn epoch(&self) -> Epoch {
        self.table.read().epoch
    }

    /// A new epoch issues incarnations from now on.
    pub(crate) fn begin_epoch(&self, epoch: Epoch) {
        let mut table = self.table.write();
        table.epoch = epoch;
        table.serial = 0;
    }
}

/// Bytes in `pages` pages.
pub(crate) const fn bytes_of(pages: u64) -> u64 {
    pages * PAGE_BYTES as u64
}
