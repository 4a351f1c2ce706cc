//! From a path to an open volume.

use super::Engine;
use super::cache::Cache;
use super::checkpoint::Checkpointer;
use super::collector::Collector;
use super::committer::Committer;
use super::core::Core;
use super::creation;
use super::geometry::Geometry;
use super::recovery::{Found, Recovered, find_superblock, recover};
use super::renewal::Renewal;
use crate::device::{
    self, AlignedBuf, BufferPool, Device, DeviceInfo, DirectState, ForkGuard, Volume, gives_way,
};
use crate::error::{Error, Result};
use crate::events::{Event, Events};
use crate::extent::{Claim, Space};
use crate::format::ids::{MAX_EXTENTS, PAGE_BYTES, PageNo, StoreId, pages_for};
use crate::format::superblock::Superblock;
use crate::metrics::{Recorder, Stage};
use crate::options::Options;
use crate::report::OpenReport;
use crate::seeded::{Bug, seeded};
use crate::sync::{self, Arc, AtomicBool, Mutex, Thread};
use crate::wal::{Log, LogConfig};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;

/// What stands behind a volume, opened and locked.
pub(crate) struct Medium {
    pub(crate) device: Arc<dyn Device>,
    pub(crate) info: DeviceInfo,
    /// Length, which need not be whole pages.
    pub(crate) len_bytes: u64,
    /// Where its I/O memory comes from.
    pub(crate) pool: BufferPool,
}

/// Who runs the steps beside the commits: flushes of the weaker modes, evidence, footers, and
/// preparation. The store works without them, a little slower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Background {
    /// Threads of the engine's own.
    Threads,
    /// Whoever calls the steps.
    #[cfg(test)]
    Manual,
}

impl Engine {
    /// Opens the volume at `path`, creating it if it is absent and the options allow it.
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Arc<Self>> {
        options.check()?;
        let may_create = options.create || options.create_new;
        let opened = device::open(path, options.direct_io, may_create)?;
        let opened = opened.with_io_uring(options.io_uring);
        let medium = Medium {
            device: Arc::new(opened.device),
            info: opened.info,
            len_bytes: opened.len_bytes,
            pool: BufferPool::new(options.buffer_bytes),
        };
        Self::open_on(medium, options, Background::Threads)
    }

    /// Opens the volume on `medium`, which is released if that fails.
    pub(crate) fn open_on(
        medium: Medium,
        options: &Options,
        background: Background,
    ) -> Result<Arc<Self>> {
        let path = Arc::new(medium.info.path.clone());
        let direct = medium.info.direct == DirectState::Active;
        let events = Events::new(options.listener.clone());
        let device = Arc::clone(&medium.device);
        let volume = Arc::new(Volume::new(device, path, direct, events.clone()));
        let begun = sync::now();
        let heard = match background {
            Background::Threads => events.start(),
            #[cfg(test)]
            Background::Manual => Ok(()),
        };
        let opened = heard
            .map_err(|source| Error::no_thread(volume.path(), source))
            .and_then(|()| Self::open_volume(&volume, &medium, options, background));
        match &opened {
            Ok(engine) => events.tell(|| {
                let (report, took) = (engine.report.clone(), begun.elapsed());
                Event::Opened { report, took }
            }),
            Err(_) => {
                volume.close();
                events.close();
            }
        }
        opened
    }

    fn open_volume(
        volume: &Arc<Volume>,
        medium: &Medium,
        options: &Options,
        background: Background,
    ) -> Result<Arc<Self>> {
        let begun = sync::now();
        let pool = medium.pool.clone();
        let mut report = OpenReport::default();
        // R1: what an earlier process wrote and never flushed must not be shown and then lost.
        if !seeded(Bug::OpenWithoutBarrier) {
            volume.barrier()?;
        }
        let superblock = find_or_create(volume, medium, options, &pool, &mut report)?;
        report.timings.lock = begun.elapsed();
        let max_pages = growth_limit(&superblock, options, volume.len_pages());
        let superblock = Superblock { max_pages, ..superblock };
        let core = Arc::new(Core::new(
            Arc::clone(volume),
            superblock.store,
            pool.clone(),
            Space::new(
                Arc::clone(volume),
                pool.clone(),
                superblock.extent_pages,
                max_pages,
                options.slice_bytes,
            )
            .discarding(
                options.discard,
                options.discard || medium.device.may_have_holes().unwrap_or(true),
            )
            .shrinking_to(Geometry::of(&superblock).first_pages(creation::FIRST_EXTENTS)),
            options.garbage_ratio,
            options.on_fatal.clone(),
        ));
        let Recovered { start, images, superblock } =
            recover(&core, &superblock, options.on_progress.as_ref(), &mut report)?;
        if let DirectState::Unavailable { why } = &medium.info.direct {
            report.warnings.push(format!("transfers go through the page cache: {why}"));
        }
        if start.frozen {
            report.warnings.push("no room is left to write anything: reads only".into());
        }
        let recorder = Arc::new(Recorder::new());
        let config = LogConfig {
            store: superblock.store,
            extent_pages: superblock.extent_pages,
            depth: options.pipeline_depth,
            worth_bytes: options.worth_bytes,
            window: options.sync_window,
            evidence_after: options.evidence_after,
        };
        let host = Arc::clone(&core);
        let log = Log::new(config, Arc::clone(volume), host, Arc::clone(&recorder), pool, start);
        let log = Arc::new(log);
        let checkpointer = Checkpointer::new(
            &core,
            &log,
            &recorder,
            options.pace(max_pages),
            superblock.clone(),
            images,
        );
        let checkpointer = Arc::new(checkpointer);
        let renewal = Arc::new(Renewal::new(&core, &log, &checkpointer));
        let collector = Collector::new(&core, &log, &checkpointer, &renewal);
        let committer = Committer::new(&log, background == Background::Threads);
        core.take_stock();
        if !core.space.has_room(Claim::Put) {
            core.garbage_bell.ring();
        }
        let engine = Arc::new(Self {
            core,
            log,
            recorder,
            // Who listens is let go of by a close.
            options: Options { listener: None, ..options.clone() },
            device: medium.info.clone(),
            report,
            checkpointer,
            collector: Arc::new(collector),
            cache: Cache::new(options.cache_bytes),
            renewal,
            committer,
            opened_with: superblock,
            fork: ForkGuard::new(),
            closed: AtomicBool::new(false),
            threads: Mutex::new(Vec::new()),
        });
        if background == Background::Threads
            && let Err(error) = engine.start_threads()
        {
            // The threads that did start end with the log.
            let _ = engine.close();
            return Err(error);
        }
        engine.recorder.stop(Stage::Open, Some(begun));
        Ok(engine)
    }

