//! How much of an extent the index refers to.

use crate::format::ids::{ExtentNo, PageNo};
use std::collections::{BTreeMap, BTreeSet};

/// How a pass over records changed what the index refers to.
#[derive(Debug, Default)]
pub(crate) struct LiveChanges {
    pub(super) total: i64,
    /// By extent, for records beside their keys; neighbours differ.
    pub(super) extents: Vec<(ExtentNo, i64)>,
    /// What only views refer to from now on.
    pub(super) held: Vec<(ExtentNo, u64)>,
}

impl LiveChanges {
    /// Makes it one of nothing; its memory is kept.
    pub(crate) fn clear(&mut self) {
        self.total = 0;
        self.extents.clear();
        self.held.clear();
    }

    /// Views go on referring to a record in `extent` that the index does not.
    pub(crate) fn hold(&mut self, extent: ExtentNo, bytes: u64) {
        self.held.push((extent, bytes));
    }

    /// A record in `extent`, `None` for a large value, counts `bytes` more, or less.
    pub(crate) fn add(&mut self, extent: Option<ExtentNo>, bytes: i64) {
        self.total += bytes;
        let Some(extent) = extent else { return };
        match self.extents.last_mut() {
            Some((last, change)) if *last == extent => *change += bytes,
            _ => self.extents.push((extent, bytes)),
        }
    }
}

/// What is kept of live bytes, at one moment.
#[derive(Debug)]
pub(crate) struct KeptCounts {
    pub(super) total: u64,
    pub(super) extents: Vec<u64>,
    pub(super) large: BTreeSet<PageNo>,
}

impl KeptCounts {
    /// First pages of the extents of which the index says something else; page 0 for all together.
    pub(crate) fn differing(&self, index: &Liveness, extent_pages: u32) -> BTreeSet<PageNo> {
        let extent_pages = u64::from(extent_pages);
        // The volume may have grown since.
        let zeros = std::iter::repeat(&0);
        let counts = self.extents.iter().chain(zeros).zip(&index.extents).enumerate();
        let records = counts.filter(|(_, (kept, live))| kept != live);
        let records = records.map(|(number, _)| PageNo(number as u64 * extent_pages));
        let once = index.large.iter().filter(|(_, count)| **count == 1).map(|(&page, _)| page);
        let values = self.large.symmetric_difference(&once.collect()).copied().collect::<Vec<_>>();
        let values = values.into_iter().map(|page| PageNo(page.0 / extent_pages * extent_pages));
        let total = (self.total != index.total).then_some(PageNo(0));
        records.chain(values).chain(total).collect()
    }
}

/// What the index refers to, all of it.
#[derive(Debug)]
pub(crate) struct Liveness {
    pub(super) total: u64,
    pub(super) extents: Vec<u64>,
    /// First pages of large values, and how many keys refer to each: in the end one. While the
    /// log is applied in the order of keys, the old value and the new one of a page may both be
    /// there.
    pub(super) large: BTreeMap<PageNo, u32>,
}

impl Liveness {
    /// A record of `bytes` bytes in `extent`. False if there is no such extent.
    pub(crate) fn add_record(&mut self, extent: ExtentNo, bytes: u64) -> bool {
        self.total += bytes;
        let live = self.extents.get_mut(extent.0 as usize);
        live.map(|live| *live += bytes).is_some()
    }

    /// What `other` counted as well.
    pub(crate) fn add_all(&mut self, other: Self) {
        self.total += other.total;
        self.extents.iter_mut().zip(other.extents).for_each(|(live, more)| *live += more);
        for (page, count) in other.large {
            *self.large.entry(page).or_default() += count;
        }
    }

    /// A large value that starts at `page`.
    pub(crate) fn add_large(&mut self, page: PageNo, bytes: u64) {
        self.total += bytes;
        *self.large.entry(page).or_default() += 1;
    }

    /// Takes a record back. False if it was not there.
    pub(crate) fn remove_record(&mut self, extent: ExtentNo, bytes: u64) -> bool {
        self.total = self.total.wrapping_sub(bytes);
        let live = self.extents.get_mut(extent.0 as usize);
        let left = live.as_ref().and_then(|live| live.checked_sub(bytes));
        live.zip(left).map(|(live, left)| *live = left).is_some()
    }

    /// Takes a large value back. False if it was not there.
    pub(crate) fn remove_large(&mut self, page: PageNo, bytes: u64) -> bool {
        self.total = self.total.wrapping_sub(bytes);
        let Some(count) = self.large.get_mut(&page) else { return false };
        *count -= 1;
        if *count == 0 {
            self.large.remove(&page);
        }
        true
    }
}
