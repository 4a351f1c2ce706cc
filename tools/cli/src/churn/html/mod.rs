//! The results as one page.

mod charts;

use super::report::{Report, RunReport};
use crate::measure::html::{Page, table};

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut page = Page::new("extentdb churn", &report.head());
    for failure in &report.failures {
        page.missed(&format!("{}: {}", failure.part, failure.what));
    }
    for part in parts(report) {
        page.section(part, &section(report, part));
    }
    page.finish()
}

/// The parts that there is anything of, in order, each once.
fn parts(report: &Report) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    let all = report.rows.iter().map(|row| row.part.as_str());
    for part in all.chain(report.runs.iter().map(|run| run.part.as_str())) {
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts
}

/// Table and charts of `part`.
fn section(report: &Report, part: &str) -> String {
    let mut html = table(report.rows.iter().filter(|row| row.part == part));
    let is_of = |run: &&RunReport| run.part == part && !run.intervals.is_empty();
    html.extend(report.runs.iter().filter(is_of).map(charts::charts));
    html
}
