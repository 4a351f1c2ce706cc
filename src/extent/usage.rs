//! What the extents are used for, and how well.

use super::space::Space;
#[cfg(test)]
use super::table::numbered;
use super::table::{Collected, Extent, Table};
use crate::format::extent_state::Role;
use crate::format::ids::Incarnation;

/// Numbers of extents, but for what is said to be bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) log: u64,
    pub(crate) value: u64,
    pub(crate) large: u64,
    pub(crate) image: u64,
    pub(crate) free: u64,
    /// All but the free ones and that of the superblocks.
    pub(crate) used: u64,
    /// Those that hold records beside their keys and take no more, without those that views hold on
    /// to; and the bytes of live records in them.
    pub(crate) settled: u64,
    pub(crate) settled_live: u64,
    /// Log extents that the older checkpoint keeps, and the bytes of live records in them.
    pub(crate) kept: u64,
    pub(crate) kept_live: u64,
    /// Those with records that only views refer to.
    pub(crate) held: u64,
    /// Free ones that were discarded.
    pub(crate) discarded: u64,
    /// Those with live records that could not be read.
    pub(crate) set_aside: u64,
}

impl Space {
    /// How the extents are used.
    pub(crate) fn usage(&self) -> Usage {
        let table = self.table.read();
        let tail = table.tail_life();
        let mut usage = Usage::default();
        for extent in &table.extents {
            usage.count(extent, &table, tail);
        }
        usage
    }
}

#[cfg(test)]
impl Space {
    /// Numbers of the large extents with pages that are neither free nor of a value: nobody would come
    /// to free them.
    pub(crate) fn with_lost_pages(&self) -> Vec<u32> {
        let table = self.table.read();
        let pages = u64::from(self.extent_pages);
        let free = table.runs.all().chain(table.withheld.all());
        let values = table.large.iter().map(|(&start, run)| (start, run.pages));
        let mut known = vec![0; table.extents.len()];
        for (start, count) in free.chain(values) {
            (start..start + count).for_each(|page| known[(page / pages) as usize] += 1);
        }
        let large = numbered(&table.extents)
            .filter(|(_, extent)| extent.state.role == Role::Large && !extent.retired);
        large
            .map(|(number, _)| number.0)
            .filter(|&number| known[number as usize] != pages)
            .collect()
    }
}

impl Usage {
    fn count(&mut self, extent: &Extent, table: &Table, tail: Incarnation) {
        let role = extent.state.role;
        let of_role = match role {
            Role::Log => &mut self.log,
            Role::Value => &mut self.value,
            Role::Large => &mut self.large,
            Role::Checkpoint => &mut self.image,
            Role::Free if !extent.reserved => &mut self.free,
            Role::Free | Role::Super => return self.used += u64::from(extent.reserved),
        };
        *of_role += 1;
        self.discarded += u64::from(extent.is_vacant() && !extent.is_free());
        self.used += u64::from(role != Role::Free);
        self.held += u64::from(extent.held > 0);
        self.set_aside += u64::from(extent.live > 0 && extent.collected == Collected::Done);
        let holds_records = matches!(role, Role::Log | Role::Value);
        let is_open = extent.open || (role == Role::Log && extent.state.incarnation == tail);
        if holds_records && !is_open && extent.held == 0 {
            self.settled += 1;
            self.settled_live += extent.live;
        }
        if table.keeps(extent) {
            self.kept += 1;
            self.kept_live += extent.live;
        }
    }
}
