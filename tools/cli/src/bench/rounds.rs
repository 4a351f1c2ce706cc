//! What the rounds of one operation show: medians, the store beside the raw device.

use crate::measure::median::median;
use crate::measure::row::{Row, Unit};
use crate::measure::sample::{Sample, Summary};

/// The rounds of one kind of operation.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    store: Vec<Summary>,
    raw: Vec<Summary>,
}

/// How rows are named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) part: &'a str,
    pub(super) what: &'a str,
    /// What the raw device does.
    pub(super) raw: &'a str,
}

impl Rounds {
    /// What one round of the store has shown. A kind that did not come is not shown.
    pub(super) fn store(&mut self, sample: &Sample) {
        self.store.extend((sample.ops() > 0).then(|| sample.summary(1)));
    }

    /// As [`store`](Self::store), of the raw device.
    pub(super) fn raw(&mut self, sample: &Sample) {
        self.raw.extend((sample.ops() > 0).then(|| sample.summary(1)));
    }

    /// Whether the store did none of these.
    pub(super) fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// Operations a second, each counted as `each`.
    pub(super) fn rate(&self, names: Names<'_>, each: f64) -> Row {
        self.row(names, names.what.to_owned(), Unit::PerSecond, |s| s.ops_per_s * each)
    }

    /// Latencies: medians of what each round shows, and the longest of all.
    pub(super) fn latencies(&self, names: Names<'_>) -> Vec<Row> {
        let seconds = |name: &str, ns: fn(&Summary) -> u64| {
            let name = format!("{}, {name}", names.what);
            self.row(names, name, Unit::Seconds, move |s| ns(s) as f64 / 1e9)
        };
        let mut rows = vec![
            seconds("p50", |s| s.p50_ns),
            seconds("p99", |s| s.p99_ns),
            seconds("p99.9", |s| s.p999_ns),
        ];
        rows.push(self.longest(names));
        rows
    }

    fn longest(&self, names: Names<'_>) -> Row {
        let longest = |side: &[Summary]| side.iter().map(|s| s.max_ns).max().unwrap_or(0) as f64;
        let name = format!("{}, longest", names.what);
        let row = Row::new(names.part, name, longest(&self.store) / 1e9, Unit::Seconds);
        self.beside(row, names, longest(&self.raw) / 1e9)
    }

    fn row(
        &self,
        names: Names<'_>,
        name: String,
        unit: Unit,
        figure: impl Fn(&Summary) -> f64,
    ) -> Row {
        let row = Row::new(names.part, name, median(self.store.iter().map(&figure)), unit);
        self.beside(row, names, median(self.raw.iter().map(&figure)))
    }

    fn beside(&self, row: Row, names: Names<'_>, raw: f64) -> Row {
        if self.raw.is_empty() { row } else { row.beside(names.raw, raw) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NAMES: Names<'_> = Names { part: "sizes", what: "put", raw: "pwrite" };

    fn sample(us: u64, ops: u64) -> Sample {
        let mut sample = Sample::new();
        sample.record(Duration::from_micros(us), ops);
        sample.took(Duration::from_secs(1));
        sample
    }

    #[test]
    fn rows_are_medians_of_rounds_beside_the_raw_device() {
        let mut rounds = Rounds::default();
        for (us, ops) in [(10, 100), (90, 300), (20, 200)] {
            rounds.store(&sample(us, ops));
            rounds.raw(&sample(us * 2, ops / 2));
        }
        let rate = rounds.rate(NAMES, 4.0);
        assert_eq!((rate.name.as_str(), rate.figure), ("put", 800.0));
        assert_eq!(rate.beside.as_ref().unwrap().ratio, Some(2.0));
        let rows = rounds.latencies(NAMES);
        let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["put, p50", "put, p99", "put, p99.9", "put, longest"]);
        assert!((rows[0].figure - 20e-6).abs() < 1e-7 && (rows[3].figure - 90e-6).abs() < 1e-6);
        assert!((rows[0].beside.as_ref().unwrap().ratio.unwrap() - 0.5).abs() < 0.01);
    }

    #[test]
    fn what_was_not_measured_has_nothing_beside_it() {
        let mut rounds = Rounds::default();
        rounds.store(&sample(10, 1));
        rounds.raw(&Sample::new());
        assert_eq!(rounds.rate(NAMES, 1.0).beside, None);
    }
}
