//! Raw reads of the volume: of random places, in pages as the store reads them.

use super::part::Part;
use super::store::{MANY, Store};
use crate::args::ReadsArgs;
use crate::measure::drive::{Limit, drive};
use crate::measure::random::Random;
use crate::measure::ring::Ring;
use crate::measure::sample::Sample;
use anyhow::{Context, Result};
use extentdb::{AlignedBuf, DirectState};
use nix::fcntl::OFlag;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::time::Instant;

const PAGE: usize = 4096;
/// Reads of a scan that are under way at once.
const DEPTH: usize = 64;

/// The volume, as a file to read.
#[derive(Debug)]
pub(super) struct Raw {
    file: File,
    places: Places,
}

/// Where to read, and how much.
#[derive(Debug, Clone)]
struct Places {
    pages: u64,
    /// Pages of the shorter of two kinds of reads, and how many reads in a million are of a page
    /// more.
    least: usize,
    longer: u64,
    random: Random,
}

impl Raw {
    /// Opens the volume of `store` once more, and removes its name.
    pub(super) fn open(args: &ReadsArgs, store: &Store) -> Result<Self> {
        let mut options = File::options();
        options.read(true);
        if store.db.info().device.direct == DirectState::Active {
            options.custom_flags(OFlag::O_DIRECT.bits());
        }
        let file = options.open(&args.volume);
        fs::remove_file(&args.volume)?;
        let places = Places::of(store)?;
        Ok(Self { file: file.context("the volume")?, places })
    }

    /// Reads as `part` of the store does until `limit`; `None` where there is nothing like it.
    pub(super) fn slice(&mut self, part: Part, limit: Limit) -> Result<Option<Sample>> {
        Ok(match part {
            Part::Get | Part::Get16 => Some(self.reads(part.threads(), limit)?),
            Part::MultiGet => Some(self.many(limit)?),
            Part::Scan | Part::ScanBack => Some(self.stream(limit)?),
            Part::Hot => None,
        })
    }

    fn reads(&mut self, threads: usize, limit: Limit) -> Result<Sample> {
        let seed = self.places.random.next();
        let (file, places) = (&self.file, &self.places);
        drive(threads, limit, |thread| {
            let mut buf = AlignedBuf::new(places.longest())?;
            let random = Random::new(seed ^ thread as u64);
            let mut places = Places { random, ..places.clone() };
            Ok(move |_| {
                let (offset, len) = places.next();
                file.read_exact_at(&mut buf[..len], offset).context("raw read")
            })
        })
    }

    fn many(&mut self, limit: Limit) -> Result<Sample> {
        let mut ring = Ring::new(&self.file, MANY, self.places.longest())?;
        let begun = Instant::now();
        let mut sample = Sample::new();
        while begun.elapsed() < limit.time {
            let places: Vec<_> = (0..MANY).map(|_| self.places.next()).collect();
            let one = Instant::now();
            ring.read_all(&places)?;
            sample.record(one.elapsed() / MANY as u32, MANY as u64);
        }
        sample.took(begun.elapsed());
        Ok(sample)
    }

    fn stream(&mut self, limit: Limit) -> Result<Sample> {
        let mut ring = Ring::new(&self.file, DEPTH, self.places.longest())?;
        let begun = Instant::now();
        let mut count = 0_u64;
        let places = &mut self.places;
        let next = || (begun.elapsed() < limit.time).then(|| places.next());
        ring.stream(next, || count += 1)?;
        let mut sample = Sample::new();
        sample.record(begun.elapsed() / count.max(1) as u32, count);
        sample.took(begun.elapsed());
        Ok(sample)
    }
}

impl Places {
    /// As a few gets of `store` read.
    fn of(store: &Store) -> Result<Self> {
        let before = store.db.metrics();
        store.read_some()?;
        let after = store.db.metrics();
        let reads = (after.reads - before.reads).max(1);
        let pages = (after.read_bytes - before.read_bytes) / PAGE as u64;
        let least = (pages / reads).max(1);
        Ok(Self {
            pages: after.log_bytes / PAGE as u64,
            least: least as usize,
            longer: (pages - least * reads) * 1_000_000 / reads,
            random: Random::new(31),
        })
    }

    /// Bytes of the longest read.
    fn longest(&self) -> usize {
        (self.least + 1) * PAGE
    }

    /// Offset and length of the next read.
    fn next(&mut self) -> (u64, usize) {
        let pages = self.least + usize::from(self.random.below(1_000_000) < self.longer);
        let page = self.random.below(self.pages.saturating_sub(pages as u64).max(1));
        (page * PAGE as u64, pages * PAGE)
    }
}
