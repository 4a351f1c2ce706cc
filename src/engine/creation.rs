//! Making a volume, such that a crash at any point leaves nothing, or something that the next
//! open finishes.
//!
//! 1. A marker, a superblock that says `creating`, goes to the first page, alone; barrier. A
//!    later open that finds it goes on from here, in the shape that it names.
//! 2. The volume grows; the first log extent is filled with zeros; its first page, the genesis
//!    page, anchors the log; barrier.
//! 3. The second superblock is written; barrier. The volume exists.
//! 4. The first superblock takes the marker's place; barrier.

use super::geometry::Geometry;
use crate::device::{BufferPool, Purpose, Volume};
use crate::error::Result;
use crate::extent::{Claim, Space};
use crate::format::ids::{BatchNo, Epoch, Generation, PageNo, StoreId};
use crate::format::superblock::{Anchor, Checkpoint, Superblock};
use crate::seeded::{Bug, seeded};
use crate::sync::Arc;
use crate::wal::{Listing, Tail, begin_epoch};

/// Extents of a new file that may grow.
pub(super) const FIRST_EXTENTS: u64 = 8;

/// Begins a volume: from now on it is ours to finish. Returns the marker.
pub(super) fn begin(
    volume: &Volume,
    pool: &BufferPool,
    store: StoreId,
    geometry: Geometry,
) -> Result<Superblock> {
    let marker = Superblock {
        store,
        generation: Generation(0),
        extent_pages: geometry.extent_pages,
        fixed: geometry.fixed,
        creating: true,
        max_pages: geometry.max_pages,
        pages: 1,
        checkpoint: Checkpoint::of_whole_log(Anchor {
            page: PageNo(0),
            chain: 0,
            batch: BatchNo(0),
            epoch: Epoch(0),
        }),
        previous: None,
        spares: Vec::new(),
    };
    volume.grow(1)?;
    write(volume, pool, &marker)?;
    Ok(marker)
}

/// Makes the volume that `marker` begins; returns its newest superblock.
pub(super) fn finish(
    volume: &Arc<Volume>,
    pool: &BufferPool,
    marker: &Superblock,
) -> Result<Superblock> {
    let geometry = Geometry::of(marker);
    volume.grow(geometry.first_pages(FIRST_EXTENTS))?;
    let first = Superblock {
        generation: Generation(1),
        creating: false,
        pages: volume.len_pages(),
        checkpoint: Checkpoint::of_whole_log(write_genesis(volume, pool, marker.store, geometry)?),
        ..marker.clone()
    };
    write(volume, pool, &first)?;
    replace_marker(volume, pool, first)
}

/// Puts a superblock where the marker is, so that nothing is taken for unfinished any more.
pub(super) fn replace_marker(
    volume: &Volume,
    pool: &BufferPool,
    first: Superblock,
) -> Result<Superblock> {
    let second = Superblock { generation: first.generation.next(), ..first };
    write(volume, pool, &second)?;
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
        Space::new(Arc::clone(volume), pool.clone(), geometry.extent_pages, geometry.max_pages, 1);
    let epoch = Epoch(1);
    space.begin_epoch(epoch);
    let extent = space.reserve_extent(Claim::Image)?;
    space.prepare(extent, &|_| true)?;
    let mut tail = Tail {
        extent,
        incarnation: space.open_log_extent(extent),
        successor: space.reserve_extent(Claim::Image)?,
        epoch,
        chain: 0,
        batch: BatchNo(0),
        next: 0,
        extent_pages: geometry.extent_pages,
        listed: Listing::default(),
        naming: None,
        closed: false,
        evidenced: false,
    };
    let page = tail.next_page();
    begin_epoch(volume, pool, store, Generation(0), epoch, &mut tail)?;
    Ok(Anchor { page, chain: tail.chain, batch: tail.batch, epoch })
}

/// Writes a superblock to its place and makes it durable.
pub(super) fn write(volume: &Volume, pool: &BufferPool, superblock: &Superblock) -> Result<()> {
    let mut page = pool.take(1)?;
    superblock.encode(&mut page);
    volume.write(Purpose::Upkeep, superblock.slot(), &page)?;
    if seeded(Bug::SuperblockWithoutBarrier) { Ok(()) } else { volume.barrier() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::options::Options;
    use std::fs;

    /// What is known of each extent is in memory: a page that tells of a thousand million of them would
    /// take all there is.
    #[test]
    fn a_marker_of_more_extents_than_there_may_be_is_not_finished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.vol");
        let marker = |max_pages: u64| {
            let mut page = vec![0; crate::format::ids::PAGE_BYTES];
            let anchor = Anchor { page: PageNo(0), chain: 0, batch: BatchNo(0), epoch: Epoch(0) };
            let marker = Superblock {
                store: StoreId(7),
                generation: Generation(0),
                extent_pages: 4,
                fixed: true,
                creating: true,
                max_pages,
                pages: 1,
                checkpoint: Checkpoint::of_whole_log(anchor),
                previous: None,
                spares: Vec::new(),
            };
            marker.encode(&mut page);
            page
        };
        fs::write(&path, marker(4 << 22 | 4)).unwrap();
        let refused = Options::new().open(&path).unwrap_err();
        assert!(matches!(refused, Error::NotAStore { .. }), "{refused}");
        assert_eq!(fs::metadata(&path).unwrap().len(), 4096, "it is left as it is");
        fs::write(&path, marker(256)).unwrap();
        assert_eq!(Options::new().open(&path).unwrap().info().volume_bytes, 1 << 20);
    }
}
