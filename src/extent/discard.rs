//! Giving back the blocks of free extents, where that is asked for.
//!
//! What was discarded is not free: it is like space to which the volume has not grown yet. Whoever wants
//! it has the file system allocate it first, when nothing has a number yet, so that no write meets a full
//! disk (S1); and the log has it prepared again. Nothing of that is stored: where there may be holes, an
//! open takes all that is free for discarded, but for what a superblock lists as prepared; and that is
//! not discarded before neither superblock does.

use super::reserve::Claim;
use super::space::Space;
use super::table::{Extent, Table, numbered};
use crate::error::{Error, Result};
use crate::format::extent_state::Role;
use crate::format::ids::{ExtentNo, PageNo};
use crate::seeded::{Bug, seeded};
use crate::sync::Ordering;

/// Extents that are discarded, or allocated again, at a time: the volume cannot grow meanwhile.
const AT_ONCE: usize = 8;
/// Fewer are not worth it unless somebody asks.
const LEAST: usize = 4;
/// The part of the extents, and the least of them, that stay allocated beside what puts leave.
const SPARE_PART: usize = 8;
const LEAST_SPARE: usize = 4;
/// Checkpoints that came into force since an extent was freed, before its blocks are given back.
const STAYED_FREE: u8 = 2;

/// What the file system has of a free extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocks {
    /// Allocated ones, in which nothing was since the open.
    Unused,
    /// Those of what is there, or was, and has been gone for so many checkpoints.
    Used { checkpoints: u8 },
    /// None.
    Discarded,
}

impl Table {
    /// Another checkpoint is in force.
    pub(super) fn age_free(&mut self) {
        for extent in self.extents.iter_mut().filter(|extent| extent.is_free()) {
            if let Blocks::Used { checkpoints } = &mut extent.blocks {
                *checkpoints = checkpoints.saturating_add(1);
            }
        }
    }

    /// Takes extents to discard, the last ones, of which none is listed as prepared from now on, beside
    /// the first `kept` free ones; with whether one was.
    fn take_to_discard(&mut self, kept: usize, asked: bool) -> (Vec<ExtentNo>, bool) {
        let is_due = |extent: &Extent| match extent.blocks {
            Blocks::Used { checkpoints } => asked || checkpoints >= STAYED_FREE,
            Blocks::Unused | Blocks::Discarded => false,
        };
        let free = numbered(&self.extents).filter(|(_, extent)| extent.is_free());
        let due = free.skip(kept).filter(|(_, extent)| is_due(extent));
        let mut due: Vec<_> = due.map(|(number, _)| number).collect();
        if due.len() < LEAST && !asked {
            due.clear();
        }
        let due = due.split_off(due.len().saturating_sub(AT_ONCE));
        let mut was_prepared = false;
        for number in &due {
            let extent = &mut self.extents[number.0 as usize];
            was_prepared |= extent.prepared;
            (extent.prepared, extent.blocks) = (false, Blocks::Discarded);
        }
        (due, was_prepared)
    }

    /// Those that are discarded.
    fn discarded(&self) -> impl Iterator<Item = ExtentNo> {
        let is_gone = |extent: &Extent| extent.is_vacant() && extent.blocks == Blocks::Discarded;
        let gone = numbered(&self.extents).filter(move |(_, extent)| is_gone(extent));
        gone.map(|(number, _)| number)
    }

    /// Extents that would be free if they were not discarded.
    pub(super) fn count_discarded(&self) -> u64 {
        self.discarded().count() as u64
    }
}

impl Space {
    /// The same volume, of which free extents are discarded if it `discards`. Where it may have holes, all
    /// that is free at an open is taken for one.
    pub(crate) fn discarding(mut self, discards: bool, may_have_holes: bool) -> Self {
        (self.discards, self.may_have_holes) = (discards, may_have_holes);
        self
    }

    /// Whether the device does not take blocks back.
    pub(crate) fn cannot_discard(&self) -> bool {
        self.cannot_discard.load(Ordering::Relaxed)
    }

    /// At an open: what is free may be a hole, but for what the superblock is found to list as prepared.
    /// That the log was there once says nothing, as it may have been discarded since.
    pub(crate) fn expect_holes(&self) {
        if self.may_have_holes && !seeded(Bug::HolesForgotten) {
            let mut table = self.table.write();
            for extent in table.extents.iter_mut().filter(|it| it.state.role == Role::Free) {
                // The successor was set aside when it was free, so it is none.
                let is_free = extent.is_free();
                extent.prepared = false;
                extent.blocks = if is_free { Blocks::Discarded } else { extent.blocks };
            }
        }
    }

    /// Discards some extents that have been free for a while, or for any time if somebody `asked`. Whether
    /// it did. `write_superblocks` writes both.
    pub(crate) fn discard(
        &self,
        asked: bool,
        write_superblocks: impl FnOnce() -> Result<()>,
    ) -> Result<bool> {
        if !self.discards || self.cannot_discard() {
            return Ok(false);
        }
        let _nobody_allocates = self.growing.lock();
        if seeded(Bug::DiscardedBeforeFree) {
            let table = self.table.read();
            for (&page, run) in table.large.iter().filter(|(_, run)| !run.live && !run.held) {
                self.volume.discard(PageNo(page), run.pages)?;
            }
        }
        let (extents, was_prepared) = self.change(|table| {
            let floor = table.floor(Claim::LargePut, self.image_extents(Claim::LargePut));
            let spare = (table.extents.len() / SPARE_PART).max(LEAST_SPARE);
            table.take_to_discard(floor + spare, asked)
        });
        if was_prepared && !seeded(Bug::PreparedDiscarded) {
            write_superblocks()?;
        }
        for extent in &extents {
            let (page, pages) = self.place(*extent);
            match self.volume.discard(page, pages) {
                Ok(()) => {}
                Err(Error::Closed) => return Err(Error::Closed),
                // They are allocated again where they are wanted, which does nothing then.
                Err(_) => self.cannot_discard.store(true, Ordering::Relaxed),
            }
        }
        Ok(!extents.is_empty())
    }

    /// Has at least `extents` of those that were discarded allocated, and others with them. Whether there
    /// were any. Nobody else may discard, or allocate.
    pub(super) fn allocate_discarded(&self, extents: u64) -> Result<bool> {
        let wanted = (extents + self.shortage()).max(AT_ONCE as u64) as usize;
        let gone: Vec<_> = self.table.read().discarded().take(wanted).collect();
        for (done, extent) in gone.iter().enumerate() {
            let (page, pages) = self.place(*extent);
            match self.volume.allocate(page, pages) {
                Err(Error::Full { .. }) if done > 0 => break,
                allocated => allocated?,
            }
            self.change(|table| table.extents[extent.0 as usize].blocks = Blocks::Unused);
        }
        Ok(!gone.is_empty())
    }

    fn place(&self, extent: ExtentNo) -> (PageNo, u64) {
        let pages = u64::from(self.extent_pages);
        (PageNo(u64::from(extent.0) * pages), pages)
    }
}
