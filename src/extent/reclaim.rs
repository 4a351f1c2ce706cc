//! Space that nothing refers to any more, on its way to being used again (G3).
//!
//! What is empty is *retired* first: it takes no more, and it is not free yet. Whoever retires it
//! frees it when no crash can bring back a reference, and nobody who looked one up before is left.

use super::space::{Allocation, Space, bytes_of};
use super::table::{Collected, LargeRun, Table, extents_of, numbered, pages_of};
use crate::format::extent_state::{ExtentState, Role};
use crate::format::ids::{ExtentNo, Incarnation, PageNo};
use crate::seeded::{Bug, seeded};

/// Something that nothing refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retired {
    Extent(ExtentNo),
    /// A large value, by its first page.
    Run(PageNo),
}

/// An extent that might be collected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) extent: ExtentNo,
    pub(crate) state: ExtentState,
    /// Bytes of its live records.
    pub(crate) live: u64,
    /// How much faster than elsewhere what is live in it dies.
    pub(crate) heat: f64,
}

impl Table {
    /// Large extents among those of these pages are free if no value lies in them, nor is one on
    /// its way: whatever lay in them was retired by itself (G3).
    fn free_vacant(&mut self, page: PageNo, pages: u64, extent_pages: u32) {
        for extent in extents_of(page.0, pages, extent_pages) {
            let (start, end) = pages_of(extent, extent_pages);
            if self.runs_of(extent).remove(start, end - start) {
                let entry = &mut self.extents[extent.0 as usize];
                *entry = entry.freed();
            }
        }
    }
}

impl Space {
    /// A view lets go of a record beside its key in `extent`.
    pub(crate) fn release_record(&self, extent: ExtentNo, bytes: u64) {
        let held = &mut self.table.write().extents[extent.0 as usize].held;
        *held = held.checked_sub(bytes).expect("G3: what views hold is exact");
    }

    /// A view lets go of a large value.
    pub(crate) fn release_large(&self, page: PageNo) {
        let mut table = self.table.write();
        if let Some(run) = table.large.get_mut(&page.0) {
            run.held = false;
            if !run.live {
                table.dead.push(page);
            }
        }
    }

    /// A record refers to a large value, and did not take effect.
    pub(crate) fn lose_large(&self, allocation: &Allocation) {
        let &Allocation { page, pages, incarnation, .. } = allocation;
        let mut table = self.table.write();
        table.large.insert(page.0, LargeRun { pages, incarnation, live: false, held: false });
        table.dead.push(page);
    }

    /// Log extents of lives before `older` are of no use to a checkpoint any more (W3), and those
    /// before `newest` will not be once there is another.
    pub(crate) fn keep_log_from(&self, older: Incarnation, newest: Incarnation) {
        let mut table = self.table.write();
        (table.kept_from, table.newest_from) = (older, newest);
    }

    /// What the collector need not move, in bytes, once the older checkpoint is given up, where
    /// `price` bytes are moved otherwise for each that is gained.
    pub(crate) fn saved_without_older(&self, price: f64) -> f64 {
        self.table.read().kept_by_older().map(|extent| self.saved(extent.live, price)).sum()
    }

    /// The same, once there is another checkpoint, and only that. It would begin in `settled`.
    pub(crate) fn saved_by_checkpoint(&self, price: f64, settled: ExtentNo) -> f64 {
        let table = self.table.read();
        table.kept_by_newest(settled).map(|extent| self.saved(extent.live, price)).sum()
    }

    /// What need not be moved elsewhere if an extent of so many `live` bytes can be collected.
    fn saved(&self, live: u64, price: f64) -> f64 {
        let (whole, live) = (bytes_of(u64::from(self.extent_pages)) as f64, live as f64);
        ((whole - live) * price - live).max(0.0)
    }

    /// Bytes of garbage in an extent of which so many are written, if its life is one up to `since` and
    /// no view holds on to it.
    pub(crate) fn garbage_in(
        &self,
        extent: ExtentNo,
        written: u64,
        since: Incarnation,
    ) -> Option<u64> {
        let entry = self.table.read().extents[extent.0 as usize];
        let may_move = entry.held == 0 && entry.state.incarnation <= since;
        may_move.then(|| written.saturating_sub(entry.live))
    }

