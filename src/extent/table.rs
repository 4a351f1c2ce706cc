//! The extent table: what each extent is for, and what of it is free.

use super::discard::Blocks;
use super::heat::Heat;
use super::liveness::Liveness;
use super::reserve::Images;
use super::runs::FreeRuns;
use super::shrink::Named;
use crate::format::extent_state::{ExtentState, Role};
use crate::format::ids::{Epoch, ExtentNo, Incarnation, PageNo};
use crate::seeded::{Bug, seeded};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Prepared free extents that others leave to the log: its successor, the one after that, and as many
/// for when it is faster than its preparation.
const PREPARED_FOR_LOG: usize = 4;

/// How far the collector has come with an extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collected {
    No,
    /// Moves are pending that name locations in it: nothing else may come to be there (G3).
    UnderWay,
    /// What is live in it yet cannot be read, or not be moved: it is not tried again in this life.
    Done,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) state: ExtentState,
    /// Whether all of it was written before, so that log pages may go there.
    pub(super) prepared: bool,
    /// Whether it is set aside for the log.
    pub(super) reserved: bool,
    /// Whether the log says what it is for.
    pub(super) announced: bool,
    /// Whether the collector appends to it.
    pub(super) open: bool,
    /// Whether nothing refers to it, and it waits until nobody can reach it.
    pub(super) retired: bool,
    pub(super) collected: Collected,
    /// Whether it is being emptied for what wants adjacent extents, so that nothing else goes there.
    pub(super) withheld: bool,
    /// Bytes of the records in it that the index refers to; large values are counted apart.
    pub(super) live: u64,
    /// Bytes of the records in it that only views refer to.
    pub(super) held: u64,
    pub(super) heat: Heat,
    pub(super) blocks: Blocks,
}

impl Extent {
    pub(super) const FREE: Self = Self {
        state: ExtentState::FREE,
        prepared: false,
        reserved: false,
        announced: false,
        open: false,
        retired: false,
        collected: Collected::No,
        withheld: false,
        live: 0,
        held: 0,
        heat: Heat::NONE,
        blocks: Blocks::Unused,
    };

    /// Free, prepared and withheld as this one is.
    pub(super) fn freed(&self) -> Self {
        let blocks = Blocks::Used { checkpoints: 0 };
        Self { prepared: self.prepared, withheld: self.withheld, blocks, ..Self::FREE }
    }

    pub(super) fn is_free(&self) -> bool {
        self.is_vacant() && self.blocks != Blocks::Discarded
    }

    /// Whether it is free, or would be if it were not discarded.
    pub(super) fn is_vacant(&self) -> bool {
        self.state.role == Role::Free && !self.reserved && !self.withheld
    }

    /// Whether neither the index, nor a view, nor a pending move refers to a record in it.
    pub(super) fn is_empty(&self) -> bool {
        let held = self.held > 0 && !seeded(Bug::HeldIgnored);
        self.live == 0 && !held && self.collected != Collected::UnderWay
    }
}

/// A large value's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LargeRun {
    pub(crate) pages: u64,
    pub(crate) incarnation: Incarnation,
    /// Whether the index refers to it.
    pub(crate) live: bool,
    /// Whether only views refer to it.
    pub(crate) held: bool,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) extents: Vec<Extent>,
    /// Free pages of large extents.
    pub(super) runs: FreeRuns,
    /// Those of large extents that are withheld.
    pub(super) withheld: FreeRuns,
    /// Large values, by first page: those that something refers to, or may.
    pub(super) large: BTreeMap<u64, LargeRun>,
    /// First pages of those to which nothing refers any more.
    pub(super) dead: Vec<PageNo>,
    /// Log extents of this life and later ones are kept for the older checkpoint.
    pub(super) kept_from: Incarnation,
    /// Those of this life and later ones, for the newest as well.
    pub(super) newest_from: Incarnation,
    /// Bytes of records that the index referred to once and does no more.
    pub(super) died: u64,
    pub(super) images: Images,
    pub(super) named: Named,
    pub(super) epoch: Epoch,
    pub(super) serial: u64,
}

