//! The metrics of a store at one moment.

use super::collection::Collection;
use super::histogram::Histogram;
use super::recorder::MAX_NS;
use super::stage::Stage;
use crate::device::{Purpose, Traffic};
use crate::sync::{AtomicU64, Ordering};
use hdrhistogram::Histogram as Counts;
use std::time::Duration;

/// How long a stage took, to 3 significant digits; 60 s stands for anything longer.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// db.put("k", "v")?;
/// let metrics = db.metrics();
/// let latency = metrics.latency(extentdb::Stage::PutWrite).expect("there was a write");
/// assert!(latency.samples >= 1 && latency.p50_ns <= latency.max_ns);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Latency {
    /// Times measured. For a sampled [`Stage`] there were about 16 times as many.
    pub samples: u64,
    /// The mean, in ns.
    pub mean_ns: u64,
    /// The median, in ns.
    pub p50_ns: u64,
    /// What 99 in 100 did not exceed, in ns.
    pub p99_ns: u64,
    /// What 999 in 1000 did not exceed, in ns.
    pub p999_ns: u64,
    /// The longest measured, in ns.
    pub max_ns: u64,
}

impl Latency {
    /// What `counts` of latencies in ns show.
    pub(super) fn of(counts: &Counts<u64>) -> Self {
        let quantile_ns = |quantile| counts.value_at_quantile(quantile).min(MAX_NS);
        Self {
            samples: counts.len(),
            mean_ns: (counts.mean().round() as u64).min(MAX_NS),
            p50_ns: quantile_ns(0.5),
            p99_ns: quantile_ns(0.99),
            p999_ns: quantile_ns(0.999),
            max_ns: counts.max().min(MAX_NS),
        }
    }
}

/// Bytes written to the device since the store was opened, by purpose.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// let before = db.metrics().written;
/// db.put("large", vec![1; 1 << 20])?;
/// let after = db.metrics().written;
/// assert!(after.large - before.large >= 1 << 20);
/// assert!(after.log > before.log, "the record that refers to it");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Written {
    /// Pages of the log, in bytes.
    pub log: u64,
    /// Large values, in bytes.
    pub large: u64,
    /// Zeros written ahead of the log, in bytes.
    pub prepared: u64,
    /// Checkpoint images, in bytes.
    pub checkpoint: u64,
    /// Live records that garbage collection moved, in bytes.
    pub collected: u64,
    /// Footers, evidence pages and superblocks, in bytes.
    pub upkeep: u64,
}

impl Written {
    /// Bytes written so far, from `traffic`.
    fn of(traffic: &Traffic) -> Self {
        Self {
            log: traffic.written(Purpose::Log),
            large: traffic.written(Purpose::Large),
            prepared: traffic.written(Purpose::Preparation),
            checkpoint: traffic.written(Purpose::Checkpoint),
            collected: traffic.written(Purpose::Collection),
            upkeep: traffic.written(Purpose::Upkeep),
        }
    }

    /// Bytes written to the log, as large values and by the collector for each of `record_bytes`;
    /// None if 0.
    pub(super) fn amplification(&self, record_bytes: u64) -> Option<f64> {
        let written = self.log + self.large + self.collected;
        (record_bytes > 0).then(|| written as f64 / record_bytes as f64)
    }
}