    fn start_threads(&self) -> Result<()> {
        let flusher = Arc::clone(&self.log);
        let upkeep = Arc::clone(&self.log);
        let checkpointer = Arc::clone(&self.checkpointer);
        let collector = Arc::clone(&self.collector);
        let started = [
            Thread::start("extentdb-flush", move || flusher.run_flusher()),
            Thread::start("extentdb-upkeep", move || upkeep.run_upkeep()),
            start_in_background("extentdb-checkpoint", move || checkpointer.run_background()),
            start_in_background("extentdb-collect", move || collector.run_background()),
        ];
        let mut threads = self.threads.lock();
        for thread in started {
            let thread = thread.map_err(|source| Error::no_thread(self.core.volume.path(), source));
            threads.push(thread?);
        }
        Ok(())
    }
}

/// A thread for whose work nobody waits, as a rule.
fn start_in_background(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    Thread::start(name, move || {
        gives_way();
        body();
    })
}

fn growth_limit(superblock: &Superblock, options: &Options, len_pages: u64) -> u64 {
    if superblock.fixed {
        return superblock.max_pages;
    }
    let asked = options.max_bytes.map(|bytes| bytes / PAGE_BYTES as u64);
    let most = MAX_EXTENTS * u64::from(superblock.extent_pages);
    asked.unwrap_or(superblock.max_pages).min(most).max(len_pages)
}

fn find_or_create(
    volume: &Arc<Volume>,
    medium: &Medium,
    options: &Options,
    pool: &BufferPool,
    report: &mut OpenReport,
) -> Result<Superblock> {
    let mut page = pool.take(1)?;
    let marker = match find_superblock(volume, &mut page)? {
        Found::Store(..) | Found::Marked(_) if options.create_new => {
            return Err(Error::AlreadyExists { path: Arc::clone(volume.path()) });
        }
        Found::Store(superblock, damaged) => {
            let note = |what| format!("{what} is damaged; the other one serves");
            report.repaired.extend(damaged.map(note));
            return Ok(*superblock);
        }
        Found::Marked(superblock) => {
            return creation::replace_marker(volume, pool, *superblock);
        }
        Found::Unfinished(_) if !(options.create || options.create_new) => {
            let what = "its creation was cut short; open it with create(true) to finish it";
            return Err(Error::NotAStore { path: Arc::clone(volume.path()), what });
        }
        Found::Unfinished(marker) if seeded(Bug::MarkerRewritten) => {
            creation::begin(volume, pool, new_store_id(), Geometry::of(&marker))?
        }
        Found::Unfinished(marker) => *marker,
        found => {
            check_vacant(volume, medium, options, &found, &mut page)?;
            let device_pages = medium.info.is_block_device.then(|| volume.len_pages());
            let geometry = Geometry::new(options, device_pages)?;
            creation::begin(volume, pool, new_store_id(), geometry)?
        }
    };
    report.created = true;
    creation::finish(volume, pool, &marker)
}

/// Whether a volume may be created here: nothing that is not ours is overwritten.
fn check_vacant(
    volume: &Volume,
    medium: &Medium,
    options: &Options,
    found: &Found,
    page: &mut AlignedBuf,
) -> Result<()> {
    let refuse = |what| Err(Error::NotAStore { path: Arc::clone(volume.path()), what });
    if medium.info.is_block_device {
        if !zeros_at_ends(volume, page)? {
            return refuse("the device holds other data; erase all of it to use it");
        }
        if !options.create_new {
            return refuse("the device is empty; open it with create_new(true) to use it");
        }
        return Ok(());
    }
    let vacant = medium.len_bytes == 0
        || (medium.len_bytes == PAGE_BYTES as u64 && matches!(found, Found::Zeros));
    if !vacant {
        return refuse("the file holds other data; choose another path");
    }
    if options.create || options.create_new {
        return Ok(());
    }
    refuse("the file is empty; open it with create(true) to use it")
}

/// Whether the places hold only zeros where file systems, partition tables and volume managers
/// keep their identity.
fn zeros_at_ends(volume: &Volume, page: &mut AlignedBuf) -> Result<bool> {
    let probe = pages_for(1 << 20);
    let len = volume.len_pages();
    let last = len.saturating_sub(probe).max(probe);
    for at in (0..probe.min(len)).chain(last..len) {
        volume.read(PageNo(at), page)?;
        if page.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn new_store_id() -> StoreId {
    StoreId(RandomState::new().hash_one(std::process::id()))
}
