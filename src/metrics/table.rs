//! Metrics as a table: latencies by stage, then everything else by name.

use super::collection::Collection;
use super::snapshot::{Latency, Metrics};
use super::stage::Stage;
use std::fmt;

/// Cells of the latency table's rows.
type Row = [String; 7];

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latencies = latency_rows(&self.latencies);
        let values = value_rows(self);
        write_rows(f, &latencies)?;
        if !latencies.is_empty() && !values.is_empty() {
            writeln!(f)?;
        }
        write_rows(f, &values)
    }
}

/// A header and a row for each stage; nothing without stages.
fn latency_rows(latencies: &[(Stage, Latency)]) -> Vec<Row> {
    if latencies.is_empty() {
        return Vec::new();
    }
    let header = ["stage", "samples", "mean", "p50", "p99", "p99.9", "max"].map(String::from);
    let rows = latencies.iter().map(|(stage, latency)| latency_row(*stage, latency));
    std::iter::once(header).chain(rows).collect()
}

/// The row of `stage`.
fn latency_row(stage: Stage, latency: &Latency) -> Row {
    [
        stage.to_string(),
        latency.samples.to_string(),
        time(latency.mean_ns),
        time(latency.p50_ns),
        time(latency.p99_ns),
        time(latency.p999_ns),
        time(latency.max_ns),
    ]
}

/// A name and a value for each number that is not 0.
fn value_rows(metrics: &Metrics) -> Vec<[String; 2]> {
    let row = |(name, value, show): (&str, u64, fn(u64) -> String)| {
        (value > 0).then(|| [name.to_owned(), show(value)])
    };
    let amplification = metrics
        .write_amplification
        .map(|factor| ["write amplification".to_owned(), format!("{factor:.2}")]);
    let collection = (metrics.collection != Collection::AtEase)
        .then(|| ["garbage collection".to_owned(), metrics.collection.to_string()]);
    let named = counters(metrics).into_iter().chain(space(metrics)).chain(traffic(metrics));
    named.filter_map(row).chain(amplification).chain(collection).collect()
}

