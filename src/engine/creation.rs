//! Making a volume, such that a crash at any point leaves nothing, or something that the next
//! open finishes.
//!
//! 1. A marker, a superblock that says `creating`, goes to the first page, alone; barrier.
//! 2. The volume grows; the first log extent is filled with zeros; its first page, the genesis
//!    page, anchors the log; barrier.
//! 3. The second superblock is written; barrier. The volume exists.
//! 4. The first superblock takes the marker's place; barrier.

use super::geometry::Geometry;
use crate::device::{AlignedBuf, BufferPool, Purpose, Volume};
use crate::error::Result;
use crate::extent::Space;
use crate::format::ids::{BatchNo, Epoch, Generation, PageNo, StoreId};
use crate::format::superblock::{Anchor, Superblock};
use crate::sync::Arc;
use crate::wal::{Tail, begin_epoch};

/// Extents of a new file that may grow.
const FIRST_EXTENTS: u64 = 8;

/// Creates a volume; returns its newest superblock.
pub(super) fn create(
    volume: &Arc<Volume>,
    pool: &BufferPool,
    store: StoreId,
    geometry: Geometry,
) -> Result<Superblock> {
    let mut page = pool.take(1)?;
    let marker = Superblock {
        store,
        generation: Generation(0),
        extent_pages: geometry.extent_pages,
        fixed: geometry.fixed,
        creating: true,
        max_pages: geometry.max_pages,
        pages: 1,
        anchor: Anchor { page: PageNo(0), chain: 0, batch: BatchNo(0), epoch: Epoch(0) },
        root: PageNo(0),
        spares: Vec::new(),
    };
    volume.grow(1)?;
    write(volume, &marker, &mut page)?;
    volume.grow(geometry.first_pages(FIRST_EXTENTS))?;
    let first = Superblock {
        generation: Generation(1),
        creating: false,
        pages: volume.len_pages(),
        anchor: write_genesis(volume, pool, store, geometry)?,
        ..marker
    };
    write(volume, &first, &mut page)?;
    let second = Superblock { generation: Generation(2), ..first };
    write(volume, &second, &mut page)?;
    Ok(second)
}

/// Prepares the first log extent and writes the page that anchors the log.
fn write_genesis(
    volume: &Arc<Volume>,
    pool: &BufferPool,
    store: StoreId,
    geometry: Geometry,
) -> Result<Anchor> {
    let space =
        Space::new(Arc::clone(volume), pool.clone(), geometry.extent_pages, geometry.max_pages);
    let epoch = Epoch(1);
    space.begin_epoch(epoch);
    let extent = space.reserve_extent(false)?;
    space.prepare(extent)?;
    let mut tail = Tail {
        extent,
        incarnation: space.open_log_extent(extent),
        successor: space.reserve_extent(false)?,
        epoch,
        chain: 0,
        batch: BatchNo(0),
        next: 0,
        extent_pages: geometry.extent_pages,
        entries: Vec::new(),
        naming: None,
        evidenced: false,
    };
    let page = tail.next_page();
    begin_epoch(volume, pool, store, Generation(0), epoch, &mut tail)?;
    Ok(Anchor { page, chain: tail.chain, batch: tail.batch, epoch })
}

/// Writes a superblock to its place and makes it durable.
pub(super) fn write(volume: &Volume, superblock: &Superblock, page: &mut AlignedBuf) -> Result<()> {
    superblock.encode(page);
    volume.write(Purpose::Upkeep, superblock.slot(), page)?;
    volume.barrier()
}
