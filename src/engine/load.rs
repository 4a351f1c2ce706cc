//! Builds the index: the leaves of an image as they are, then what the log says since.

use super::apply::record_bytes;
use super::core::Core;
use super::delta::Sorted;
use super::image::Slice;
use super::moved::Trails;
use crate::error::{Error, Result};
use crate::extent::{LargeRun, Liveness, Space};
use crate::format::extent_state::ExtentState;
use crate::format::ids::{ExtentNo, PageNo};
use crate::format::image::{Position, RunLine, SliceKind};
use crate::format::location::{Home, Location};
use crate::index::{Leaves, Loader};

/// Bytes of a line of the extent table, its number before it.
const LINE_BYTES: usize = 4 + ExtentState::BYTES;

/// An index that is being built.
pub(super) struct Loading<'a> {
    core: &'a Core,
    loader: Loader,
    liveness: Liveness,
    /// The first key of each slice, and the log position at which it is exact.
    slices: Vec<(Vec<u8>, Position)>,
    /// Moves since.
    trails: &'a Trails,
    /// Keys of the image that they are of.
    moved: Keys,
}

/// Keys in order.
#[derive(Debug, Default)]
struct Keys {
    /// Each after its length.
    bytes: Vec<u8>,
    /// Where the next one begins.
    at: usize,
}

impl Keys {
    fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(&(key.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(key);
    }

    fn peek(&self) -> Option<&[u8]> {
        let (len, rest) = self.bytes[self.at..].split_first_chunk()?;
        Some(&rest[..usize::from(u16::from_le_bytes(*len))])
    }

    fn skip(&mut self) {
        self.at += self.peek().map_or(0, |key| 2 + key.len());
    }
}

impl<'a> Loading<'a> {
    pub(super) fn new(core: &'a Core, trails: &'a Trails) -> Self {
        let (loader, liveness) = (Loader::new(), core.space.no_liveness());
        let (slices, moved) = (Vec::new(), Keys::default());
        Self { core, loader, liveness, slices, trails, moved }
    }

    /// Takes the next slice of the image.
    pub(super) fn take(&mut self, slice: &Slice) -> Result<()> {
        let sound = match slice.header.kind {
            SliceKind::Extents => self.take_extents(slice.body()),
            SliceKind::Runs => self.take_runs(slice.body()),
            SliceKind::Keys => self.take_keys(slice),
        };
        sound.ok_or(senseless(slice.page, "a slice of a checkpoint image makes no sense"))
    }

    /// Adds what the log says, and installs the index. Returns what it refers to.
    pub(super) fn finish(mut self, log: &mut Sorted<'_>) -> Result<Liveness> {
        let sound = if self.slices.is_empty() {
            self.load_log(log)
        } else {
            let loader = std::mem::take(&mut self.loader);
            self.core.index.replace_all(loader.finish());
            self.apply_log(log)
        };
        sound.ok_or(senseless(PageNo(0), "the log holds a record that makes no sense"))?;
        Ok(self.liveness)
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
            self.core
                .space
                .adopt_large(page, LargeRun { pages, incarnation, live: true, held: false });
        }
        rest.is_empty().then_some(())
    }

    fn take_keys(&mut self, slice: &Slice) -> Option<()> {
        let (len, rest) = slice.body().split_first_chunk()?;
        let (from, leaves) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        let ascends = self.slices.last().is_none_or(|(before, _)| before.as_slice() < from);
        ascends.then_some(())?;
        self.slices.push((from.to_vec(), slice.header.position));
        let mut count = 0;
        let mut sound = true;
        for leaf in Leaves::new(leaves) {
            let leaf = leaf?;
            (count > 0 || *leaf.first_key() >= *from).then_some(())?;
            count += leaf.len() as u64;
            let (space, liveness) = (&self.core.space, &mut self.liveness);
            let since = slice.header.position;
            leaf.for_each(|key, location| {
                sound &= add_live(space, liveness, key.len(), location);
                if self.trails.follow(location, since, None) != location {
                    self.moved.push(key);
                }
            });
            self.loader.push_leaf(&leaf).ok()?;
        }
        (sound && count == slice.header.count).then_some(())
    }

    /// There is no image: all keys come from the log, in order.
    fn load_log(&mut self, log: &mut Sorted<'_>) -> Option<()> {
        let mut key = Vec::new();
        while let Some(next) = log.key() {
            key.clear();
            key.extend_from_slice(next);
            if let Some(location) = log.fold(&key, None, Position::default()) {
                add_live(&self.core.space, &mut self.liveness, key.len(), location).then_some(())?;
                self.loader.push(&key, location).ok()?;
            }
        }
        self.core.index.replace_all(std::mem::take(&mut self.loader).finish());
        Some(())
    }

    /// Brings the keys of the image up to the end of the log, in order, so that one leaf after
    /// the other is in the processor's cache.
    fn apply_log(&mut self, log: &mut Sorted<'_>) -> Option<()> {
        let mut slices = self.slices.iter().peekable();
        let mut position = Position::default();
        let mut key = Vec::new();
        let (space, liveness) = (&self.core.space, &mut self.liveness);
        self.core.index.edit(|edit| {
            while let Some(next) = [log.key(), self.moved.peek()].into_iter().flatten().min() {
                key.clear();
                key.extend_from_slice(next);
                if self.moved.peek() == Some(&key) {
                    self.moved.skip();
                }
                while let Some((_, at)) = slices.next_if(|(from, _)| *from <= key) {
                    position = *at;
                }
                let before = edit.get(&key);
                let fate = log.fold(&key, before, position);
                if fate == before {
                    continue;
                }
                if let Some(location) = before {
                    remove_live(space, liveness, key.len(), location).then_some(())?;
                }
                if let Some(location) = fate {
                    add_live(space, liveness, key.len(), location).then_some(())?;
                    edit.insert(&key, location);
                } else {
                    edit.remove(&key);
                }
            }
            Some(())
        })
    }
}

/// False where the volume has no such page.
pub(super) fn add_live(
    space: &Space,
    liveness: &mut Liveness,
    key_len: usize,
    location: Location,
) -> bool {
    let bytes = record_bytes(key_len, location);
    match location.home() {
        Home::Log | Home::Value => liveness.add_record(space.extent_of(location.page()), bytes),
        Home::Large => {
            liveness.add_large(location.page(), bytes);
            true
        }
    }
}

/// False where it was not live.
fn remove_live(space: &Space, liveness: &mut Liveness, key_len: usize, location: Location) -> bool {
    let bytes = record_bytes(key_len, location);
    match location.home() {
        Home::Log | Home::Value => liveness.remove_record(space.extent_of(location.page()), bytes),
        Home::Large => liveness.remove_large(location.page(), bytes),
    }
}

fn senseless(page: PageNo, what: &'static str) -> Error {
    Error::Corrupt { page: page.0, key: None, what }
}