    /// Whether nothing is live in some extent of the log before `last`: no checkpoint after it needs
    /// it.
    pub(crate) fn has_emptied_before(&self, last: ExtentNo) -> bool {
        let table = self.table.read();
        let end = table.extents[last.0 as usize].state.incarnation;
        table.extents.iter().any(|extent| {
            let is_before = extent.state.role == Role::Log && extent.state.incarnation < end;
            is_before && extent.is_empty()
        })
    }

    /// Whether checkpoints keep log before `last`, of lives up to `since`, with garbage of at least
    /// `gain` bytes in an extent.
    pub(crate) fn keeps_garbage_before(
        &self,
        last: ExtentNo,
        since: Incarnation,
        gain: u64,
    ) -> bool {
        let table = self.table.read();
        let end = table.extents[last.0 as usize].state.incarnation;
        let whole = bytes_of(u64::from(self.extent_pages));
        table.extents.iter().any(|extent| {
            let life = extent.state.incarnation;
            let is_before = table.keeps(extent) && life < end && life <= since;
            is_before && extent.live + extent.held + gain <= whole
        })
    }

    /// Takes out of use what nothing refers to. The log still needs those that are `busy`.
    pub(crate) fn retire(&self, busy: impl Fn(ExtentNo) -> bool) -> Vec<Retired> {
        let mut table = self.table.write();
        let table = &mut *table;
        let mut retired: Vec<_> = table.dead.drain(..).map(Retired::Run).collect();
        let pages = u64::from(self.extent_pages);
        for (number, extent) in table.extents.iter_mut().enumerate() {
            let number = ExtentNo(number as u32);
            let runs = if extent.withheld { &mut table.withheld } else { &mut table.runs };
            let gone = !extent.retired
                && match extent.state.role {
                    Role::Log => {
                        extent.is_empty()
                            && (extent.state.incarnation < table.kept_from
                                || seeded(Bug::KeptLogIgnored))
                            && !busy(number)
                    }
                    Role::Value => extent.is_empty() && !extent.open,
                    // No value lies in it, nor is one on its way.
                    Role::Large => runs.remove(u64::from(number.0) * pages, pages),
                    _ => false,
                };
            if gone {
                extent.retired = true;
                retired.push(Retired::Extent(number));
            }
        }
        retired
    }

    /// Frees what was retired.
    pub(crate) fn free(&self, retired: &[Retired]) {
        let pages = self.extent_pages;
        self.change(|table| retired.iter().for_each(|it| table.free_retired(*it, pages)));
    }

    /// Extents that may be collected: with garbage in them, no log that is kept, and nothing that
    /// views refer to. The log still needs those that are `busy`.
    pub(crate) fn candidates(&self, busy: impl Fn(ExtentNo) -> bool) -> Vec<Candidate> {
        let table = self.table.read();
        let all_live = self.live_bytes();
        numbered(&table.extents)
            .filter(|(number, extent)| {
                table.is_settled(extent)
                    && extent.held == 0
                    && extent.live > 0
                    && extent.collected == Collected::No
                    && !busy(*number)
            })
            .map(|(number, extent)| Candidate {
                extent: number,
                state: extent.state,
                live: extent.live,
                heat: extent.heat.relative(table.died, all_live, extent.live),
            })
            .collect()
    }

    /// The collector begins with `extent`; false if nothing of the life that `state` says is live in it
    /// any more.
    pub(crate) fn begin_collecting(&self, extent: ExtentNo, state: ExtentState) -> bool {
        let entry = &mut self.table.write().extents[extent.0 as usize];
        let is_live = entry.state == state && entry.live > 0;
        if is_live {
            entry.collected = Collected::UnderWay;
        }
        is_live
    }

    /// How far the collector has come with `extent`. Bytes of it that are live.
    pub(crate) fn set_collected(&self, extent: ExtentNo, collected: Collected) -> u64 {
        let entry = &mut self.table.write().extents[extent.0 as usize];
        entry.collected = collected;
        entry.live
    }
}

impl Table {
    fn free_retired(&mut self, retired: Retired, extent_pages: u32) {
        match retired {
            Retired::Extent(extent) => {
                let entry = &mut self.extents[extent.0 as usize];
                assert!(entry.retired && entry.is_empty(), "G3: nothing refers to it");
                *entry = entry.freed();
            }
            Retired::Run(page) => {
                let run = self.large.remove(&page.0).expect("a dead value is known");
                assert!(!run.live && !run.held, "G3: nothing refers to it");
                self.add_free(page.0, run.pages, extent_pages);
                self.free_vacant(page, run.pages, extent_pages);
            }
        }
    }
}
