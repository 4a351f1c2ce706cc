//! Reads and verifies everything, while the store is in use.

use super::Engine;
use super::image::Root;
use super::load::add_live;
use super::read::Caching;
use super::recovery::{Found, find_superblock};
use crate::check::CheckReport;
use crate::error::{Error, Result};
use crate::format::ids::{BatchNo, PageNo};
use crate::format::location::{Home, Location};
use crate::format::record::{Entry, Record};
use crate::format::superblock::Checkpoint;
use crate::wal::{Replay, Sink};
use std::ops::Bound;

/// Bytes of a large value that are read at a time: whole blocks.
const PIECE_BYTES: usize = 1 << 20;

/// Counts what a pass over the log finds.
#[derive(Default)]
struct Counting {
    batch: BatchNo,
    extents: usize,
    senseless: bool,
}

impl Sink for Counting {
    fn accept<'e>(&mut self, mut entries: impl Iterator<Item = Option<Entry<'e>>>) -> bool {
        self.senseless |= entries.any(|entry| entry.is_none());
        true
    }

    fn is_whole(&mut self, _: &Record<'_>) -> Result<bool> {
        Ok(true)
    }

    fn progress(&mut self, batch: BatchNo, extents: usize) {
        (self.batch, self.extents) = (batch, extents);
    }
}

impl Engine {
    /// Superblocks, checkpoint images, every page of the log after the newest, every value that a
    /// key has; and whether what is kept of live bytes is what the keys say.
    pub(crate) fn check(&self) -> Result<CheckReport> {
        self.check_usable()?;
        let mut report = CheckReport::default();
        self.check_superblocks(&mut report)?;
        self.check_images(&mut report);
        self.check_log(&mut report)?;
        self.check_values(&mut report)?;
        Ok(report)
    }

    fn check_superblocks(&self, report: &mut CheckReport) -> Result<()> {
        let _unwritten = self.checkpointer.superblock();
        let mut page = self.core.pool.take(1)?;
        match find_superblock(&self.core.volume, &mut page) {
            Ok(Found::Store(_, None)) => {}
            Ok(Found::Store(_, Some(what))) => report.warnings.push(format!("{what} is damaged")),
            Ok(_) => {
                let what = "neither superblock is valid";
                report.problems.push(Error::Corrupt { page: 0, key: None, what });
            }
            Err(error) => report.problems.push(error),
        }
        Ok(())
    }

    /// Checkpoints wait meanwhile.
    fn check_images(&self, report: &mut CheckReport) {
        self.checkpointer.with_checkpoints(|newest, previous| {
            let of_newest = self.check_image(newest, report);
            let of_previous = previous.map(|previous| self.check_image(previous, report));
            let serve = "damaged; the other one serves, and the next two replace both";
            match (of_newest, of_previous) {
                (Ok(()), None | Some(Ok(()))) => {}
                (Err(error), None) => report.problems.push(error),
                (Err(error), Some(Err(other))) => report.problems.extend([error, other]),
                (Err(error), Some(Ok(()))) => {
                    report.warnings.push(format!("the newest checkpoint is {serve} ({error})"));
                }
                (Ok(()), Some(Err(error))) => {
                    report.warnings.push(format!("the checkpoint before is {serve} ({error})"));
                }
            }
        });
    }

    fn check_image(&self, checkpoint: Checkpoint, report: &mut CheckReport) -> Result<()> {
        let Some(root) = Root::read(&self.core, checkpoint)? else { return Ok(()) };
        for slice in root.slices(&self.core)? {
            slice?;
            report.slices += 1;
        }
        Ok(())
    }

