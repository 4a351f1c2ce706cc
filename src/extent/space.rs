//! Which extent holds what, and where there is room.
//!
//! Roles and incarnations come back from the image and the log; how much of an extent is live,
//! and what is free, is derived from the index (G5).

use super::runs::FreeRuns;
use crate::device::{BufferPool, Purpose, Volume};
use crate::error::{Error, Result};
use crate::format::extent_state::{ExtentState, Role};
use crate::format::ids::{Epoch, ExtentNo, Incarnation, PAGE_BYTES, PageNo};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, RwLock};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Free extents that puts leave for deletes and for the log to move on.
const RESERVE: usize = 2;
/// The least by which a file grows, and the fraction of its length if that is more: large
/// enough that growing is rare, small enough that little is claimed ahead of need.
const GROWTH_EXTENTS: u64 = 4;
const GROWTH_FRACTION: u64 = 8;
/// Zeros are written this much at a time.
const PREPARE_PAGES: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Extent {
    state: ExtentState,
    /// Whether all of it was written before, so that log pages may go there.
    prepared: bool,
    /// Whether it is set aside for the log.
    reserved: bool,
    /// Whether the log says that it is a large extent.
    announced: bool,
    /// Bytes of the records in it that the index refers to; large values are counted apart.
    live: u64,
}

impl Extent {
    const FREE: Self = Self {
        state: ExtentState::FREE,
        prepared: false,
        reserved: false,
        announced: false,
        live: 0,
    };

    fn is_free(&self) -> bool {
        self.state.role == Role::Free && !self.reserved
    }
}

/// A large value's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LargeRun {
    pub(crate) pages: u64,
    pub(crate) incarnation: Incarnation,
    /// Whether the index refers to it.
    pub(crate) live: bool,
}

/// How a pass over records changed what the index refers to.
#[derive(Debug, Default)]
pub(crate) struct LiveChanges {
    total: i64,
    /// By extent, for records in the log; neighbours differ.
    extents: Vec<(ExtentNo, i64)>,
}

impl LiveChanges {
    /// A record in `extent`, `None` for a large value, counts `bytes` more, or less.
    pub(crate) fn add(&mut self, extent: Option<ExtentNo>, bytes: i64) {
        self.total += bytes;
        let Some(extent) = extent else { return };
        match self.extents.last_mut() {
            Some((last, change)) if *last == extent => *change += bytes,
            _ => self.extents.push((extent, bytes)),
        }
    }
}

/// What the index refers to, all of it.
#[derive(Debug)]
pub(crate) struct Liveness {
    total: u64,
    extents: Vec<u64>,
    /// First pages of large values, and how many keys refer to each: in the end one. While the
    /// log is applied in the order of keys, the old value and the new one of a page may both be
    /// there.
    large: BTreeMap<PageNo, u32>,
}

impl Liveness {
    /// A record of `bytes` bytes in `extent`. False if there is no such extent.
    pub(crate) fn add_record(&mut self, extent: ExtentNo, bytes: u64) -> bool {
        self.total += bytes;
        let live = self.extents.get_mut(extent.0 as usize);
        live.map(|live| *live += bytes).is_some()
    }

    /// A large value that starts at `page`.
    pub(crate) fn add_large(&mut self, page: PageNo, bytes: u64) {
        self.total += bytes;
        *self.large.entry(page).or_default() += 1;
    }

    /// Takes a record back. False if it was not there.
    pub(crate) fn remove_record(&mut self, extent: ExtentNo, bytes: u64) -> bool {
        self.total = self.total.wrapping_sub(bytes);
        let live = self.extents.get_mut(extent.0 as usize);
        let left = live.as_ref().and_then(|live| live.checked_sub(bytes));
        live.zip(left).map(|(live, left)| *live = left).is_some()
    }

    /// Takes a large value back. False if it was not there.
    pub(crate) fn remove_large(&mut self, page: PageNo, bytes: u64) -> bool {
        self.total = self.total.wrapping_sub(bytes);
        let Some(count) = self.large.get_mut(&page) else { return false };
        *count -= 1;
        if *count == 0 {
            self.large.remove(&page);
        }
        true
    }
}

