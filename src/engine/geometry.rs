//! The shape of a new volume.

use crate::error::Result;
use crate::format::ids::{MAX_EXTENTS, PAGE_BYTES};
use crate::format::superblock::Superblock;
use crate::options::Options;

/// Sizes that are settled when a volume is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) extent_pages: u32,
    pub(super) max_pages: u64,
    pub(super) fixed: bool,
}

impl Geometry {
    /// For a new volume; `device_pages` where it is a device, which is used whole.
    pub(super) fn new(options: &Options, device_pages: Option<u64>) -> Result<Self> {
        let device_bytes = device_pages.map(|pages| pages * PAGE_BYTES as u64);
        let fixed = device_bytes.or(options.volume_bytes);
        let max_bytes = options.new_max_bytes(fixed);
        let extent_bytes = options.new_extent_bytes(max_bytes)?;
        Ok(Self {
            extent_pages: (extent_bytes / PAGE_BYTES as u64) as u32,
            max_pages: (max_bytes / extent_bytes).min(MAX_EXTENTS)
                * (extent_bytes / PAGE_BYTES as u64),
            fixed: fixed.is_some(),
        })
    }

    /// Of the volume that a superblock describes.
    pub(super) fn of(superblock: &Superblock) -> Self {
        Self {
            extent_pages: superblock.extent_pages,
            max_pages: superblock.max_pages,
            fixed: superblock.fixed,
        }
    }

    /// Pages that a new volume has: all where it is fixed, else some extents.
    pub(super) fn first_pages(self, extents: u64) -> u64 {
        if self.fixed {
            self.max_pages
        } else {
            (extents * u64::from(self.extent_pages)).min(self.max_pages)
        }
    }
}
