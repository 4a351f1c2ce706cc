//! Reading a checkpoint image back.

use super::core::Core;
use crate::device::AlignedBuf;
use crate::error::{Error, Result};
use crate::format::ids::{BatchNo, ExtentNo, Incarnation, PAGE_BYTES, PageNo};
use crate::format::image::{RootPage, SliceHeader};
use crate::format::superblock::Checkpoint;
use std::collections::BTreeSet;

/// Pages that are read at a time: 1 MiB, the largest request that NVMe devices commonly take
/// whole.
const WINDOW_PAGES: u64 = 256;

/// What the root of an image says.
#[derive(Debug)]
pub(super) struct Root {
    checkpoint: Checkpoint,
    pub(super) extents: Vec<ExtentNo>,
    /// Pages of slices.
    stream_pages: u64,
    slices: u32,
    /// The newest batch that the image shows.
    pub(super) newest: BatchNo,
}

impl Root {
    /// Reads the root of the image of `checkpoint`, if it has one.
    pub(super) fn read(core: &Core, checkpoint: Checkpoint) -> Result<Option<Self>> {
        if checkpoint.root == PageNo(0) {
            return Ok(None);
        }
        let damaged = |at: PageNo| corrupt(at, "the root of a checkpoint image is damaged");
        let mut buf = core.pool.take(1)?;
        let mut extents = Vec::new();
        let mut met = BTreeSet::new();
        let mut at = checkpoint.root;
        loop {
            if at.0 >= core.volume.len_pages() || !met.insert(at) {
                return Err(damaged(at));
            }
            read_twice(core, at, &mut buf)?;
            let page = RootPage::decode(&buf, core.store, at)
                .filter(|page| page.image == checkpoint.image)
                .ok_or_else(|| damaged(at))?;
            extents.extend(&page.extents);
            if page.next == PageNo(0) {
                let (stream_pages, slices) = (page.stream_pages, page.slices);
                let root = Self { checkpoint, extents, stream_pages, slices, newest: page.newest };
                return if root.is_sound(core) { Ok(Some(root)) } else { Err(damaged(at)) };
            }
            at = page.next;
        }
    }

    fn is_sound(&self, core: &Core) -> bool {
        let extent_pages = u64::from(core.space.extent_pages());
        let volume_extents = core.volume.len_pages() / extent_pages;
        let distinct: BTreeSet<_> = self.extents.iter().collect();
        distinct.len() == self.extents.len()
            && self.extents.iter().all(|extent| u64::from(extent.0) < volume_extents)
            && self.stream_pages <= self.extents.len() as u64 * extent_pages
    }

    /// The image's own number.
    pub(super) fn image(&self) -> Incarnation {
        self.checkpoint.image
    }

    /// Bytes of the slices.
    pub(super) fn bytes(&self) -> u64 {
        self.stream_pages * PAGE_BYTES as u64
    }

    /// The slices, in order.
    pub(super) fn slices<'a>(&'a self, core: &'a Core) -> Result<Slices<'a>> {
        let window =
            core.pool.take(WINDOW_PAGES.min(u64::from(core.space.extent_pages())) as usize)?;
        Ok(Slices { core, root: self, window, start: 0, count: 0, at: 0, index: 0 })
    }
}

/// A slice whose checksum and identity are right.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) header: SliceHeader,
    /// Its first page, for messages.
    pub(super) page: PageNo,
    /// Pages of the image up to its end.
    pub(super) end: u64,
    bytes: Vec<u8>,
}

impl Slice {
    pub(super) fn body(&self) -> &[u8] {
        self.header.body(&self.bytes)
    }
}

/// Reads an image from end to end.
pub(super) struct Slices<'a> {
    core: &'a Core,
    root: &'a Root,
    /// Pages `start .. start + count` of the stream.
    window: AlignedBuf,
    start: u64,
    count: u64,
    at: u64,
    index: u32,
}

impl Slices<'_> {
    fn next_slice(&mut self) -> Result<Option<Slice>> {
        let page = self.place(self.at);
        if self.index == self.root.slices && self.at == self.root.stream_pages {
            return Ok(None);
        }
        let damaged = corrupt(page, "a slice of a checkpoint image is damaged");
        if self.at >= self.root.stream_pages {
            return Err(damaged);
        }
        let header = SliceHeader::peek(self.pages(self.at, 1)?);
        let header = header.filter(|header| {
            header.store == self.core.store
                && header.image == self.root.checkpoint.image
                && header.index == self.index
                && header.position.batch <= self.root.newest
                && self.at + header.pages() <= self.root.stream_pages
        });
        let Some(header) = header else { return Err(damaged) };
        let end = self.at + header.pages();
        let mut bytes = Vec::with_capacity(header.pages() as usize * PAGE_BYTES);
        while self.at < end {
            let pages = self.pages(self.at, end - self.at)?;
            bytes.extend_from_slice(pages);
            self.at += (pages.len() / PAGE_BYTES) as u64;
        }
        self.index += 1;
        if !SliceHeader::verify(&bytes) {
            return Err(damaged);
        }
        Ok(Some(Slice { header, page, end, bytes }))
    }

    /// Up to `most` pages of the stream from `at` on, at least one.
    fn pages(&mut self, at: u64, most: u64) -> Result<&[u8]> {
        if at < self.start || at >= self.start + self.count {
            let extent_pages = u64::from(self.core.space.extent_pages());
            let room = (self.window.len() / PAGE_BYTES) as u64;
            let count = room.min(extent_pages - at % extent_pages).min(self.root.stream_pages - at);
            self.count = 0;
            let place = self.place(at);
            read_twice(self.core, place, &mut self.window[..count as usize * PAGE_BYTES])?;
            (self.start, self.count) = (at, count);
        }
        let from = (at - self.start) as usize;
        let len = most.min(self.count - from as u64) as usize;
        Ok(&self.window[from * PAGE_BYTES..(from + len) * PAGE_BYTES])
    }

    /// Where page `at` of the stream is.
    fn place(&self, at: u64) -> PageNo {
        let extent_pages = u64::from(self.core.space.extent_pages());
        let extent = self.root.extents.get((at / extent_pages) as usize);
        extent.map_or(self.root.checkpoint.root, |extent| {
            PageNo(u64::from(extent.0) * extent_pages + at % extent_pages)
        })
    }
}

impl Iterator for Slices<'_> {
    type Item = Result<Slice>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_slice().transpose()
    }
}

fn read_twice(core: &Core, at: PageNo, buf: &mut [u8]) -> Result<()> {
    core.volume.read(at, buf).or_else(|_| core.volume.read(at, buf))
}

fn corrupt(page: PageNo, what: &'static str) -> Error {
    Error::Corrupt { page: page.0, key: None, what }
}