/// Pages that were set aside for a large value.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) page: PageNo,
    pub(crate) pages: u64,
    pub(crate) incarnation: Incarnation,
    /// Extents that the log must announce before it refers to these pages (G4).
    pub(crate) announce: Vec<(ExtentNo, ExtentState)>,
}

#[derive(Debug)]
struct Table {
    extents: Vec<Extent>,
    runs: FreeRuns,
    /// Large values, by first page. Dead ones stay: a snapshot may refer to them, and their pages
    /// are not used again before the next open.
    large: BTreeMap<u64, LargeRun>,
    epoch: Epoch,
    serial: u64,
}

/// The extent table, and the growth of the volume under it.
#[derive(Debug)]
pub(crate) struct Space {
    volume: Arc<Volume>,
    pool: BufferPool,
    extent_pages: u32,
    max_pages: u64,
    /// Bytes of the records that the index refers to.
    live_bytes: AtomicU64,
    table: RwLock<Table>,
    growing: Mutex<()>,
    preparing: Mutex<()>,
}

/// Pages by what they hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) log_pages: u64,
    pub(crate) large_pages: u64,
    pub(crate) image_pages: u64,
    pub(crate) free_pages: u64,
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
        let mut table = self.table.write();
        for &(extent, change) in &changes.extents {
            let live = &mut table.extents[extent.0 as usize].live;
            *live = live.checked_add_signed(change).expect("G5: live bytes are exact");
        }
    }

    /// Bytes of the records that the index refers to, heads included.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes.load(Ordering::Relaxed)
    }

    /// What holds how much.
    pub(crate) fn usage(&self) -> Usage {
        let table = self.table.read();
        let mut usage = Usage::default();
        for extent in &table.extents {
            let pages = u64::from(self.extent_pages);
            match extent.state.role {
                Role::Log => usage.log_pages += pages,
                Role::Large => usage.large_pages += pages,
                Role::Checkpoint => usage.image_pages += pages,
                _ if extent.is_free() => usage.free_pages += pages,
                _ => {}
            }
        }
        usage
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
            if let Some(extent) = self.try_reserve(if for_puts { RESERVE } else { 0 }) {
                return Ok(extent);
            }
            self.grow_beyond(known, 1)?;
        }
    }

    fn try_reserve(&self, keep: usize) -> Option<ExtentNo> {
        let mut table = self.table.write();
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

    /// Whether more is free, or can be, than the reserve for deletes.
    pub(crate) fn has_room_for_puts(&self) -> bool {
        let table = self.table.read();
        let free = table.extents.iter().filter(|extent| extent.is_free()).count();
        let growth = self.max_pages.saturating_sub(self.volume.len_pages());
        free > RESERVE || growth >= u64::from(self.extent_pages)
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
        table.extents.get(extent.0 as usize).is_some_and(|extent| extent.prepared)
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
        let wanted = (extents + RESERVE as u64).max(GROWTH_EXTENTS) * extent_pages;
        let generous = len + wanted.max(len / GROWTH_FRACTION);
        let mut goal = generous.min(self.max_pages) / extent_pages * extent_pages;
        if goal <= len {
            return Err(Error::Full { pinned_by: None });
        }
        let modest = (len + (extents + RESERVE as u64) * extent_pages).min(goal);
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

    /// The log is in `extent`; replay found it there. False if it cannot be.
    pub(crate) fn adopt_log_extent(&self, extent: ExtentNo, incarnation: Incarnation) -> bool {
        let state = ExtentState { role: Role::Log, incarnation };
        self.adopt(extent, state, |known| known <= incarnation)
    }

    /// An image lists an extent, or the log announces it; what is newer is known already. False
    /// if it cannot be.
    pub(crate) fn adopt_extent(&self, extent: ExtentNo, state: ExtentState) -> bool {
        matches!(state.role, Role::Log | Role::Large) && self.adopt(extent, state, |_| true)
    }

    fn adopt(
        &self,
        extent: ExtentNo,
        state: ExtentState,
        may_follow: impl Fn(Incarnation) -> bool,
    ) -> bool {
        let mut table = self.table.write();
        let Some(entry) = table.extents.get_mut(extent.0 as usize) else { return false };
        let known = entry.state.incarnation;
        if matches!(entry.state.role, Role::Super | Role::Checkpoint) || !may_follow(known) {
            return false;
        }
        if known <= state.incarnation {
            let (prepared, announced) = (state.role == Role::Log, state.role == Role::Large);
            *entry = Extent { state, prepared, announced, ..Extent::FREE };
        }
        true
    }

    /// An image is in `extents`. False, and nothing is adopted, if something else is in one.
    pub(crate) fn adopt_image(&self, extents: &[ExtentNo], image: Incarnation) -> bool {
        let mut table = self.table.write();
        let vacant = |extent: &ExtentNo| {
            table.extents.get(extent.0 as usize).is_some_and(|entry| entry.is_free())
        };
        let all_vacant = extents.iter().all(vacant);
        if all_vacant {
            let state = ExtentState { role: Role::Checkpoint, incarnation: image };
            for extent in extents {
                table.extents[extent.0 as usize] = Extent { state, ..Extent::FREE };
            }
        }
        all_vacant
    }

    /// The superblock lists `extent` as prepared.
    pub(crate) fn adopt_spare(&self, extent: ExtentNo) {
        if let Some(entry) = self.table.write().extents.get_mut(extent.0 as usize)
            && entry.state.role == Role::Free
        {
            entry.prepared = true;
        }
    }

    /// The tail's successor is `extent`. False if that cannot be.
    pub(crate) fn adopt_successor(&self, extent: ExtentNo) -> bool {
        let mut table = self.table.write();
        let Some(entry) = table.extents.get_mut(extent.0 as usize) else { return false };
        entry.reserved = true;
        entry.state.role == Role::Free
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

    /// The index refers no more to the large value at `page`.
    pub(crate) fn drop_large(&self, page: PageNo) {
        if let Some(run) = self.table.write().large.get_mut(&page.0) {
            run.live = false;
        }
    }

    /// Forgets what was adopted: another checkpoint tells it.
    pub(crate) fn forget(&self) {
        *self.table.write() = Table::new(self.volume.len_pages(), self.extent_pages);
    }

    /// Nothing is known to be live yet.
    pub(crate) fn no_liveness(&self) -> Liveness {
        let extents = self.table.read().extents.len();
        Liveness { total: 0, extents: vec![0; extents], large: BTreeMap::new() }
    }

    /// After replay: what nothing refers to is free, but for log extents whose incarnations are
    /// in `kept`. False if values overlap, or lie where no value can.
    pub(crate) fn derive_free(
        &self,
        liveness: &Liveness,
        kept: &RangeInclusive<Incarnation>,
    ) -> bool {
        self.live_bytes.store(liveness.total, Ordering::Relaxed);
        self.table.write().derive_free(self.extent_pages, liveness, kept)
    }

    /// Sets an extent aside for an image.
    pub(crate) fn take_image_extent(&self, image: Incarnation) -> Result<ExtentNo> {
        loop {
            let known = self.table.read().extents.len();
            if let Some(extent) = self.table.write().take_image_extent(image) {
                return Ok(extent);
            }
            self.grow_beyond(known, 1)?;
        }
    }

    /// Takes back extents of an image that no superblock names any more, or ever did. Part of
    /// each was written, so only zeros make it fit for the log.
    pub(crate) fn free_image(&self, extents: &[ExtentNo]) {
        let mut table = self.table.write();
        for extent in extents {
            let entry = &mut table.extents[extent.0 as usize];
            assert_eq!(entry.state.role, Role::Checkpoint, "C4: only images are given up here");
            *entry = Extent::FREE;
        }
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
            .filter(|(_, extent)| matches!(extent.state.role, Role::Log | Role::Large))
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

impl Table {
    fn new(pages: u64, extent_pages: u32) -> Self {
        let mut extents = vec![Extent::FREE; extents_in(pages, extent_pages)];
        if let Some(first) = extents.first_mut() {
            first.state.role = Role::Super;
        }
        let (runs, large) = (FreeRuns::default(), BTreeMap::new());
        Self { extents, runs, large, epoch: Epoch(0), serial: 0 }
    }

    fn next_incarnation(&mut self) -> Incarnation {
        self.serial += 1;
        Incarnation { epoch: self.epoch, serial: self.serial }
    }

    /// Makes large extents of enough adjacent free ones for a run of `pages`.
    fn open_large(&mut self, pages: u64, extent_pages: u32) -> Option<()> {
        let need = pages.div_ceil(u64::from(extent_pages)) as usize;
        let free = self.extents.iter().filter(|extent| extent.is_free()).count();
        if free < need + RESERVE {
            return None;
        }
        let first = self.find_adjacent(need)?;
        for number in first..first + need {
            let incarnation = self.next_incarnation();
            self.extents[number] =
                Extent { state: ExtentState { role: Role::Large, incarnation }, ..Extent::FREE };
        }
        let extent_pages = u64::from(extent_pages);
        self.runs.insert(first as u64 * extent_pages, need as u64 * extent_pages);
        Some(())
    }

    /// The first of `need` adjacent free extents. Prepared ones are left to the log where
    /// others will do.
    fn find_adjacent(&self, need: usize) -> Option<usize> {
        let fits = |taken: &dyn Fn(&Extent) -> bool| {
            let mut run = 0;
            self.extents.iter().position(|extent| {
                run = if taken(extent) { run + 1 } else { 0 };
                run == need
            })
        };
        fits(&|extent| extent.is_free() && !extent.prepared)
            .or_else(|| fits(&|extent| extent.is_free()))
            .map(|last| last + 1 - need)
    }

    fn take_image_extent(&mut self, image: Incarnation) -> Option<ExtentNo> {
        let mut free = numbered(&self.extents).filter(|(_, extent)| extent.is_free());
        // Prepared ones are left to the log where others will do.
        let first = free.next()?.0;
        let (mut chosen, mut count) = (first, 1);
        for (number, extent) in free {
            count += 1;
            if !extent.prepared && self.extents[chosen.0 as usize].prepared {
                chosen = number;
            }
        }
        (count > RESERVE).then(|| {
            let state = ExtentState { role: Role::Checkpoint, incarnation: image };
            self.extents[chosen.0 as usize] = Extent { state, ..Extent::FREE };
            chosen
        })
    }

    /// G5: extents in which nothing is live are free, and so are pages of large extents that no
    /// value holds.
    fn derive_free(
        &mut self,
        extent_pages: u32,
        liveness: &Liveness,
        kept: &RangeInclusive<Incarnation>,
    ) -> bool {
        self.large.values_mut().for_each(|run| run.live = false);
        for (page, &count) in &liveness.large {
            let Some(run) = self.large.get_mut(&page.0).filter(|_| count == 1) else {
                return false;
            };
            run.live = true;
        }
        self.large.retain(|_, run| run.live);
        let mut used = vec![false; self.extents.len()];
        for (&start, run) in &self.large {
            for extent in extents_of(start, run.pages, extent_pages) {
                let Some(used) = used.get_mut(extent.0 as usize) else { return false };
                *used = true;
            }
        }
        self.runs = FreeRuns::default();
        let pages = u64::from(extent_pages);
        for (number, extent) in self.extents.iter_mut().enumerate() {
            extent.live = liveness.extents[number];
            match extent.state.role {
                Role::Large if used[number] => self.runs.insert(number as u64 * pages, pages),
                Role::Large => *extent = Extent::FREE,
                // Those after the end of the log never came to be.
                Role::Log if extent.live == 0 && !kept.contains(&extent.state.incarnation) => {
                    *extent = Extent { prepared: true, ..Extent::FREE };
                }
                _ => {}
            }
            if extent.live > 0 && extent.state.role != Role::Log {
                return false;
            }
        }
        self.large.iter().all(|(&start, run)| self.runs.remove(start, run.pages))
    }
}

fn numbered(extents: &[Extent]) -> impl Iterator<Item = (ExtentNo, &Extent)> {
    extents.iter().enumerate().map(|(number, extent)| (ExtentNo(number as u32), extent))
}

fn extents_in(pages: u64, extent_pages: u32) -> usize {
    (pages / u64::from(extent_pages)) as usize
}

/// The extents that `pages` pages from `start` on touch.
fn extents_of(start: u64, pages: u64, extent_pages: u32) -> impl Iterator<Item = ExtentNo> {
    let extent_pages = u64::from(extent_pages);
    let last = (start + pages - 1) / extent_pages;
    (start / extent_pages..=last).map(|extent| ExtentNo(extent as u32))
}

/// Bytes in `pages` pages.
pub(crate) const fn bytes_of(pages: u64) -> u64 {
    pages * PAGE_BYTES as u64
}
