//! Which extent holds what, and where there is room.
//!
//! Roles and incarnations come back from the image and the log; how much of an extent is live,
//! and what is free, is derived from the index (G5).

use super::liveness::LiveChanges;
use super::table::{Extent, LargeRun, Table, extents_in, extents_of, numbered};
use crate::device::{BufferPool, Purpose, Volume};
use crate::error::{Error, Result};
use crate::format::extent_state::{ExtentState, Role};
use crate::format::ids::{Epoch, ExtentNo, Incarnation, PAGE_BYTES, PageNo};
use crate::seeded::{Bug, seeded};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, RwLock};

/// The least by which a file grows, and the fraction of its length if that is more: large
/// enough that growing is rare, small enough that little is claimed ahead of need.
const GROWTH_EXTENTS: u64 = 4;
const GROWTH_FRACTION: u64 = 8;
/// Zeros are written this much at a time.
const PREPARE_PAGES: usize = 256;

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
    /// Bytes of the records that the index refers to.
    pub(super) live_bytes: AtomicU64,
    pub(super) table: RwLock<Table>,
    growing: Mutex<()>,
    preparing: Mutex<()>,
}

impl Space {
    /// A volume of which nothing is known but its superblocks.
    pub(crate) fn new(
        volume: Arc<Volume>,
        pool: BufferPool,
        extent_pages: u32,
        max_pages: u64,
    ) -> Self {
        let table = Table::new(volume.len_pages(), extent_pages);
        Self {
            volume,
            pool,
            extent_pages,
            max_pages,
            live_bytes: AtomicU64::new(0),
            table: RwLock::new(table),
            growing: Mutex::new(()),
            preparing: Mutex::new(()),
        }
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
            if change < 0 {
                table.died += change.unsigned_abs();
                entry.heat.add(change.unsigned_abs(), table.died, all_live);
            }
        }
        for &(extent, bytes) in &changes.held {
            table.extents[extent.0 as usize].held += bytes;
        }
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

    /// Sets a free extent aside for the log; growing the volume if need be. Puts leave the
    /// reserve to deletes.
    pub(crate) fn reserve_extent(&self, for_puts: bool) -> Result<ExtentNo> {
        loop {
            let known = self.table.read().extents.len();
            if let Some(extent) = self.try_reserve(for_puts) {
                return Ok(extent);
            }
            self.grow_beyond(known, 1)?;
        }
    }

    fn try_reserve(&self, for_puts: bool) -> Option<ExtentNo> {
        let mut table = self.table.write();
        let keep = if for_puts { table.put_floor() } else { table.image_floor() };
        let mut free = numbered(&table.extents).filter(|(_, extent)| extent.is_free());
        let (mut chosen, first) = free.next()?;
        let mut count = 1;
        let mut prepared = first.prepared;
        for (number, extent) in free {
            count += 1;
            if extent.prepared && !prepared {
                (chosen, prepared) = (number, true);
            }
        }
        if count <= keep {
            return None;
        }
        table.extents[chosen.0 as usize].reserved = true;
        Some(chosen)
    }

    /// Whether more is free, or can be, than what puts leave.
    pub(crate) fn has_room_for_puts(&self) -> bool {
        let table = self.table.read();
        let growth = self.max_pages.saturating_sub(self.volume.len_pages());
        table.free() > table.put_floor() || growth >= u64::from(self.extent_pages)
    }

    /// Free extents beyond those that puts leave; those included by which the volume may grow.
    pub(crate) fn spare_extents(&self) -> u64 {
        let table = self.table.read();
        let growth = self.max_pages.saturating_sub(self.volume.len_pages());
        let spare = table.free().saturating_sub(table.put_floor()) as u64;
        spare + growth / u64::from(self.extent_pages)
    }

    /// The next image takes so many extents; they are left to it.
    pub(crate) fn keep_for_image(&self, extents: usize) {
        self.table.write().image_extents = extents;
    }

    /// Starts a fresh life of the log's successor though it may not be prepared: recovery writes
    /// one page there, whatever it costs, as an open must not fail for want of zeros.
    pub(crate) fn force_log_extent(&self, extent: ExtentNo) -> Incarnation {
        self.table.write().extents[extent.0 as usize].prepared = true;
        self.open_log_extent(extent)
    }

