//! The end of the log: where the next batch goes, and what its extent holds so far.

use super::batch::Demand;
use super::listing::Listing;
use crate::format::footer::footer_pages;
use crate::format::ids::{BatchNo, Epoch, ExtentNo, Incarnation, PageNo};

/// The page after the last sealed batch, and the extent around it.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    pub(crate) extent: ExtentNo,
    pub(crate) incarnation: Incarnation,
    /// Where the log goes on; every page of this extent names it.
    pub(crate) successor: ExtentNo,
    pub(crate) epoch: Epoch,
    /// Checksum of the last page in the chain.
    pub(crate) chain: u32,
    /// Last sealed batch.
    pub(crate) batch: BatchNo,
    /// Next page, counted within the extent.
    pub(crate) next: u32,
    pub(crate) extent_pages: u32,
    /// What its footer will list of the batches in this extent.
    pub(crate) listed: Listing,
    /// The batch whose durability proves a page that names the successor; `None` while no page
    /// of the extent has been sealed.
    pub(crate) naming: Option<BatchNo>,
    /// Whether the log had moved on to the successor, where nothing whole was found: it goes on
    /// there, so that whoever reads the footer of this extent later finds the same end.
    pub(crate) closed: bool,
    /// Whether an evidence page stands at `next`.
    pub(crate) evidenced: bool,
}

impl Tail {
    /// Where the next batch goes.
    pub(crate) fn next_page(&self) -> PageNo {
        self.first_page().plus(u64::from(self.next))
    }

    /// First page of the extent.
    pub(crate) fn first_page(&self) -> PageNo {
        PageNo(u64::from(self.extent.0) * u64::from(self.extent_pages))
    }

    /// Whether a fresh extent of `extent_pages`, an epoch header in it, takes `demand`.
    pub(super) fn fits_fresh(extent_pages: u32, demand: Demand) -> bool {
        1 + demand.pages + 1 + footer_pages(demand.listed) <= extent_pages as usize
    }

    /// Whether the extent takes a batch of `demand`, a page of evidence after it, and the footer
    /// of all of it.
    pub(super) fn fits(&self, demand: Demand) -> bool {
        let footer = footer_pages(self.listed.len() + demand.listed);
        !self.closed && self.next as usize + demand.pages + 1 + footer <= self.extent_pages as usize
    }

    /// A page of `batch` names the successor; the newest naming counts.
    pub(super) fn name_successor(&mut self, successor: ExtentNo, batch: BatchNo) {
        if self.successor != successor || self.naming.is_none() {
            self.successor = successor;
            self.naming = Some(batch);
        }
    }

    /// Whether there was no extent to name as successor.
    pub(crate) fn names_none(&self) -> bool {
        self.successor == self.extent
    }

    /// Whether a footer stood in for this extent at replay.
    pub(crate) fn is_by_footer(&self) -> bool {
        self.next >= self.extent_pages
    }

    /// The tail without what its extent holds.
    pub(super) fn clone_place(&self) -> Self {
        Self { listed: Listing::default(), ..*self }
    }

    /// The tail at the start of the successor, which `after` will follow.
    pub(crate) fn rotated(&self, incarnation: Incarnation, after: ExtentNo) -> Self {
        Self {
            extent: self.successor,
            incarnation,
            successor: after,
            next: 0,
            listed: Listing::default(),
            naming: None,
            closed: false,
            evidenced: false,
            ..*self
        }
    }
}