impl Table {
    pub(super) fn new(pages: u64, extent_pages: u32) -> Self {
        let mut extents = vec![Extent::FREE; extents_in(pages, extent_pages)];
        if let Some(first) = extents.first_mut() {
            first.state.role = Role::Super;
        }
        Self {
            extents,
            runs: FreeRuns::default(),
            withheld: FreeRuns::default(),
            large: BTreeMap::new(),
            dead: Vec::new(),
            kept_from: Incarnation::default(),
            newest_from: Incarnation::default(),
            died: 0,
            images: Images::default(),
            named: Named::UNKNOWN,
            epoch: Epoch(0),
            serial: 0,
        }
    }

    pub(super) fn next_incarnation(&mut self) -> Incarnation {
        self.serial += u64::from(!seeded(Bug::IncarnationReissued) || self.serial == 0);
        Incarnation { epoch: self.epoch, serial: self.serial }
    }

    /// Takes a run of `pages` free pages for a large value, from free extents if need be, of which
    /// it leaves `floor`.
    pub(super) fn take_run(&mut self, pages: u64, extent_pages: u32, floor: usize) -> Option<u64> {
        self.runs.take(pages).or_else(|| {
            self.open_large(pages, extent_pages, floor)?;
            self.runs.take(pages)
        })
    }

    /// Whether a large value of `pages` finds a run, if it leaves `floor` free extents.
    pub(super) fn has_run(&self, pages: u64, extent_pages: u32, floor: usize) -> bool {
        let fits = |(_, count)| self.free() >= count + floor;
        self.runs.longest() >= pages || self.find_free(pages, extent_pages).is_some_and(fits)
    }

    /// Makes large extents of enough adjacent free ones for a run of `pages`.
    fn open_large(&mut self, pages: u64, extent_pages: u32, floor: usize) -> Option<()> {
        let (first, count) = self.find_free(pages, extent_pages)?;
        if self.free() < count + floor {
            return None;
        }
        for number in first..first + count {
            let incarnation = self.next_incarnation();
            let state = ExtentState { role: Role::Large, incarnation };
            self.extents[number] = Extent { state, ..self.extents[number].freed() };
            self.named.take(ExtentNo(number as u32));
        }
        let extent_pages = u64::from(extent_pages);
        self.runs.insert(first as u64 * extent_pages, count as u64 * extent_pages);
        Some(())
    }

    /// The first, and the number, of adjacent free extents for a run of `pages`, together with the
    /// free pages of large extents beside them where there are any: a value that died leaves such a
    /// place to one as long.
    fn find_free(&self, pages: u64, extent_pages: u32) -> Option<(usize, usize)> {
        let need = pages.div_ceil(u64::from(extent_pages)) as usize;
        let joined = self.find_joined(pages, u64::from(extent_pages));
        joined.or_else(|| self.find_adjacent(need).map(|first| (first, need)))
    }

    /// The fewest adjacent free extents that make a run of `pages` with the free pages beside them.
    fn find_joined(&self, pages: u64, extent_pages: u64) -> Option<(usize, usize)> {
        let mut next = 0;
        let chunks = self.extents.chunk_by(|a, b| a.is_free() == b.is_free()).map(|chunk| {
            next += chunk.len();
            (next - chunk.len(), chunk.len())
        });
        let free = chunks.filter(|&(first, _)| self.extents[first].is_free());
        let free = free.map(|(first, count)| (first as u64, count as u64));
        let (first, count) = self.runs.joined(free, pages, extent_pages)?;
        Some((first as usize, count as usize))
    }

    /// Pages of large extents are free from now on.
    pub(super) fn add_free(&mut self, start: u64, pages: u64, extent_pages: u32) {
        for extent in extents_of(start, pages, extent_pages) {
            let (from, end) = pages_of(extent, extent_pages);
            let (from, end) = (from.max(start), end.min(start + pages));
            self.runs_of(extent).insert(from, end - from);
        }
    }

    /// Where the free pages of a large extent are.
    pub(super) fn runs_of(&mut self, extent: ExtentNo) -> &mut FreeRuns {
        match self.extents[extent.0 as usize].withheld {
            true => &mut self.withheld,
            false => &mut self.runs,
        }
    }

