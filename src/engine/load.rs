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
use crate::index::{Leaves, Loader, Stored};
use crate::sync::{self, Mutex};

/// Bytes of a line of the extent table, its number before it.
const LINE_BYTES: usize = 4 + ExtentState::BYTES;

/// Slices whose keys one thread looks through at a time.
const SLICES_AT_ONCE: usize = 64;

/// An index that is being built.
pub(super) struct Loading<'a> {
    core: &'a Core,
    loader: Loader,
    /// The first key of each slice, and the log position at which it is exact.
    slices: Vec<(Vec<u8>, Position)>,
    /// Slices that are of no keys.
    lists: Vec<Slice>,
}

/// What is done to each slice of an image by itself, on several threads.
pub(super) struct Preparing<'a> {
    core: &'a Core,
    /// What the slices refer to: a share for each thread.
    shares: Mutex<Vec<Liveness>>,
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
    fn push(&mut self, record: &Stored<'_>) {
        self.bytes.extend_from_slice(&(record.key_len() as u16).to_le_bytes());
        record.push_key(&mut self.bytes);
    }

    fn peek(&self) -> Option<&[u8]> {
        let (len, rest) = self.bytes[self.at..].split_first_chunk()?;
        Some(&rest[..usize::from(u16::from_le_bytes(*len))])
    }

    fn append(&mut self, later: &Self) {
        self.bytes.extend_from_slice(&later.bytes);
    }

    fn skip(&mut self) {
        self.at += self.peek().map_or(0, |key| 2 + key.len());
    }
}

impl<'a> Preparing<'a> {
    pub(super) fn new(core: &'a Core) -> Self {
        Self { core, shares: Mutex::default() }
    }

    /// Looks through a slice: all its leaves are sound, and what they refer to is counted.
    pub(super) fn prepare(&self, slice: Slice) -> Result<Slice> {
        if slice.header.kind == SliceKind::Keys {
            let share = self.shares.lock().pop();
            let mut share = share.unwrap_or_else(|| self.core.space.no_liveness());
            let sound = self.count(&slice, &mut share);
            self.shares.lock().push(share);
            sound.ok_or(nonsense(&slice))?;
        }
        Ok(slice)
    }

    fn count(&self, slice: &Slice, share: &mut Liveness) -> Option<()> {
        let (from, leaves) = first_key_of(slice)?;
        let (mut count, mut sound) = (0, true);
        for leaf in Leaves::new(leaves) {
            let leaf = leaf?;
            (count > 0 || *leaf.first_key() >= *from).then_some(())?;
            count += leaf.len() as u64;
            leaf.for_each(|record| {
                sound &= add_live(&self.core.space, share, record.key_len(), record.location());
            });
        }
        (sound && count == slice.header.count).then_some(())
    }

    /// What all slices refer to.
    pub(super) fn liveness(self) -> Liveness {
        let mut all = self.core.space.no_liveness();
        self.shares.lock().drain(..).for_each(|share| all.add_all(share));
        all
    }
}

impl<'a> Loading<'a> {
    pub(super) fn new(core: &'a Core) -> Self {
        Self { core, loader: Loader::new(), slices: Vec::new(), lists: Vec::new() }
    }

    /// Takes the next slice of the image, which was prepared.
    pub(super) fn take(&mut self, slice: Slice) -> Result<()> {
        match slice.header.kind {
            SliceKind::Extents | SliceKind::Runs => self.lists.push(slice),
            SliceKind::Keys => self.take_keys(&slice).ok_or(nonsense(&slice))?,
        }
        Ok(())
    }

    /// Takes over what the image says of extents, once what the log says of them is known.
    pub(super) fn take_lists(&mut self) -> Result<()> {
        std::mem::take(&mut self.lists).iter().try_for_each(|slice| {
            let sound = match slice.header.kind {
                SliceKind::Extents => self.take_extents(slice.body()),
                _ => self.take_runs(slice.body()),
            };
            sound.ok_or(nonsense(slice))
        })
    }

    /// Adds what the log says, in which values moved along `trails`, and installs the index. Brings what the
    /// image refers to up to what the index does.
    pub(super) fn finish(
        mut self,
        log: &mut Sorted<'_>,
        trails: &Trails,
        liveness: &mut Liveness,
    ) -> Result<()> {
        let sound = if self.slices.is_empty() {
            self.load_log(log, liveness)
        } else {
            let loader = std::mem::take(&mut self.loader);
            self.core.index.replace_all(loader.finish());
            let moved = self.moved_keys(trails);
            self.apply_log(log, moved, liveness)
        };
        sound.ok_or(senseless(PageNo(0), "the log holds a record that makes no sense"))
    }

