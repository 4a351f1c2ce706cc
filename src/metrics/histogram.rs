//! The latencies of a stage, one by one.

use super::recorder::{MAX_NS, histogram_of_ns};
use super::snapshot::Latency;
use crate::sync::Arc;
use hdrhistogram::Histogram as Counts;
use std::fmt;

/// How often a stage took how long: every latency that was measured, to 3 significant digits.
///
/// For a sampled [`Stage`](crate::Stage) that is one in 16 on average. Clones share the memory, which is
/// up to 220 KB.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// use extentdb::Stage;
///
/// let before = db.metrics();
/// for i in 0..100_u32 {
///     db.put(i.to_be_bytes(), "value")?;
/// }
/// // What happened between two moments.
/// let interval = db.metrics().since(&before);
/// let flushes = interval.histogram(Stage::PutFlush).expect("puts flush");
/// assert!(flushes.samples() >= 100, "one for each put of a lone writer");
/// println!("p99.99: {} us", flushes.quantile_ns(0.9999) / 1000);
///
/// // For the tools of HdrHistogram, and its plotter.
/// std::fs::write(dir.path().join("flushes.hgrm"), flushes.to_hgrm())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Histogram(pub(super) Arc<Counts<u64>>);

impl Histogram {
    /// What `counts` holds; `None` if that is nothing.
    pub(super) fn of(counts: Counts<u64>) -> Option<Self> {
        (!counts.is_empty()).then(|| Self(Arc::new(counts)))
    }

    /// Latencies measured; at least one.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let metrics = db.metrics();
    /// assert_eq!(metrics.histogram(extentdb::Stage::Open).expect("it is open").samples(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.0.len()
    }

    /// What the part `quantile` of the latencies, 0 to 1, did not exceed, in ns.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "v")?;
    /// let metrics = db.metrics();
    /// let writes = metrics.histogram(extentdb::Stage::PutWrite).expect("there was a put");
    /// assert!(writes.quantile_ns(0.5) <= writes.quantile_ns(1.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile).min(MAX_NS)
    }

    /// The usual numbers of it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "v")?;
    /// let metrics = db.metrics();
    /// let latency = metrics.latency(extentdb::Stage::PutWrite).copied();
    /// assert_eq!(metrics.histogram(extentdb::Stage::PutWrite).map(|it| it.latency()), latency);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn latency(&self) -> Latency {
        Latency::of(&self.0)
    }

    /// Latencies in ns, each with the number of samples that it stands for, in ascending order.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "v")?;
    /// let metrics = db.metrics();
    /// let writes = metrics.histogram(extentdb::Stage::PutWrite).expect("there was a put");
    /// assert_eq!(writes.iter().map(|(_ns, count)| count).sum::<u64>(), writes.samples());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter_recorded().map(|it| (it.value_iterated_to().min(MAX_NS), it.count_at_value()))
    }

    /// What was measured after `earlier`, which is of the same stage of the same store.
    pub(super) fn since(&self, earlier: Option<&Self>) -> Option<Self> {
        let Some(earlier) = earlier else { return Some(self.clone()) };
        let mut counts = histogram_of_ns();
        for it in self.0.iter_recorded() {
            let value = it.value_iterated_to();
            let count = it.count_at_value().saturating_sub(earlier.0.count_at(value));
            if count > 0 {
                let recorded = counts.record_n(value, count);
                debug_assert!(recorded.is_ok(), "it was in range before");
            }
        }
        Self::of(counts)
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Histogram").field(&self.latency()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn histogram(latencies: impl IntoIterator<Item = u64>) -> Histogram {
        let mut counts = histogram_of_ns();
        latencies.into_iter().for_each(|ns| counts.record(ns).unwrap());
        Histogram::of(counts).unwrap()
    }

    #[test]
    fn it_is_what_was_recorded() {
        let all = histogram([5, 7, 7, 1_000_000]);
        let pairs: Vec<_> = all.iter().collect();
        assert_eq!(pairs[..2], [(5, 1), (7, 2)]);
        let (longest, 1) = pairs[2] else { panic!("{pairs:?}") };
        assert!((1_000_000..=1_001_000).contains(&longest));
        assert_eq!((all.samples(), all.quantile_ns(0.5), all.quantile_ns(1.0)), (4, 7, longest));
        assert!(Histogram::of(histogram_of_ns()).is_none());
    }

    #[test]
    fn an_interval_is_what_came_after() {
        let earlier = histogram([5, 7, 900_000]);
        let later = histogram([5, 7, 900_000, 7, 60_000_000_000]);
        let interval = later.since(Some(&earlier)).unwrap();
        let pairs: Vec<_> = interval.iter().collect();
        assert_eq!(pairs, [(7, 1), (MAX_NS, 1)]);
        assert!(later.since(Some(&later)).is_none());
        assert_eq!(later.since(None).unwrap().samples(), 5);
        // Of another store: nothing that makes sense, and no panic.
        assert!(earlier.since(Some(&later)).is_none());
    }
}
