//! Giving the end of a file back, where nothing is in it and nothing that an open may start from names
//! it.
//!
//! A checkpoint names extents in its image and in the log after its anchor. Those that were free when
//! its anchor was chosen, and have not been taken since, it does not: whatever is free has been through
//! quarantine, so all records that name it are before the anchor (G3). So what has stayed free since
//! before the older checkpoint can go (S2). See docs/design.md, section 13.

use super::reserve::Claim;
use super::space::{Space, bytes_of};
use super::table::{Extent, Table};
use crate::error::Result;
use crate::format::extent_state::Role;
use crate::format::ids::ExtentNo;
use crate::seeded::{Bug, seeded};

/// The part of the file that must be to give back: less where somebody asks for it.
const LEAST_PART: usize = 4;
const LEAST_PART_ASKED: usize = 8;
/// The least in extents: what a file grows by at least, so that growing and shrinking do not take turns.
const LEAST_EXTENTS: usize = 4;
/// The part of what is left of the file that is free beside what puts leave, for what comes next.
const SPARE_PART: usize = 8;

/// How much of a file is worth giving back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    /// Where nobody asked for it.
    Much,
    /// Where somebody did.
    Some,
}

impl Worth {
    /// The fewest extents of `extents`.
    fn least(self, extents: usize) -> usize {
        let part = match self {
            Self::Much => LEAST_PART,
            Self::Some => LEAST_PART_ASKED,
        };
        (extents / part).max(LEAST_EXTENTS)
    }
}

/// Up to which extent of the volume checkpoints name some.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    /// The one that is being written, should it come to be in force.
    next: usize,
    newest: usize,
    /// The older one, or the newest where that is the only one.
    older: usize,
}

impl Named {
    /// Nothing is known of them.
    pub(super) const UNKNOWN: Self =
        Self { next: usize::MAX, newest: usize::MAX, older: usize::MAX };

    /// The checkpoint that begins names no extent from `used` on.
    fn begin(&mut self, used: usize) {
        self.next = used;
    }

    fn put_in_force(&mut self) {
        (self.older, self.newest) = (self.newest, self.next);
    }

    fn give_up_older(&mut self) {
        self.older = self.newest;
    }

    /// `extent` is taken: whatever begins before names it.
    pub(super) fn take(&mut self, extent: ExtentNo) {
        if !seeded(Bug::TakenUnnoticed) {
            let end = extent.0 as usize + 1;
            self.next = self.next.max(end);
            self.newest = self.newest.max(end);
            self.older = self.older.max(end);
        }
    }
}

impl Table {
    /// Extents up to the last that is in use.
    fn used_to(&self) -> usize {
        let last = self.extents.iter().rposition(|extent| !extent.is_vacant());
        last.map_or(0, |last| last + 1)
    }

    /// Extents up to the last that would not be free before long if the log went on elsewhere, checkpoints
    /// were replaced, and what has `gain` bytes of garbage was collected.
    fn kept_to(&self, whole: u64, gain: u64) -> usize {
        let stays = |extent: &Extent| match extent.state.role {
            Role::Super | Role::Large => true,
            Role::Log | Role::Value => extent.live + extent.held + gain > whole,
            Role::Checkpoint => false,
            Role::Free => extent.withheld,
        };
        self.extents.iter().rposition(stays).map_or(0, |last| last + 1)
    }

    /// Extents of the file once its end is given back, which begins at `from` or after it, if it leaves at
    /// least `least` of them and `floor` free ones beside those for what comes next.
    fn shorter(&self, from: usize, least: usize, floor: usize, worth: Worth) -> Option<usize> {
        let len = self.extents.len();
        let mut extents = from.max(least);
        let head = &self.extents[..extents.min(len)];
        let mut free = head.iter().filter(|extent| extent.is_vacant()).count();
        while extents < len && free < floor + (extents / SPARE_PART).max(LEAST_EXTENTS) {
            free += usize::from(self.extents[extents].is_vacant());
            extents += 1;
        }
        (extents.saturating_add(worth.least(len)) <= len).then_some(extents)
    }
}

impl Space {
    /// A checkpoint begins: its anchor is yet to be chosen.
    pub(crate) fn begin_image(&self) {
        let mut table = self.table.write();
        let used = table.used_to();
        table.named.begin(used);
    }