    /// The first of `need` adjacent free extents: of as few as there are together. Some prepared ones
    /// are left to the log where others will do.
    pub(super) fn find_adjacent(&self, need: usize) -> Option<usize> {
        let fits = |fits: &dyn Fn(&Extent) -> bool| {
            let mut next = 0;
            let together = self.extents.chunk_by(|a, b| fits(a) == fits(b)).map(|chunk| {
                next += chunk.len();
                (chunk.len(), next - chunk.len())
            });
            let long = together.filter(|&(len, first)| len >= need && fits(&self.extents[first]));
            long.min().map(|(_, first)| first)
        };
        let spares_prepared = self.spares_prepared();
        fits(&|extent| extent.is_free() && !(extent.prepared && spares_prepared))
            .or_else(|| fits(&|extent| extent.is_free()))
    }

    /// Free extents.
    pub(super) fn free(&self) -> usize {
        self.extents.iter().filter(|extent| extent.is_free()).count()
    }

    /// Sets a free extent aside for the log, unless that leaves fewer than `floor`: a prepared one if there
    /// is one; but where most are free the first, so that the end of a file comes to be free.
    pub(super) fn reserve(&mut self, floor: usize) -> Option<ExtentNo> {
        let mut free = numbered(&self.extents).filter(|(_, extent)| extent.is_free());
        let (mut chosen, first) = free.next()?;
        let (mut count, mut prepared) = (1, first.prepared);
        let first = chosen;
        for (number, extent) in free {
            count += 1;
            if extent.prepared && !prepared {
                (chosen, prepared) = (number, true);
            }
        }
        if count * 2 > self.extents.len() {
            chosen = first;
        }
        (count > floor).then(|| {
            self.extents[chosen.0 as usize].reserved = true;
            self.named.take(chosen);
            chosen
        })
    }

    /// Whether there are so few prepared free extents that the log should have them.
    fn spares_prepared(&self) -> bool {
        let prepared = self.extents.iter().filter(|extent| extent.is_free() && extent.prepared);
        prepared.count() <= PREPARED_FOR_LOG
    }

    /// Takes the first free extent for `state`, so that the end of a file comes to be free, unless that
    /// leaves fewer than `floor`. Some prepared ones are left to the log where others will do.
    pub(super) fn take_free(&mut self, state: ExtentState, floor: usize) -> Option<ExtentNo> {
        let spares_prepared = self.spares_prepared();
        let mut free = numbered(&self.extents).filter(|(_, extent)| extent.is_free());
        let is_for_log = |extent: &Extent| extent.prepared && spares_prepared;
        let (mut chosen, first) = free.next()?;
        let (mut count, mut for_log) = (1, is_for_log(first));
        for (number, extent) in free {
            count += 1;
            if for_log && !is_for_log(extent) {
                (chosen, for_log) = (number, false);
            }
        }
        (count > floor).then(|| {
            let entry = &mut self.extents[chosen.0 as usize];
            *entry = Extent { state, ..entry.freed() };
            self.named.take(chosen);
            chosen
        })
    }

    /// Takes back extents of an image.
    pub(super) fn free_image(&mut self, extents: &[ExtentNo]) {
        for extent in extents {
            let entry = &mut self.extents[extent.0 as usize];
            assert_eq!(entry.state.role, Role::Checkpoint, "C4: only images are given up here");
            *entry = entry.freed();
        }
    }

    /// Whether it is of the log that the older checkpoint needs.
    pub(super) fn keeps(&self, extent: &Extent) -> bool {
        extent.state.role == Role::Log && extent.state.incarnation >= self.kept_from
    }

    /// Log extents that only the older checkpoint keeps.
    pub(super) fn kept_by_older(&self) -> impl Iterator<Item = &Extent> {
        let kept = self.extents.iter().filter(|extent| self.keeps(extent));
        kept.filter(|extent| extent.state.incarnation < self.newest_from)
    }

    /// Log extents that the newest checkpoint keeps, and one that begins in `settled` would not.
    pub(super) fn kept_by_newest(&self, settled: ExtentNo) -> impl Iterator<Item = &Extent> {
        let next_from = self.extents[settled.0 as usize].state.incarnation;
        let kept = self.extents.iter().filter(|extent| self.keeps(extent));
        kept.filter(move |extent| (self.newest_from..next_from).contains(&extent.state.incarnation))
    }

    /// The life of the log extent that is written to.
    pub(super) fn tail_life(&self) -> Incarnation {
        let log = self.extents.iter().filter(|extent| extent.state.role == Role::Log);
        log.map(|extent| extent.state.incarnation).max().unwrap_or_default()
    }

