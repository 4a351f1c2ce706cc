//! The first page of an epoch: an open says for good what it accepted (R2).

use super::batch::{Demand, SealIdentity};
use super::log::Log;
use super::tail::Tail;
use crate::device::{BufferPool, Purpose, Volume};
use crate::error::Result;
use crate::format::ids::{Epoch, Generation, StoreId};
use crate::format::log_page::{LogHeader, PageKind, seal};
use crate::format::superblock::Anchor;
use crate::seeded::{Bug, seeded};

/// Where the log goes on in an epoch that has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) tail: Tail,
    /// The extent that it left, if that needs a footer.
    pub(crate) sealed: Option<Tail>,
    /// The epoch's header.
    pub(crate) settled: Anchor,
}

impl Log {
    /// Where the log ended, if there was no room to begin an epoch.
    pub(crate) fn frozen_at(&self) -> Option<Tail> {
        let state = self.state.lock();
        state.frozen.then(|| state.tail.clone())
    }

    /// An epoch has begun after all. The footers of what came before are of no use to the checkpoint
    /// that made the room.
    pub(crate) fn thaw(&self, begun: Begun) {
        let mut state = self.state.lock();
        assert!(state.frozen, "an epoch begins once");
        state.tail = begun.tail;
        state.settled = begun.settled;
        state.footers = begun.sealed.into_iter().collect();
        state.frozen = false;
        state.upkeep_due = true;
        self.upkeep.notify_all();
        self.flusher.notify_all();
    }

    /// No footer is written any more to the extents that the log has left.
    pub(crate) fn forget_footers(&self) {
        self.state.lock().footers.clear();
    }
}

impl Tail {
    /// Whether the extent takes an epoch header; otherwise it goes to the successor.
    pub(crate) fn fits_epoch_header(&self) -> bool {
        self.fits(Demand { pages: 1, listed: 0 })
    }
}

/// Writes the header of `epoch` at the tail and makes it durable. Everything up to the tail is
/// durable already, by the barrier that comes before recovery reads (R1).
pub(crate) fn begin_epoch(
    volume: &Volume,
    pool: &BufferPool,
    store: StoreId,
    generation: Generation,
    epoch: Epoch,
    tail: &mut Tail,
) -> Result<()> {
    let mut page = pool.take(1)?;
    tail.epoch = epoch;
    let identity = SealIdentity { store, generation, durable: tail.batch, tail };
    let header = LogHeader { batch: tail.batch, ..identity.header(PageKind::Epoch) };
    let chain = seal(&mut page, &header);
    volume.write(Purpose::Log, header.page, &page)?;
    if !seeded(Bug::EpochWithoutBarrier) {
        volume.barrier()?;
    }
    tail.chain = chain;
    tail.next += 1;
    // The page just made durable names the successor.
    tail.naming = Some(tail.batch);
    tail.evidenced = false;
    Ok(())
}