    /// Reads the log without its footers. It may grow meanwhile; what was durable at the start
    /// has to be there.
    fn check_log(&self, report: &mut CheckReport) -> Result<()> {
        // What the log has left behind is not used again meanwhile.
        let _reading = self.core.readers.enter();
        let durable = self.log.durable();
        let anchor = self.checkpointer.superblock().checkpoint.anchor;
        // What is written meanwhile may prove more than was there when its page was read.
        let mut sink = Counting { batch: anchor.batch, ..Counting::default() };
        let replay = Replay::new(
            &self.core.volume,
            &self.core.pool,
            self.core.store,
            self.core.space.extent_pages(),
            anchor,
            &mut sink,
        );
        let end = replay.and_then(|replay| Ok(replay.without_footers().run()?));
        let reached = end.as_ref().map_or(sink.batch, |end| end.tail.batch);
        match end {
            Ok(end) if reached >= durable => report.log_extents = end.extents.len() as u64,
            Err(_) if reached >= durable => report.log_extents = sink.extents as u64,
            Err(error) => report.problems.push(error),
            Ok(end) => report.problems.push(Error::Corrupt {
                page: end.tail.next_page().0,
                key: None,
                what: "the log ends before its last durable batch",
            }),
        }
        if sink.senseless {
            report.problems.push(Error::Corrupt {
                page: anchor.page.0,
                key: None,
                what: "the log holds a record that makes no sense",
            });
        }
        report.batches = reached.0;
        Ok(())
    }

    /// Reads a value and throws it away, large ones piece by piece.
    fn verify(&self, key: &[u8], location: Location) -> Result<()> {
        self.check_usable()?;
        if location.home() != Home::Large {
            return self.fetch_by(Caching::Bypass, key, location).map(drop);
        }
        let header = self.read_large_header(key, location)?;
        let len = u64::from(location.value_len());
        for start in (0..len).step_by(PIECE_BYTES) {
            let end = (start + PIECE_BYTES as u64).min(len);
            self.read_blocks(key, location, &header, start..end)?;
        }
        Ok(())
    }

    /// Reads every value, and counts what is live as an open does.
    fn check_values(&self, report: &mut CheckReport) -> Result<()> {
        let space = &self.core.space;
        let (view, kept) = self.log.at_rest(|_| (self.view(), space.kept_counts()));
        let mut live = space.no_liveness();
        let mut sound = true;
        for found in view?.range(Bound::Unbounded, Bound::Unbounded) {
            let location = found.location();
            sound &= add_live(space, &mut live, found.key().len(), location);
            report.keys += 1;
            match self.verify(found.key(), location) {
                Ok(()) => report.value_bytes += u64::from(location.value_len()),
                Err(error @ (Error::Closed | Error::Forked)) => return Err(error),
                Err(error) => report.problems.push(error),
            }
        }
        let differing = kept.differing(&live, space.extent_pages());
        let what = "the live bytes that are kept of it are not those of its keys";
        let miscounted = |page: PageNo| Error::Miscounted { page: page.0, what };
        report.problems.extend(differing.into_iter().map(miscounted));
        if !sound {
            report.problems.push(miscounted(PageNo(self.core.volume.len_pages())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn counts_that_are_not_those_of_the_index_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new().extent_bytes(64 << 10).volume_bytes(4 << 20);
        let engine = Engine::open(&dir.path().join("data.vol"), &options).unwrap();
        let db = crate::db::Db::new(crate::sync::Arc::clone(&engine));
        for key in 0..40_u8 {
            db.put([key], [key; 1000]).unwrap();
            db.put([key, key], vec![key; 20_000]).unwrap();
        }
        for key in (0..40_u8).step_by(3) {
            db.delete([key]).unwrap();
            db.delete([key, key]).unwrap();
        }
        let problems = || {
            let pages = db.check().unwrap().problems.into_iter().map(|problem| match problem {
                Error::Miscounted { page, .. } => page,
                other => panic!("{other}"),
            });
            pages.collect::<Vec<_>>()
        };
        assert_eq!(problems(), [0; 0]);
        let space = &engine.core.space;
        let large = engine.locate(&[1, 1]).unwrap().unwrap().page();
        let small = space.extent_of(engine.locate(&[1]).unwrap().unwrap().page());
        space.miscount(small, large);
        let first = |extent: crate::format::ids::ExtentNo| u64::from(extent.0) * 16;
        let mut expected = [first(small), first(space.extent_of(large))];
        expected.sort_unstable();
        assert_eq!(problems(), expected);
    }
}