/// What a store did since it was opened, how long it took, and the space it uses now.
///
/// Prints as a table, without the rows that are empty. The numbers are read one by one while the
/// store works, so those of operations under way may not agree.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// db.put("k", "v")?;
/// db.delete("k")?;
/// let metrics = db.metrics();
/// assert_eq!((metrics.puts, metrics.deletes, metrics.keys), (1, 1, 0));
/// assert!(metrics.to_string().contains("deletes"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// Latencies by stage, of the stages with samples, in the order of [`Stage`].
    pub latencies: Vec<(Stage, Latency)>,
    /// All that the latencies are of.
    pub(super) histograms: Vec<(Stage, Histogram)>,
    /// Puts, alone or in write batches.
    pub puts: u64,
    /// Deletes, alone or in write batches.
    pub deletes: u64,
    /// Gets, hit or miss.
    pub gets: u64,
    /// Gets that found no such key.
    pub misses: u64,
    /// Values that gets and multi-gets found in the cache.
    pub cache_hits: u64,
    /// Values that they did not find there, of those that may enter it.
    pub cache_misses: u64,
    /// Write batches.
    pub batches: u64,
    /// Records handed to the log, those that announce large values included.
    pub records: u64,
    /// Bytes of the records accepted: headers, keys and values, large values included.
    pub record_bytes: u64,
    /// Keys present now.
    pub keys: u64,
    /// Size of the volume now, in bytes.
    pub volume_bytes: u64,
    /// Size to which the volume may grow, in bytes.
    pub max_bytes: u64,
    /// Extents of the log times their size, in bytes.
    pub log_bytes: u64,
    /// Extents of records that garbage collection moved, times their size, in bytes.
    pub value_bytes: u64,
    /// Space taken by large values, in bytes.
    pub large_bytes: u64,
    /// Space taken by checkpoint images, in bytes.
    pub image_bytes: u64,
    /// Space of the volume that nothing takes, in bytes.
    pub free_bytes: u64,
    /// Of that, extents whose blocks were given back, or may have been before the store was opened
    /// (see [`discard`](crate::Options::discard)), in bytes.
    pub discarded_bytes: u64,
    /// Live records, with their headers, in bytes.
    pub live_bytes: u64,
    /// Live bytes of records beside their keys for each byte of the extents that they are in; None
    /// where there are none. Without the extent that is being collected to, and those in which
    /// snapshots or iterators hold something.
    pub utilization: Option<f64>,
    /// Extents in use times their size, in bytes: of the log, of values, of images.
    pub used_bytes: u64,
    /// The most of them that the space contract allows (see
    /// [`garbage_ratio`](crate::Options::garbage_ratio)), in bytes. What snapshots hold on to
    /// comes on top.
    pub allowed_bytes: u64,
    /// Extents with records that only snapshots and iterators refer to, times their size, in bytes.
    pub held_bytes: u64,
    /// Extents with live records that garbage collection could not read, and so leaves as they are until
    /// the next open, times their size, in bytes.
    pub set_aside_bytes: u64,
    /// Pages of large values that were moved, so that the extents that they were in could be used
    /// for something else, in bytes.
    pub moved_large_bytes: u64,
    /// Bytes that garbage collection read, of records beside their keys and of footers that say where
    /// they are.
    pub collection_read_bytes: u64,
    /// What garbage collection did when it last looked, or why it did nothing.
    pub collection: Collection,
    /// Bytes of values in the cache, with what keeping them takes.
    pub cached_bytes: u64,
    /// Memory of the index, in bytes: keys, where their values are, and what snapshots and
    /// iterators need of the past.
    pub index_bytes: u64,
    /// Moments that snapshots and iterators hold on to.
    pub pins: u64,
    /// How long ago the oldest of them was taken.
    pub oldest_pin_age: Option<Duration>,
    /// Bytes of keys and values that only they refer to, about.
    pub pinned_bytes: u64,
    /// Events that the [listener](crate::EventListener) was told.
    pub events_told: u64,
    /// Events that it missed, as it was too slow.
    pub events_missed: u64,
    /// Calls of the listener that ended in a panic.
    pub listener_panics: u64,
    /// Bytes written to the device, by purpose.
    pub written: Written,
    /// Write operations on the device.
    pub writes: u64,
    /// Barriers on the device.
    pub barriers: u64,
    /// Read operations on the device.
    pub reads: u64,
    /// Bytes read from the device.
    pub read_bytes: u64,
    /// Bytes written to the log, as large values and by garbage collection for each byte of the
    /// records accepted; None before the first record.
    pub write_amplification: Option<f64>,
}

impl Metrics {
    /// How long `stage` took; None if it has no samples.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// use extentdb::Stage;
    ///
    /// let metrics = db.metrics();
    /// assert_eq!(metrics.latency(Stage::Open).expect("it was opened").samples, 1);
    /// assert_eq!(metrics.latency(Stage::GetDevice), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn latency(&self, stage: Stage) -> Option<&Latency> {
        self.latencies.iter().find(|(other, _)| *other == stage).map(|(_, latency)| latency)
    }

    /// Every latency of `stage`; None if it has no samples.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "v")?;
    /// let metrics = db.metrics();
    /// let writes = metrics.histogram(extentdb::Stage::PutWrite).expect("there was a write");
    /// print!("{}", writes.to_hgrm());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn histogram(&self, stage: Stage) -> Option<&Histogram> {
        self.histograms.iter().find(|(other, _)| *other == stage).map(|(_, histogram)| histogram)
    }

    /// Fills in what the device did, and the write amplification that follows from it.
    #[must_use]
    pub(crate) fn with_traffic(mut self, traffic: &Traffic) -> Self {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.written = Written::of(traffic);
        self.writes = load(&traffic.writes);
        self.barriers = load(&traffic.barriers);
        self.reads = load(&traffic.reads);
        self.read_bytes = load(&traffic.read_bytes);
        self.write_amplification = self.written.amplification(self.record_bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_filled_in_and_the_rest_stays() {
        let traffic = Traffic::default();
        traffic.barriers.store(3, Ordering::Relaxed);
        traffic.read_bytes.store(8192, Ordering::Relaxed);
        let latencies = vec![(Stage::Get, Latency { samples: 7, ..Latency::default() })];
        let recorded = Metrics { latencies, record_bytes: 5, ..Metrics::default() };
        let metrics = recorded.with_traffic(&traffic);
        assert_eq!((metrics.record_bytes, metrics.barriers, metrics.read_bytes), (5, 3, 8192));
        assert_eq!(metrics.latency(Stage::Get).unwrap().samples, 7);
        assert_eq!(metrics.latency(Stage::Put), None);
        assert_eq!(metrics.write_amplification, Some(0.0));
    }

    #[test]
    fn amplification_leaves_preparation_and_upkeep_out() {
        let written = Written {
            log: 300,
            large: 200,
            prepared: 1 << 20,
            checkpoint: 9,
            collected: 100,
            upkeep: 4096,
        };
        assert_eq!(written.amplification(400), Some(1.5));
        assert_eq!(written.amplification(0), None);
    }
}
