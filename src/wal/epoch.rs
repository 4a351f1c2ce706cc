//! The first page of an epoch: an open says for good what it accepted (R2).

use super::batch::{Demand, SealIdentity};
use super::tail::Tail;
use crate::device::{BufferPool, Purpose, Volume};
use crate::error::Result;
use crate::format::ids::{Epoch, Generation, StoreId};
use crate::format::log_page::{LogHeader, PageKind, seal};
use crate::seeded::{Bug, seeded};

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