    fn take_extents(&self, body: &[u8]) -> Option<()> {
        let (lines, rest) = body.as_chunks::<LINE_BYTES>();
        for line in lines {
            let (number, state) = line.split_first_chunk()?;
            let extent = ExtentNo(u32::from_le_bytes(*number));
            let state = ExtentState::decode(state.try_into().ok()?)?;
            self.core.space.adopt_extent(extent, state).then_some(())?;
        }
        rest.is_empty().then_some(())
    }

    fn take_runs(&self, body: &[u8]) -> Option<()> {
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
        let (from, leaves) = first_key_of(slice)?;
        let ascends = self.slices.last().is_none_or(|(before, _)| before.as_slice() < from);
        ascends.then_some(())?;
        self.slices.push((from.to_vec(), slice.header.position));
        Leaves::of_sound(leaves).try_for_each(|leaf| self.loader.push_leaf(&leaf?).ok())
    }

    /// There is no image: all keys come from the log, in order.
    fn load_log(&mut self, log: &mut Sorted<'_>, liveness: &mut Liveness) -> Option<()> {
        let mut key = Vec::new();
        while let Some(next) = log.key() {
            key.clear();
            key.extend_from_slice(next);
            if let Some(location) = log.fold(&key, None, Position::default()) {
                add_live(&self.core.space, liveness, key.len(), location).then_some(())?;
                self.loader.push(&key, location).ok()?;
            }
        }
        self.core.index.replace_all(std::mem::take(&mut self.loader).finish());
        Some(())
    }

    /// The keys of the image whose values moved since.
    fn moved_keys(&self, trails: &Trails) -> Keys {
        let mut moved = Keys::default();
        if trails.is_empty() {
            return moved;
        }
        let groups = (0..self.slices.len()).step_by(SLICES_AT_ONCE);
        let places: Vec<_> = groups.map(|first| (first, Mutex::new(Keys::default()))).collect();
        sync::for_each_parallel(places.iter().collect(), |(first, place)| {
            let last = (first + SLICES_AT_ONCE).min(self.slices.len());
            (*first..last).for_each(|slice| self.find_moved(slice, trails, &mut place.lock()));
        });
        places.into_iter().for_each(|(_, keys)| moved.append(&keys.lock()));
        moved
    }

    /// Those of slice number `slice`.
    fn find_moved(&self, slice: usize, trails: &Trails, moved: &mut Keys) {
        let (from, position) = &self.slices[slice];
        let until = self.slices.get(slice + 1).map(|(key, _)| key.as_slice());
        self.core.index.walk(from, until, |record| {
            let location = record.location();
            if trails.follow(location, *position, None) != location {
                moved.push(&record);
            }
        });
    }

    /// Brings the keys of the image, of which some `moved`, up to the end of the log, in order, so that one
    /// leaf after the other is in the processor's cache.
    fn apply_log(
        &self,
        log: &mut Sorted<'_>,
        mut moved: Keys,
        liveness: &mut Liveness,
    ) -> Option<()> {
        let mut slices = self.slices.iter().peekable();
        let mut position = Position::default();
        let mut key = Vec::new();
        let space = &self.core.space;
        self.core.index.edit(|edit| {
            let mut edit = edit.in_order();
            while let Some(next) = [log.key(), moved.peek()].into_iter().flatten().min() {
                key.clear();
                key.extend_from_slice(next);
                if moved.peek() == Some(&key) {
                    moved.skip();
                }
                while let Some((_, at)) = slices.next_if(|(from, _)| *from <= key) {
                    position = *at;
                }
                let mut fate = None;
                let before = edit.alter(&key, |before| {
                    fate = log.fold(&key, before, position);
                    fate.filter(|_| fate != before)
                });
                if fate == before {
                    continue;
                }
                if let Some(location) = before {
                    remove_live(space, liveness, key.len(), location).then_some(())?;
                }
                if let Some(location) = fate {
                    add_live(space, liveness, key.len(), location).then_some(())?;
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

/// The least key that a slice may hold, and its leaves.
fn first_key_of(slice: &Slice) -> Option<(&[u8], &[u8])> {
    let (len, rest) = slice.body().split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}

fn nonsense(slice: &Slice) -> Error {
    senseless(slice.page, "a slice of a checkpoint image makes no sense")
}

fn senseless(page: PageNo, what: &'static str) -> Error {
    Error::Corrupt { page: page.0, key: None, what }
}