    /// Takes back an extent that was set aside.
    pub(crate) fn return_extent(&self, extent: ExtentNo) {
        self.table.write().extents[extent.0 as usize].reserved = false;
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
    pub(crate) fn prepare(&self, extent: ExtentNo) -> Result<()> {
        let _one_at_a_time = self.preparing.lock();
        if self.is_prepared(extent) {
            return Ok(());
        }
        let start = u64::from(extent.0) * u64::from(self.extent_pages);
        let step = PREPARE_PAGES.min(self.extent_pages as usize);
        let mut zeros = self.pool.take(step)?;
        zeros.fill(0);
        for at in (0..u64::from(self.extent_pages)).step_by(step) {
            self.volume.write(Purpose::Preparation, PageNo(start + at), &zeros)?;
        }
        self.volume.barrier()?;
        self.table.write().extents[extent.0 as usize].prepared = true;
        Ok(())
    }

    /// Sets pages aside for a large value, growing the volume if need be.
    pub(crate) fn allocate(&self, pages: u64) -> Result<Allocation> {
        loop {
            let known = self.table.read().extents.len();
            if let Some(allocation) = self.try_allocate(pages) {
                return Ok(allocation);
            }
            self.grow_beyond(known, pages.div_ceil(u64::from(self.extent_pages)))?;
        }
    }

    fn try_allocate(&self, pages: u64) -> Option<Allocation> {
        let mut table = self.table.write();
        let start = match table.runs.take(pages) {
            Some(start) => start,
            None => {
                table.open_large(pages, self.extent_pages)?;
                table.runs.take(pages)?
            }
        };
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
        self.table.write().runs.insert(allocation.page.0, allocation.pages);
    }

    /// Grows the volume, unless it has more extents than the `known` ones by now.
    fn grow_beyond(&self, known: usize, extents: u64) -> Result<()> {
        let _one_at_a_time = self.growing.lock();
        if self.table.read().extents.len() > known {
            return Ok(());
        }
        let len = self.volume.len_pages();
        let extent_pages = u64::from(self.extent_pages);
        let short = self.table.read().shortage() as u64;
        let wanted = (extents + short).max(GROWTH_EXTENTS) * extent_pages;
        let generous = len + wanted.max(len / GROWTH_FRACTION);
        let mut goal = generous.min(self.max_pages) / extent_pages * extent_pages;
        if goal <= len {
            return Err(Error::Full { pinned_by: None });
        }
        let modest = (len + (extents + short) * extent_pages).min(goal);
        if let Err(error) = self.volume.grow(goal) {
            // The file system may have room for what is needed now, if for no more.
            if !matches!(error, Error::Full { .. }) || modest == goal {
                return Err(error);
            }
            goal = modest / extent_pages * extent_pages;
            self.volume.grow(goal)?;
        }
        let mut table = self.table.write();
        table.extents.resize(extents_in(goal, self.extent_pages), Extent::FREE);
        Ok(())
    }

    /// Sets an extent aside for an image.
    pub(crate) fn take_image_extent(&self, image: Incarnation) -> Result<ExtentNo> {
        let state = ExtentState { role: Role::Checkpoint, incarnation: image };
        self.take(|table| {
            let extent = table.take_free(state, 0)?;
            table.image_taken += 1;
            Some(extent)
        })
    }

    /// The image under way is complete, or given up: the next will take as much again.
    pub(crate) fn end_image(&self) {
        self.table.write().image_taken = 0;
    }

    /// Starts a fresh life of a free extent, as one that the collector appends to.
    pub(crate) fn open_value_extent(&self) -> Result<(ExtentNo, ExtentState)> {
        self.take(|table| {
            let state = ExtentState { role: Role::Value, incarnation: table.next_incarnation() };
            let extent = table.take_free(state, table.image_floor())?;
            table.extents[extent.0 as usize].open = true;
            Some((extent, state))
        })
    }

    /// The collector appends no more to `extent`.
    pub(crate) fn seal_value_extent(&self, extent: ExtentNo) {
        self.table.write().extents[extent.0 as usize].open = false;
    }

    /// What `take` takes of the table, growing the volume if need be.
    fn take<T>(&self, take: impl Fn(&mut Table) -> Option<T>) -> Result<T> {
        loop {
            let known = self.table.read().extents.len();
            let taken = take(&mut self.table.write());
            if let Some(taken) = taken {
                return Ok(taken);
            }
            self.grow_beyond(known, 1)?;
        }
    }

    /// Takes back extents of an image that no superblock names any more, or ever did.
    pub(crate) fn free_image(&self, extents: &[ExtentNo]) {
        let mut table = self.table.write();
        for extent in extents {
            let entry = &mut table.extents[extent.0 as usize];
            assert_eq!(entry.state.role, Role::Checkpoint, "C4: only images are given up here");
            *entry = entry.freed();
        }
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