    /// Whether it holds records, takes no more, and no checkpoint needs it.
    pub(super) fn is_settled(&self, extent: &Extent) -> bool {
        let is_past = match extent.state.role {
            Role::Log => !self.keeps(extent),
            Role::Value => !extent.open,
            _ => false,
        };
        is_past && !extent.retired
    }

    /// G5: extents in which nothing is live are free, and so are pages of large extents that no
    /// value holds.
    pub(super) fn derive_free(
        &mut self,
        extent_pages: u32,
        liveness: &Liveness,
        kept: &RangeInclusive<Incarnation>,
    ) -> bool {
        (self.kept_from, self.newest_from) = (*kept.start(), *kept.start());
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
            if extent.live > 0 && !matches!(extent.state.role, Role::Log | Role::Value) {
                return false;
            }
            match extent.state.role {
                Role::Large if used[number] => self.runs.insert(number as u64 * pages, pages),
                Role::Large => *extent = extent.freed(),
                // Those after the end of the log never came to be.
                Role::Log if extent.live == 0 && !kept.contains(&extent.state.incarnation) => {
                    *extent = extent.freed();
                }
                Role::Value if extent.live == 0 => *extent = extent.freed(),
                _ => {}
            }
        }
        self.large.iter().all(|(&start, run)| self.runs.remove(start, run.pages))
    }
}

pub(super) fn numbered(extents: &[Extent]) -> impl Iterator<Item = (ExtentNo, &Extent)> {
    extents.iter().enumerate().map(|(number, extent)| (ExtentNo(number as u32), extent))
}

pub(super) fn extents_in(pages: u64, extent_pages: u32) -> usize {
    (pages / u64::from(extent_pages)) as usize
}

/// The first page of an extent, and the one after its last.
pub(super) fn pages_of(extent: ExtentNo, extent_pages: u32) -> (u64, u64) {
    let pages = u64::from(extent_pages);
    (u64::from(extent.0) * pages, (u64::from(extent.0) + 1) * pages)
}

/// The extents that `pages` pages from `start` on touch.
pub(super) fn extents_of(
    start: u64,
    pages: u64,
    extent_pages: u32,
) -> impl Iterator<Item = ExtentNo> {
    let extent_pages = u64::from(extent_pages);
    let last = (start + pages - 1) / extent_pages;
    (start / extent_pages..=last).map(|extent| ExtentNo(extent as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(serial: u64) -> Incarnation {
        Incarnation { epoch: Epoch(1), serial }
    }

    /// Serials of the log extents 1 to 6, of which those from `older` and `newest` on are kept: those
    /// that only the older checkpoint keeps, and those that another would not that begins in `settled`.
    fn kept(older: u64, newest: u64, settled: u32) -> [Vec<u64>; 2] {
        let mut table = Table::new(80, 10);
        for serial in 1..=6 {
            let state = ExtentState { role: Role::Log, incarnation: life(serial) };
            table.extents[serial as usize].state = state;
        }
        (table.kept_from, table.newest_from) = (life(older), life(newest));
        let serial = |extent: &Extent| extent.state.incarnation.serial;
        let by_newest = table.kept_by_newest(ExtentNo(settled)).map(serial).collect();
        [table.kept_by_older().map(serial).collect(), by_newest]
    }

    #[test]
    fn each_checkpoint_keeps_the_log_up_to_the_next() {
        assert_eq!(kept(2, 4, 6), [vec![2, 3], vec![4, 5]]);
        assert_eq!(kept(5, 6, 6), [vec![5], vec![]]);
        assert_eq!(kept(3, 3, 6), [vec![], vec![3, 4, 5]]);
    }

    /// Nothing is durable yet in the extent that the log went on to: a checkpoint would begin where the
    /// newest does, and another would be no better, however often.
    #[test]
    fn a_checkpoint_that_begins_where_the_newest_does_is_of_no_use() {
        assert_eq!(kept(2, 5, 5), [vec![2, 3, 4], vec![]]);
        assert_eq!(kept(2, 4, 5), [vec![2, 3], vec![4]]);
    }

    /// G3: another record could come to be where a pending move expects the one that it names.
    #[test]
    fn what_pending_moves_name_is_not_empty() {
        let emptied = |collected| Extent { collected, ..Extent::FREE }.is_empty();
        assert!(emptied(Collected::No) && emptied(Collected::Done));
        assert!(!emptied(Collected::UnderWay));
    }
}
