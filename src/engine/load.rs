//! Builds the index from the bottom up: the slices of an image, merged with what the log says
//! since.

use super::apply::record_bytes;
use super::core::Core;
use super::delta::Sorted;
use super::image::Slice;
use crate::error::{Error, Result};
use crate::extent::{LargeRun, Liveness, Space};
use crate::format::extent_state::ExtentState;
use crate::format::ids::ExtentNo;
use crate::format::image::{Position, RunLine, SliceKind};
use crate::format::location::{Home, Location};
use crate::index::{CompactLeaf, Leaves, Loader, Tree};

/// Bytes of a line of the extent table, its number before it.
const LINE_BYTES: usize = 4 + ExtentState::BYTES;

/// An index that is being built.
pub(super) struct Merge<'a> {
    core: &'a Core,
    log: Sorted,
    loader: Loader,
    liveness: Liveness,
    /// The log position of the slice in hand: it shows what came before.
    position: Position,
    key: Vec<u8>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(core: &'a Core, log: Sorted) -> Self {
        Self {
            core,
            log,
            loader: Loader::new(),
            liveness: core.space.no_liveness(),
            position: Position::default(),
            key: Vec::new(),
        }
    }

    /// Takes the next slice of the image.
    pub(super) fn take(&mut self, slice: &Slice) -> Result<()> {
        let sound = match slice.header.kind {
            SliceKind::Extents => self.take_extents(slice.body()),
            SliceKind::Runs => self.take_runs(slice.body()),
            SliceKind::Keys => self.take_keys(slice),
        };
        let what = "a slice of a checkpoint image makes no sense";
        sound.ok_or(Error::Corrupt { page: slice.page.0, key: None, what })
    }

    /// Takes what is left of the log; returns the index and what it refers to.
    pub(super) fn finish(mut self) -> Result<(Tree, Liveness)> {
        let what = "the log holds a record that makes no sense";
        self.take_log(None).ok_or(Error::Corrupt { page: 0, key: None, what })?;
        Ok((self.loader.finish(), self.liveness))
    }

    fn take_extents(&mut self, body: &[u8]) -> Option<()> {
        let (lines, rest) = body.as_chunks::<LINE_BYTES>();
        for line in lines {
            let (number, state) = line.split_first_chunk()?;
            let extent = ExtentNo(u32::from_le_bytes(*number));
            let state = ExtentState::decode(state.try_into().ok()?)?;
            self.core.space.adopt_extent(extent, state).then_some(())?;
        }
        rest.is_empty().then_some(())
    }

    fn take_runs(&mut self, body: &[u8]) -> Option<()> {
        let (lines, rest) = body.as_chunks::<{ RunLine::BYTES }>();
        for line in lines {
            let RunLine { page, pages, incarnation } = RunLine::decode(line)?;
            let fits = page.0 + pages <= self.core.volume.len_pages();
            fits.then_some(())?;
            self.core.space.adopt_large(page, LargeRun { pages, incarnation, live: true });
        }
        rest.is_empty().then_some(())
    }

    fn take_keys(&mut self, slice: &Slice) -> Option<()> {
        let (len, rest) = slice.body().split_first_chunk()?;
        let (from, leaves) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        self.take_log(Some(from))?;
        self.position = slice.header.position;
        let mut count = 0;
        for leaf in Leaves::new(leaves) {
            let leaf = leaf?;
            (count > 0 || *leaf.first_key() >= *from).then_some(())?;
            count += leaf.len() as u64;
            self.take_leaf(&leaf)?;
        }
        (count == slice.header.count).then_some(())
    }

    fn take_leaf(&mut self, leaf: &CompactLeaf<'_>) -> Option<()> {
        let mut sound = true;
        if self.log.key().is_none_or(|key| *key > *leaf.last_key()) {
            let (space, liveness) = (&self.core.space, &mut self.liveness);
            leaf.for_each(|key, location| {
                sound &= count_live(space, liveness, key.len(), location);
            });
            return (sound && self.loader.push_leaf(leaf).is_ok()).then_some(());
        }
        leaf.for_each(|key, location| sound = sound && self.take_entry(key, location).is_some());
        sound.then_some(())
    }

    fn take_entry(&mut self, key: &[u8], location: Location) -> Option<()> {
        self.take_log(Some(key))?;
        let changed = self.log.key() == Some(key);
        let fate =
            if changed { self.log.fold(Some(location), self.position) } else { Some(location) };
        self.push(key, fate)
    }

    /// Takes the records of the log whose keys are below `bound` and not in the image.
    fn take_log(&mut self, bound: Option<&[u8]>) -> Option<()> {
        while let Some(key) = self.log.key()
            && bound.is_none_or(|bound| key < bound)
        {
            let mut taken = std::mem::take(&mut self.key);
            taken.clear();
            taken.extend_from_slice(key);
            let fate = self.log.fold(None, self.position);
            self.push(&taken, fate)?;
            self.key = taken;
        }
        Some(())
    }

    fn push(&mut self, key: &[u8], fate: Option<Location>) -> Option<()> {
        let Some(location) = fate else { return Some(()) };
        count_live(&self.core.space, &mut self.liveness, key.len(), location).then_some(())?;
        self.loader.push(key, location).ok()
    }
}

/// False where the volume has no such page.
fn count_live(space: &Space, liveness: &mut Liveness, key_len: usize, location: Location) -> bool {
    let bytes = record_bytes(key_len, location);
    match location.home() {
        Home::Log => liveness.add_record(space.extent_of(location.page()), bytes),
        Home::Large => {
            liveness.add_large(location.page(), bytes);
            true
        }
    }
}
