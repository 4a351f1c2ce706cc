//! The results as text: a line for the store, and one for the raw device under it.

use super::report::Row;
use crate::measure::sample::Summary;
use crate::measure::time::show as time;
use std::io::{self, Write};

/// Columns and their widths.
const COLUMNS: [(&str, usize); 11] = [
    ("ops", 9),
    ("ops/s", 10),
    ("MiB/s", 8),
    ("p50", 9),
    ("p99", 9),
    ("p99.9", 9),
    ("max", 9),
    ("p50/raw", 8),
    ("rate/raw", 9),
    ("rec/flush", 10),
    ("WA", 6),
];

/// Cells of a line, in the order of the columns.
type Cells = [String; COLUMNS.len()];

/// A table that is written line by line.
#[derive(Debug)]
pub(super) struct Table {
    shown: bool,
}

impl Table {
    /// A table that is `shown`, or goes nowhere.
    pub(super) fn new(shown: bool) -> Self {
        Self { shown }
    }

    /// The names of the columns.
    pub(super) fn header(&mut self) -> io::Result<()> {
        self.cells("", "", &COLUMNS.map(|(name, _)| name.to_owned()))
    }

    /// The lines of one phase.
    pub(super) fn row(&mut self, row: &Row) -> io::Result<()> {
        let ratios = [
            ratio(row.p50_ratio),
            ratio(row.rate_ratio),
            row.records_per_flush.map_or_else(String::new, |records| format!("{records:.1}")),
            ratio(row.write_amplification),
        ];
        self.cells(&row.name, "store", &cells(&row.store, ratios))?;
        for (side, raw) in [("raw", &row.raw), ("raw x1", &row.raw_lone)] {
            if let Some(raw) = raw {
                self.cells("", side, &cells(raw, Default::default()))?;
            }
        }
        Ok(())
    }

    /// Any line.
    pub(super) fn line(&mut self, line: &str) -> io::Result<()> {
        if self.shown { writeln!(io::stdout(), "{line}") } else { Ok(()) }
    }

    fn cells(&mut self, name: &str, side: &str, cells: &Cells) -> io::Result<()> {
        let mut line = format!("{name:<22}{side:<7}");
        for (cell, (_, width)) in cells.iter().zip(COLUMNS) {
            line.push_str(&format!(" {cell:>width$}"));
        }
        self.line(line.trim_end())
    }
}

fn cells(summary: &Summary, ratios: [String; 4]) -> Cells {
    let [p50_ratio, rate_ratio, records, amplification] = ratios;
    [
        summary.ops.to_string(),
        format!("{:.0}", summary.ops_per_s),
        format!("{:.1}", summary.mib_per_s),
        time(summary.p50_ns),
        time(summary.p99_ns),
        time(summary.p999_ns),
        time(summary.max_ns),
        p50_ratio,
        rate_ratio,
        records,
        amplification,
    ]
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
}
