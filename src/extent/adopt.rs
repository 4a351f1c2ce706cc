//! The extent table as an open finds it: from the image, the log, and the index.

use super::discard::Blocks;
use super::liveness::{KeptCounts, Liveness};
use super::space::Space;
use super::table::{Extent, Table};
use crate::format::extent_state::{ExtentState, Role};
use crate::format::ids::{ExtentNo, Incarnation, PageNo};
use crate::seeded::{Bug, seeded};
use crate::sync::Ordering;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

impl Space {
    /// The log is in `extent`; replay found it there. False if it cannot be.
    pub(crate) fn adopt_log_extent(&self, extent: ExtentNo, incarnation: Incarnation) -> bool {
        let state = ExtentState { role: Role::Log, incarnation };
        self.adopt(extent, state, |known| known <= incarnation)
    }

    /// Whether nothing has been adopted since that says something else of an extent of the log.
    pub(crate) fn is_log_extent(&self, extent: ExtentNo, incarnation: Incarnation) -> bool {
        let state = ExtentState { role: Role::Log, incarnation };
        let table = self.table.read();
        table.extents.get(extent.0 as usize).is_some_and(|entry| entry.state == state)
    }

    /// An image lists an extent, or the log announces it; what is newer is known already. False
    /// if it cannot be.
    pub(crate) fn adopt_extent(&self, extent: ExtentNo, state: ExtentState) -> bool {
        let holds_records = matches!(state.role, Role::Log | Role::Value | Role::Large);
        holds_records && (self.is_of_image(extent) || self.adopt(extent, state, |_| true))
    }

    /// Whether an image is in `extent` by now: what was there before has become of no use since.
    fn is_of_image(&self, extent: ExtentNo) -> bool {
        let table = self.table.read();
        let entry = table.extents.get(extent.0 as usize);
        entry.is_some_and(|entry| entry.state.role == Role::Checkpoint)
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
            let (prepared, announced) = (state.role == Role::Log, state.role != Role::Log);
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
            && (entry.state.role == Role::Free || seeded(Bug::StoredFreeMap))
        {
            entry.prepared = true;
            entry.blocks = Blocks::Unused;
            entry.state.role = Role::Free;
        }
    }

    /// The tail's successor is `extent`. False if that cannot be.
    pub(crate) fn adopt_successor(&self, extent: ExtentNo) -> bool {
        let mut table = self.table.write();
        let Some(entry) = table.extents.get_mut(extent.0 as usize) else { return false };
        entry.reserved = true;
        entry.state.role == Role::Free
    }

    /// Forgets what was adopted: another checkpoint tells it.
    pub(crate) fn forget(&self) {
        *self.table.write() = Table::new(self.volume.len_pages(), self.extent_pages);
    }

    /// What is kept of live bytes. Nothing may be applied meanwhile.
    pub(crate) fn kept_counts(&self) -> KeptCounts {
        let table = self.table.read();
        let live = table.large.iter().filter(|(_, run)| run.live);
        KeptCounts {
            total: self.live_bytes(),
            extents: table.extents.iter().map(|extent| extent.live).collect(),
            large: live.map(|(&page, _)| PageNo(page)).collect(),
        }
    }

    /// Makes what is kept of one extent, and of a large value, wrong.
    #[cfg(test)]
    pub(crate) fn miscount(&self, extent: ExtentNo, value: PageNo) {
        let mut table = self.table.write();
        table.extents[extent.0 as usize].live += 8;
        table.large.get_mut(&value.0).expect("a value is there").live = false;
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
}
