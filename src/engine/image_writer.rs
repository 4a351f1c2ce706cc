//! Writing a checkpoint image: slices one after the other over as many extents as they take, then the
//! root.

use super::core::Core;
use crate::device::{AlignedBuf, Purpose};
use crate::error::Result;
use crate::extent::bytes_of;
use crate::format::ids::{BatchNo, ExtentNo, Incarnation, PAGE_BYTES, PageNo};
use crate::format::image::{EXTENTS_PER_ROOT, HEADER_BYTES, RootPage, SliceHeader};

/// Slices of the usual length that are written together, 128 KiB. As a rule those pages were never written
/// before, so each write changes the file's metadata, and the next commit's flush waits for that; a get, for
/// the part of it that the device is at. Measured: half a mebibyte doubles the p99.9 of gets beside it.
const SLICES_AT_A_TIME: usize = 4;

/// The image that is being written.
#[derive(Debug)]
pub(super) struct ImageWriter {
    id: Incarnation,
    extents: Vec<ExtentNo>,
    /// Pages of slices, and of the root once it is written; those included that wait.
    pages: u64,
    slices: u32,
    /// Pages that wait to be written, and the room for more.
    waiting: Option<AlignedBuf>,
    waiting_pages: usize,
    most_waiting: usize,
}

impl ImageWriter {
    /// An image of slices of about `slice_bytes`.
    pub(super) fn new(id: Incarnation, slice_bytes: usize) -> Self {
        Self {
            id,
            extents: Vec::new(),
            pages: 0,
            slices: 0,
            waiting: None,
            waiting_pages: 0,
            most_waiting: (SLICES_AT_A_TIME * slice_bytes / PAGE_BYTES).max(1),
        }
    }

    pub(super) fn id(&self) -> Incarnation {
        self.id
    }

    /// Slices so far.
    pub(super) fn slices(&self) -> u32 {
        self.slices
    }

    pub(super) fn bytes(&self) -> u64 {
        bytes_of(self.pages)
    }

    pub(super) fn extents(&self) -> &[ExtentNo] {
        &self.extents
    }

    /// Leaves the extents to whoever keeps them from now on.
    pub(super) fn take_extents(&mut self) -> Vec<ExtentNo> {
        std::mem::take(&mut self.extents)
    }

    /// Appends a slice.
    pub(super) fn append(&mut self, core: &Core, header: &SliceHeader, body: &[u8]) -> Result<()> {
        let pages = header.pages() as usize;
        if self.waiting_pages > 0 && self.waiting_pages + pages > self.most_waiting {
            self.write_waiting(core)?;
        }
        let buf = match self.waiting.take() {
            Some(buf) if buf.len() >= (self.waiting_pages + pages) * PAGE_BYTES => buf,
            _ => core.pool.take(pages.max(self.most_waiting))?,
        };
        let buf = self.waiting.insert(buf);
        let slice = &mut buf[self.waiting_pages * PAGE_BYTES..][..pages * PAGE_BYTES];
        slice[HEADER_BYTES..HEADER_BYTES + body.len()].copy_from_slice(body);
        header.seal(slice);
        self.waiting_pages += pages;
        self.pages += pages as u64;
        self.slices += 1;
        if self.waiting_pages >= self.most_waiting { self.write_waiting(core) } else { Ok(()) }
    }

    /// Writes the root after all slices, the newest of which shows `newest`; returns its first page.
    pub(super) fn finish(&mut self, core: &Core, newest: BatchNo) -> Result<PageNo> {
        self.write_waiting(core)?;
        let slices_end = self.pages;
        let mut root_pages = 1;
        loop {
            self.page(core, slices_end + root_pages - 1)?;
            let needed = self.extents.len().div_ceil(EXTENTS_PER_ROOT) as u64;
            if needed <= root_pages {
                break;
            }
            root_pages = needed;
        }
        let extent_pages = u64::from(core.space.extent_pages());
        assert!(self.extents.len() as u64 * extent_pages >= slices_end + root_pages);
        let places: Vec<PageNo> =
            (0..root_pages).map(|i| self.page(core, slices_end + i)).collect::<Result<_>>()?;
        let mut page = core.pool.take(1)?;
        for (i, &at) in places.iter().enumerate() {
            let listed = self.extents.chunks(EXTENTS_PER_ROOT).nth(i).unwrap_or_default();
            let root = RootPage {
                store: core.store,
                image: self.id,
                page: at,
                next: places.get(i + 1).copied().unwrap_or_default(),
                stream_pages: slices_end,
                slices: self.slices,
                newest,
                extents: listed.to_vec(),
            };
            root.encode(&mut page);
            core.volume.write(Purpose::Checkpoint, at, &page)?;
        }
        self.pages += root_pages;
        Ok(places[0])
    }

    fn write_waiting(&mut self, core: &Core) -> Result<()> {
        let extent_pages = u64::from(core.space.extent_pages());
        let Some(waiting) = self.waiting.take() else { return Ok(()) };
        let mut rest = &waiting[..self.waiting_pages * PAGE_BYTES];
        let mut at = self.pages - self.waiting_pages as u64;
        while !rest.is_empty() {
            let left = (extent_pages - at % extent_pages) as usize;
            let (now, later) = rest.split_at(rest.len().min(left * PAGE_BYTES));
            let page = self.page(core, at)?;
            core.volume.write(Purpose::Checkpoint, page, now)?;
            at += (now.len() / PAGE_BYTES) as u64;
            rest = later;
        }
        (self.waiting, self.waiting_pages) = (Some(waiting), 0);
        Ok(())
    }

    /// The page of the volume that holds page `at` of the image, in an extent that is taken for it if
    /// need be.
    fn page(&mut self, core: &Core, at: u64) -> Result<PageNo> {
        let extent_pages = u64::from(core.space.extent_pages());
        let index = (at / extent_pages) as usize;
        while self.extents.len() <= index {
            self.extents.push(core.space.take_image_extent(self.id)?);
        }
        Ok(PageNo(u64::from(self.extents[index].0) * extent_pages + at % extent_pages))
    }
}

#[cfg(test)]
mod tests {
    use crate::batch::WriteBatch;
    use crate::db::Db;
    use crate::options::Options;

    /// Slices of several pages each, which are written together across the ends of extents; the last of
    /// them wait for the root.
    #[test]
    fn what_is_written_together_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.vol");
        // Nothing is collected: moves would be logged after the checkpoint.
        let options = Options::new().extent_bytes(64 << 10).garbage_ratio(10.0);
        let db = options.open(&path).unwrap();
        for first in (0..20_000_u32).step_by(100) {
            let mut batch = WriteBatch::new();
            (first..first + 100).for_each(|key| batch.put(key.to_be_bytes(), key.to_le_bytes()));
            db.write(&batch).unwrap();
        }
        db.checkpoint().unwrap();
        assert!(db.metrics().image_bytes > 3 * (64 << 10), "{}", db.metrics());
        db.close().unwrap();
        let db = Db::open(&path).unwrap();
        let report = db.open_report();
        assert!(report.log_extents <= 2, "all comes from the image: {report:?}");
        let mut next = 0..20_000_u32;
        for entry in db.iter() {
            assert_eq!(entry.unwrap().key(), next.next().unwrap().to_be_bytes());
        }
        assert!(next.is_empty());
        assert!(db.check().unwrap().is_clean());
    }
}