    /// The extent from which on the end of the file could be given back, if what is there for a while were
    /// elsewhere, and extents with `gain` bytes of garbage were collected.
    pub(crate) fn end_to_empty(&self, worth: Worth, gain: u64) -> Option<ExtentNo> {
        let table = self.table.read();
        let kept = table.kept_to(bytes_of(u64::from(self.extent_pages)), gain);
        self.shorter_by(&table, worth, kept).map(|extents| ExtentNo(extents as u32))
    }

    /// Gives the end of the file back, where that is worth it and nothing names it. Whether it did.
    /// `write_superblocks` writes both, with the length that the volume has by then.
    pub(crate) fn shrink(
        &self,
        worth: Worth,
        write_superblocks: impl FnOnce() -> Result<()>,
    ) -> Result<bool> {
        let _nobody_grows_it = self.growing.lock();
        let shorter = self.change(|table| {
            let named = if seeded(Bug::NamedGivenBack) { 0 } else { table.named.older };
            let from = named.max(table.used_to());
            let extents = self.shorter_by(table, worth, from)?;
            table.extents.truncate(extents);
            Some(extents as u64 * u64::from(self.extent_pages))
        });
        let Some(pages) = shorter else { return Ok(false) };
        self.volume.shrink(pages, write_superblocks)?;
        Ok(true)
    }

    fn shorter_by(&self, table: &Table, worth: Worth, from: usize) -> Option<usize> {
        let least =
            (self.least_pages / u64::from(self.extent_pages)).try_into().unwrap_or(usize::MAX);
        let floor = table.floor(Claim::LargePut, self.image_extents(Claim::LargePut));
        table.shorter(from, least, floor, worth)
    }
}

impl Table {
    /// The image under way came to be in force.
    pub(super) fn name_newest(&mut self) {
        self.named.put_in_force();
    }

    /// Only the newest image is in force.
    pub(super) fn name_newest_only(&mut self) {
        self.named.give_up_older();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::extent_state::ExtentState;

    /// A table of so many extents, of which the `used` ones hold something.
    fn table(extents: u64, used: &[usize]) -> Table {
        let mut table = Table::new(extents * 10, 10);
        for &number in used {
            let state = ExtentState { role: Role::Value, ..ExtentState::FREE };
            table.extents[number] = Extent { state, ..Extent::FREE };
        }
        table
    }

    #[test]
    fn the_free_end_goes_but_for_what_comes_next() {
        let shorter = |used: &[usize], named: usize, floor, worth| {
            let table = table(64, used);
            table.shorter(named.max(table.used_to()), 8, floor, worth)
        };
        assert_eq!(shorter(&[1, 2, 20], 0, 0, Worth::Much), Some(21));
        assert_eq!(shorter(&[1, 2], 0, 0, Worth::Much), Some(8));
        // Something names extents up to there.
        assert_eq!(shorter(&[1, 2], 30, 0, Worth::Much), Some(30));
        assert_eq!(shorter(&[1, 2], usize::MAX, 0, Worth::Much), None);
        // Little of it is not worth it, unless somebody asks.
        assert_eq!(shorter(&[50], 0, 0, Worth::Much), None);
        assert_eq!(shorter(&[50], 0, 0, Worth::Some), Some(51));
        assert_eq!(shorter(&[60], 0, 0, Worth::Some), None);
        // As much is left free as puts leave, and an eighth.
        let all_before: Vec<_> = (1..24).collect();
        assert_eq!(shorter(&all_before, 0, 0, Worth::Much), Some(28));
        assert_eq!(shorter(&all_before, 0, 6, Worth::Much), Some(34));
    }

    #[test]
    fn what_was_taken_since_the_older_checkpoint_began_is_named() {
        let mut named = Named::UNKNOWN;
        for used in [9, 5] {
            named.begin(used);
            named.put_in_force();
        }
        assert_eq!((named.newest, named.older), (5, 9));
        named.take(ExtentNo(6));
        assert_eq!((named.newest, named.older), (7, 9));
        named.take(ExtentNo(11));
        assert_eq!((named.newest, named.older), (12, 12));
        named.begin(3);
        named.take(ExtentNo(4));
        named.put_in_force();
        assert_eq!((named.newest, named.older), (5, 12));
        named.give_up_older();
        assert_eq!(named.older, 5);
    }
}
