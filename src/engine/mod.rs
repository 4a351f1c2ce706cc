//! Where log, extents and index meet.
//!
//! Reading order: [`mod@write`] a put on its way down, [`submit`] one that nobody waits for, [`read`] a get on its way back, `apply` the
//! fold of the log that is the state, [`recovery`] the same fold at open, [`creation`] how a
//! volume comes to be.

mod apply;
mod bell;
mod cache;
mod check;
mod checkpoint;
mod collector;
mod committer;
mod core;
mod creation;
mod delta;
mod evacuation;
#[cfg(all(test, not(extentdb_schedules)))]
mod fatal_test;
mod geometry;
mod governor;
mod image;
mod image_writer;
mod load;
mod moved;
mod open;
mod pacer;
mod quarantine;
mod read;
mod read_many;
mod recovery;
mod relocation;
mod renewal;
mod room;
mod scan;
mod shown;
mod sparse;
mod stored;
mod submit;
mod verify;
mod victims;
mod wanted;
mod workers;
mod write;

use self::cache::Cache;
use self::checkpoint::Checkpointer;
use self::collector::Collector;
use self::committer::Committer;
use self::core::Core;
use self::renewal::Renewal;
use crate::device::{AlignedBuf, DeviceInfo, ForkGuard};
use crate::error::{Error, Result};
use crate::events::CheckpointCause;
use crate::extent::bytes_of;
use crate::format::ids::PAGE_BYTES;
use crate::format::location::Location;
use crate::format::superblock::Superblock;
use crate::index::View;
use crate::info::{Discard, Info};
use crate::metrics::{Counter, Metrics, Recorder, Stage};
use crate::options::Options;
use crate::report::OpenReport;
use crate::seeded::{Bug, seeded};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, Thread};
use crate::value::Value;
use crate::wal::Log;
use std::fmt;
use std::ops::Range;

pub(crate) use checkpoint::Pace;
#[cfg(test)]
pub(crate) use open::{Background, Medium};
pub(crate) use read::Caching;
pub(crate) use write::Operation;

/// An open volume.
pub(crate) struct Engine {
    core: Arc<Core>,
    log: Arc<Log>,
    recorder: Arc<Recorder>,
    options: Options,
    device: DeviceInfo,
    report: OpenReport,
    checkpointer: Arc<Checkpointer>,
    collector: Arc<Collector>,
    renewal: Arc<Renewal>,
    cache: Cache,
    committer: Arc<Committer>,
    /// The superblock that was found.
    opened_with: Superblock,
    fork: ForkGuard,
    closed: AtomicBool,
    threads: Mutex<Vec<Thread>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("core", &self.core).finish_non_exhaustive()
    }
}

impl Engine {
    /// Refuses a handle that was closed or inherited by a forked child.
    pub(crate) fn check_usable(&self) -> Result<()> {
        if self.fork.is_child() {
            return Err(Error::Forked);
        }
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.check_usable()?;
        let begun = self.recorder.start();
        let _reading = self.core.readers.enter();
        let location = self.core.index.get(key);
        self.recorder.lap(Stage::GetIndex, begun);
        let value = location.map(|location| self.fetch(key, location)).transpose();
        let value = if seeded(Bug::ErrorIsAbsence) { value.or(Ok(None)) } else { value };
        self.recorder.stop(Stage::Get, begun);
        self.recorder.count(Counter::Gets, 1);
        self.recorder.count(Counter::Misses, u64::from(location.is_none()));
        value
    }

    /// Memory for a value of `len` bytes, from what the store keeps for its own transfers.
    pub(crate) fn aligned_buf(&self, len: usize) -> Result<AlignedBuf> {
        self.check_usable()?;
        Ok(self.core.pool.take(len.div_ceil(PAGE_BYTES).max(1))?.shortened(len))
    }

    /// Where the value of `key` is.
    pub(crate) fn locate(&self, key: &[u8]) -> Result<Option<Location>> {
        self.check_usable()?;
        Ok(self.core.index.get(key))
    }

    /// The values of `keys`, all as of one moment.
    pub(crate) fn get_all<K: AsRef<[u8]>>(&self, keys: &[K]) -> Vec<Result<Option<Value>>> {
        if let Err(error) = self.check_usable() {
            return keys.iter().map(|_| Err(error.clone())).collect();
        }
        let _reading = self.core.readers.enter();
        let locations = self.core.index.get_all(keys);
        self.get_located(keys, &locations)
    }