/// A name, a number, and how it is written.
type Named = (&'static str, u64, fn(u64) -> String);

/// Rows of what was asked of the store.
fn counters(metrics: &Metrics) -> [Named; 12] {
    [
        ("puts", metrics.puts, count),
        ("deletes", metrics.deletes, count),
        ("gets", metrics.gets, count),
        ("misses", metrics.misses, count),
        ("cache hits", metrics.cache_hits, count),
        ("cache misses", metrics.cache_misses, count),
        ("batches", metrics.batches, count),
        ("records", metrics.records, count),
        ("record bytes", metrics.record_bytes, bytes),
        ("events told", metrics.events_told, count),
        ("events missed", metrics.events_missed, count),
        ("listener panics", metrics.listener_panics, count),
    ]
}

/// Rows of what it holds.
fn space(metrics: &Metrics) -> [Named; 19] {
    [
        ("keys", metrics.keys, count),
        ("volume", metrics.volume_bytes, bytes),
        ("volume at most", metrics.max_bytes, bytes),
        ("log", metrics.log_bytes, bytes),
        ("values moved", metrics.value_bytes, bytes),
        ("large values", metrics.large_bytes, bytes),
        ("checkpoints", metrics.image_bytes, bytes),
        ("free", metrics.free_bytes, bytes),
        ("discarded", metrics.discarded_bytes, bytes),
        ("live", metrics.live_bytes, bytes),
        ("used", metrics.used_bytes, bytes),
        ("used at most", metrics.allowed_bytes, bytes),
        ("held by pins", metrics.held_bytes, bytes),
        ("set aside", metrics.set_aside_bytes, bytes),
        ("large values moved", metrics.moved_large_bytes, bytes),
        ("index", metrics.index_bytes, bytes),
        ("cache", metrics.cached_bytes, bytes),
        ("pins", metrics.pins, count),
        ("pinned", metrics.pinned_bytes, bytes),
    ]
}

/// Rows of what the device did.
fn traffic(metrics: &Metrics) -> [Named; 11] {
    [
        ("written to log", metrics.written.log, bytes),
        ("written large", metrics.written.large, bytes),
        ("written ahead", metrics.written.prepared, bytes),
        ("written for checkpoints", metrics.written.checkpoint, bytes),
        ("written to collect", metrics.written.collected, bytes),
        ("written for upkeep", metrics.written.upkeep, bytes),
        ("writes", metrics.writes, count),
        ("barriers", metrics.barriers, count),
        ("reads", metrics.reads, count),
        ("read", metrics.read_bytes, bytes),
        ("read to collect", metrics.collection_read_bytes, bytes),
    ]
}

/// Writes `rows` in columns as wide as their widest cell: the first to the left, the others to
/// the right. Every line has the same length.
fn write_rows<const N: usize>(f: &mut fmt::Formatter<'_>, rows: &[[String; N]]) -> fmt::Result {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    for row in rows {
        write!(f, "{:<width$}", row[0], width = widths[0])?;
        for (cell, width) in row.iter().zip(widths).skip(1) {
            write!(f, "  {cell:>width$}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}

/// A plain number.
fn count(value: u64) -> String {
    value.to_string()
}

/// A time, from ns to s.
fn time(ns: u64) -> String {
    in_unit(ns, 1000.0, &["ns", "us", "ms", "s"])
}

/// A size, from B to PiB.
fn bytes(value: u64) -> String {
    in_unit(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

/// `value` in the first of `units` in which it is less than `step` when written, or the last. It
/// counts the first unit, and each unit is `step` of the one before.
fn in_unit(value: u64, step: f64, units: &[&str]) -> String {
    let mut scaled = value as f64;
    let mut unit = 0;
    let rounds_to_step = |scaled: f64, unit| scaled + if unit == 0 { 0.0 } else { 0.05 } >= step;
    while unit + 1 < units.len() && rounds_to_step(scaled, unit) {
        scaled /= step;
        unit += 1;
    }
    let digits = usize::from(unit > 0);
    format!("{scaled:.digits$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Written;

    fn latency(scale: u64) -> Latency {
        Latency {
            samples: scale,
            mean_ns: 2 * scale,
            p50_ns: scale,
            p99_ns: 30 * scale,
            p999_ns: 400 * scale,
            max_ns: 5000 * scale,
        }
    }

    fn metrics_of_all_stages() -> Metrics {
        let stages = Stage::ALL.into_iter().enumerate();
        let latencies = stages.map(|(i, stage)| (stage, latency(4_u64.pow(i as u32)))).collect();
        Metrics { latencies, ..Metrics::default() }
    }

    #[test]
    fn every_recorded_stage_has_a_line_and_lines_are_aligned() {
        let table = metrics_of_all_stages().to_string();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 1 + Stage::ALL.len(), "{table}");
        for (line, stage) in lines[1..].iter().zip(Stage::ALL) {
            assert!(line.starts_with(&format!("{stage} ")), "{table}");
        }
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{table}");
    }

    #[test]
    fn rows_that_are_empty_are_left_out() {
        assert_eq!(Metrics::default().to_string(), "");
        let metrics = Metrics { gets: 12, volume_bytes: 64 << 20, ..Metrics::default() };
        assert_eq!(metrics.to_string(), "gets          12\nvolume  64.0 MiB\n");
    }

    #[test]
    fn the_table_reads_like_this() {
        let metrics = Metrics {
            latencies: vec![(Stage::Put, latency(21_000)), (Stage::GetIndex, latency(150))],
            puts: 336_000,
            written: Written { log: 3 << 29, ..Written::default() },
            write_amplification: Some(1.046),
            ..Metrics::default()
        };
        let expected = "\
stage      samples     mean      p50       p99    p99.9       max
put          21000  42.0 us  21.0 us  630.0 us   8.4 ms  105.0 ms
get index      150   300 ns   150 ns    4.5 us  60.0 us  750.0 us

puts                  336000
written to log       1.5 GiB
write amplification     1.05
";
        assert_eq!(metrics.to_string(), expected);
    }

    #[test]
    fn units_change_where_the_number_would_reach_the_next() {
        let times = [0, 999, 1000, 999_949, 999_950, 60_000_000_000].map(time);
        assert_eq!(times, ["0 ns", "999 ns", "1.0 us", "999.9 us", "1.0 ms", "60.0 s"]);
        let sizes = [1023, 1024, (1 << 20) - 1, u64::MAX].map(bytes);
        assert_eq!(sizes, ["1023 B", "1.0 KiB", "1.0 MiB", "16384.0 PiB"]);
    }
}
