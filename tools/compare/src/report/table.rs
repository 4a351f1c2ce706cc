//! The results as text.

use super::figure::{self, Figure};
use super::{Report, Row};

/// All of it.
pub(super) fn text(report: &Report) -> String {
    let mut text = format!("{}\n{}\n", report.command, report.machine.line());
    for note in notes(report) {
        text += &format!("{note}\n");
    }
    for rows in report.cells() {
        text += &format!("\n{}\n", rows[0].title);
        text += &table(rows);
    }
    text
}

/// What is to be known of the figures.
pub(super) fn notes(report: &Report) -> Vec<String> {
    let mut notes = vec![
        "Medians of the rounds; ratios (x) are of rates unless they say else, and medians of the \
         rounds' own. Every put is durable when it is acknowledged. CPU is user and system time \
         for each item, background threads included. WA: bytes written for each byte of keys and \
         values that was put, as the kernel accounts them to the process and, with what others on \
         the machine write, to the disk. SA: bytes of disk for each of live keys and values. Axes of charts are logarithmic."
            .to_owned(),
    ];
    if !report.limits_memory {
        notes.push(
            "Memory could not be limited: what says so had its caches dropped only.".to_owned(),
        );
    }
    let mut kinds: Vec<_> = report.rows.iter().map(|row| row.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    notes.extend(kinds.iter().map(|kind| format!("{}: {}.", kind.name(), kind.durability())));
    notes
}

/// The rows of one cell, in columns.
fn table(rows: &[Row]) -> String {
    let figures = figure::of(&rows[0].cell);
    let mut lines = vec![["", "durability"].map(str::to_owned).to_vec()];
    lines[0].extend(figures.iter().map(|figure| figure.name.to_owned()));
    let mut failures = String::new();
    for row in rows {
        let mut line = vec![row.kind.name().to_owned(), row.kind.sync().to_owned()];
        let show = |figure: &Figure| (figure.value)(row).map(figure.show);
        line.extend(figures.iter().map(|figure| show(figure).unwrap_or_else(|| "-".to_owned())));
        lines.push(line);
        for failure in &row.failures {
            failures += &format!("  {}: FAILED: {failure}\n", row.kind.name());
        }
    }
    align(&lines) + &failures
}

/// Lines whose columns are as wide as their widest, the first two to the left.
fn align(lines: &[Vec<String>]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..lines[0].len()).map(width).collect();
    let mut text = String::new();
    for line in lines {
        text += " ";
        for (n, (cell, width)) in line.iter().zip(&widths).enumerate() {
            text += &match n {
                0 | 1 => format!(" {cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_need_be() {
        let line = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let text = align(&[line(["", "", "rate"]), line(["redb", "each", "7"])]);
        assert_eq!(text, "             rate\n  redb each     7\n");
    }
}