    /// The values of `keys`, which are at `locations`.
    pub(crate) fn get_located<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        locations: &[Option<Location>],
    ) -> Vec<Result<Option<Value>>> {
        let pairs = keys.iter().zip(locations);
        let wanted: Vec<_> = pairs
            .filter_map(|(key, location)| location.map(|location| (key.as_ref(), location)))
            .collect();
        let mut values = self.fetch_many(Caching::Keep, &wanted).into_iter();
        let value = |location: &Option<_>| location.and_then(|_| values.next()).transpose();
        locations.iter().map(value).collect()
    }

    /// Bytes `wanted` of the value of `key`.
    pub(crate) fn get_range(&self, key: &[u8], wanted: Range<u64>) -> Result<Option<Value>> {
        self.check_usable()?;
        let _reading = self.core.readers.enter();
        let location = self.core.index.get(key);
        location.map(|location| self.fetch_range(key, location, wanted)).transpose()
    }

    /// Collects all garbage that is worth it.
    pub(crate) fn collect_garbage(&self) -> Result<()> {
        self.check_usable()?;
        self.collector.run()
    }

    /// Frees or collects an extent, if that is due.
    #[cfg(test)]
    pub(crate) fn collector_step(&self) -> Result<bool> {
        self.check_usable()?;
        self.collector.step()
    }

    /// Calls `meanwhile` the next time that large values have been copied and no record says so yet.
    #[cfg(test)]
    pub(crate) fn when_copied(&self, meanwhile: impl FnOnce() + Send + 'static) {
        self.collector.when_copied(meanwhile);
    }

    /// Tells the listener what there is to tell.
    #[cfg(all(test, not(extentdb_schedules)))]
    pub(crate) fn deliver_events(&self) {
        self.core.volume.events.deliver();
    }

    /// Large extents with pages that are neither free nor of a value.
    #[cfg(test)]
    pub(crate) fn with_lost_pages(&self) -> Vec<u32> {
        self.core.space.with_lost_pages()
    }

    /// Runs the steps beside the commits that are due.
    #[cfg(test)]
    pub(crate) fn step(&self) -> Result<()> {
        self.log.flush_step();
        self.log.supply_step()?;
        while self.log.footer_step()? {}
        Ok(())
    }

    /// Writes a footer that is due; whether there was one.
    #[cfg(test)]
    pub(crate) fn footer_step(&self) -> Result<bool> {
        self.log.footer_step()
    }

    /// All keys as they are now.
    pub(crate) fn view(&self) -> Result<View> {
        self.check_usable()?;
        Ok(self.core.index.view())
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> u64 {
        if self.fork.is_child() { 0 } else { self.core.index.len() }
    }

    /// Writes a checkpoint of all that is there now.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        self.check_usable()?;
        if self.log.frozen_at().is_some() {
            self.renewal.have_log(self.log.life())?;
        }
        self.checkpointer.run(CheckpointCause::Asked)
    }

    /// Writes the next piece of a checkpoint.
    #[cfg(test)]
    pub(crate) fn checkpoint_step(&self) -> Result<checkpoint::Progress> {
        self.check_usable()?;
        self.checkpointer.step()
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.check_usable()?;
        self.log.sync()
    }

    /// The failure that stopped the handle from writing, if one did.
    pub(crate) fn fatal(&self) -> Option<Arc<Error>> {
        if self.fork.is_child() { Some(Arc::new(Error::Forked)) } else { self.log.fatal() }
    }

    pub(crate) fn report(&self) -> &OpenReport {
        &self.report
    }

    pub(crate) fn info(&self) -> Info {
        let len_pages = self.core.volume.len_pages();
        let discard = match (self.options.discard, self.core.space.cannot_discard()) {
            (false, _) => Discard::Off,
            (true, false) => Discard::On,
            (true, true) => Discard::Unsupported,
        };
        Info::new(self.device.clone(), &self.opened_with, &self.options, len_pages, discard)
    }

    pub(crate) fn metrics(&self) -> Metrics {
        if self.fork.is_child() {
            return Metrics::default();
        }
        let usage = self.core.space.usage();
        let mut metrics = self.recorder.snapshot().with_traffic(&self.core.volume.traffic);
        metrics.keys = self.len();
        metrics.cached_bytes = self.cache.bytes();
        metrics.live_bytes = self.core.space.live_bytes();
        metrics.index_bytes = self.core.index.memory_bytes();
        let bytes = |extents: u64| extents * self.core.extent_bytes();
        metrics.utilization =
            (usage.settled > 0).then(|| usage.settled_live as f64 / bytes(usage.settled) as f64);
        metrics.used_bytes = bytes(usage.used);
        metrics.allowed_bytes = bytes(self.core.allowed_extents());
        metrics.held_bytes = bytes(usage.held);
        metrics.set_aside_bytes = bytes(usage.set_aside);
        metrics.collection = self.collector.collection();
        metrics.moved_large_bytes = self.collector.moved_large_bytes();
        metrics.collection_read_bytes = self.core.collection_read_bytes();
        let heard = self.core.volume.events.heard();
        metrics.events_told = heard.told;
        metrics.events_missed = heard.missed;
        metrics.listener_panics = heard.panics;
        let pins = self.core.index.pins();
        metrics.pins = pins.count as u64;
        metrics.oldest_pin_age = pins.oldest_since.map(|since| since.elapsed());
        metrics.pinned_bytes = pins.held_value_bytes;
        metrics.volume_bytes = bytes_of(self.core.volume.len_pages());
        metrics.max_bytes = bytes_of(self.core.space.max_pages());
        metrics.log_bytes = bytes(usage.log);
        metrics.value_bytes = bytes(usage.value);
        metrics.large_bytes = bytes(usage.large);
        metrics.image_bytes = bytes(usage.image);
        metrics.free_bytes = bytes(usage.free);
        metrics.discarded_bytes = bytes(usage.discarded);
        metrics
    }

    /// Makes everything durable, releases the volume, and refuses all later use.
    pub(crate) fn close(&self) -> Result<()> {
        self.check_usable()?;
        // What tasks began is done first.
        self.committer.close();
        if self.closed.swap(true, Ordering::AcqRel) {
            return Err(Error::Closed);
        }
        self.core.bell.close();
        self.core.garbage_bell.close();
        let closed = self.log.close().and_then(|()| self.checkpointer.close());
        for thread in self.threads.lock().drain(..) {
            thread.join();
        }
        self.core.volume.close();
        self.core.volume.events.close();
        closed
    }
}

impl Drop for Engine {
    /// Closes the volume, unless that happened or the process is a forked child, in which the
    /// engine's threads do not exist.
    fn drop(&mut self) {
        // Who wants to hear of an error calls `close`.
        let _ = self.close();
    }
}
