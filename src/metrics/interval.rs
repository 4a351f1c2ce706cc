//! What a store did between two moments.

use super::snapshot::{Metrics, Written};

impl Metrics {
    /// What the store did after `earlier`, which are metrics of the same open store: counters, bytes
    /// written, and latencies are of that time only. What is there now (keys, space, memory) is as in
    /// these.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("a", "1")?;
    /// let before = db.metrics();
    /// db.put("b", "2")?;
    /// let interval = db.metrics().since(&before);
    /// assert_eq!((interval.puts, interval.keys), (1, 2));
    /// assert!(interval.latency(extentdb::Stage::Open).is_none(), "that was earlier");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let histograms: Vec<_> = self
            .histograms
            .iter()
            .filter_map(|(stage, now)| Some((*stage, now.since(earlier.histogram(*stage))?)))
            .collect();
        let after = |now: u64, before: u64| now.saturating_sub(before);
        let record_bytes = after(self.record_bytes, earlier.record_bytes);
        let written = self.written.since(&earlier.written);
        Self {
            latencies: histograms.iter().map(|(stage, it)| (*stage, it.latency())).collect(),
            histograms,
            puts: after(self.puts, earlier.puts),
            deletes: after(self.deletes, earlier.deletes),
            gets: after(self.gets, earlier.gets),
            misses: after(self.misses, earlier.misses),
            cache_hits: after(self.cache_hits, earlier.cache_hits),
            cache_misses: after(self.cache_misses, earlier.cache_misses),
            batches: after(self.batches, earlier.batches),
            records: after(self.records, earlier.records),
            record_bytes,
            moved_large_bytes: after(self.moved_large_bytes, earlier.moved_large_bytes),
            events_told: after(self.events_told, earlier.events_told),
            events_missed: after(self.events_missed, earlier.events_missed),
            listener_panics: after(self.listener_panics, earlier.listener_panics),
            collection_read_bytes: after(self.collection_read_bytes, earlier.collection_read_bytes),
            writes: after(self.writes, earlier.writes),
            barriers: after(self.barriers, earlier.barriers),
            reads: after(self.reads, earlier.reads),
            read_bytes: after(self.read_bytes, earlier.read_bytes),
            write_amplification: written.amplification(record_bytes),
            written,
            // What is there now.
            keys: self.keys,
            volume_bytes: self.volume_bytes,
            max_bytes: self.max_bytes,
            log_bytes: self.log_bytes,
            value_bytes: self.value_bytes,
            large_bytes: self.large_bytes,
            image_bytes: self.image_bytes,
            free_bytes: self.free_bytes,
            live_bytes: self.live_bytes,
            utilization: self.utilization,
            used_bytes: self.used_bytes,
            allowed_bytes: self.allowed_bytes,
            held_bytes: self.held_bytes,
            set_aside_bytes: self.set_aside_bytes,
            discarded_bytes: self.discarded_bytes,
            collection: self.collection,
            cached_bytes: self.cached_bytes,
            index_bytes: self.index_bytes,
            pins: self.pins,
            oldest_pin_age: self.oldest_pin_age,
            pinned_bytes: self.pinned_bytes,
        }
    }
}

impl Written {
    fn since(&self, earlier: &Self) -> Self {
        Self {
            log: self.log.saturating_sub(earlier.log),
            large: self.large.saturating_sub(earlier.large),
            prepared: self.prepared.saturating_sub(earlier.prepared),
            checkpoint: self.checkpoint.saturating_sub(earlier.checkpoint),
            collected: self.collected.saturating_sub(earlier.collected),
            upkeep: self.upkeep.saturating_sub(earlier.upkeep),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Recorder, Stage};

    #[test]
    fn what_was_counted_is_of_the_interval_and_what_is_there_is_of_now() {
        let at = |n: u64| Metrics {
            puts: 10 * n,
            record_bytes: 100 * n,
            written: Written { log: 150 * n, prepared: 7 * n, ..Written::default() },
            keys: n,
            free_bytes: 1000 - n,
            write_amplification: Some(9.0),
            ..Metrics::default()
        };
        let interval = at(5).since(&at(2));
        assert_eq!((interval.puts, interval.record_bytes), (30, 300));
        assert_eq!((interval.written.log, interval.written.prepared), (450, 21));
        assert_eq!(interval.write_amplification, Some(1.5));
        assert_eq!((interval.keys, interval.free_bytes), (5, 995));
        assert_eq!(at(2).since(&at(2)).write_amplification, None);
    }

    #[test]
    fn latencies_are_of_the_interval() {
        let recorder = Recorder::new();
        let lap = |stage| recorder.stop(stage, recorder.start_always());
        lap(Stage::Open);
        (0..5).for_each(|_| lap(Stage::Put));
        let before = recorder.snapshot();
        (0..3).for_each(|_| lap(Stage::Put));
        lap(Stage::Get);
        let interval = recorder.snapshot().since(&before);
        let samples = |stage| interval.latency(stage).map(|latency| latency.samples);
        let found = [Stage::Put, Stage::Get, Stage::Open].map(samples);
        assert_eq!(found, [Some(3), Some(1), None]);
        assert_eq!(interval.histogram(Stage::Put).unwrap().samples(), 3);
        assert!(interval.histogram(Stage::Open).is_none());
    }
}
