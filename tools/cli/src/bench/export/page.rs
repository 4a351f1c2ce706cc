//! The results as one page.

use super::plots::plots;
use super::track::Track;
use crate::bench::part::Part;
use crate::bench::report::Report;
use crate::measure::html::{Bar, Bars, Page, details, table};
use crate::measure::row::{Row, Unit};

/// The page: for each part its rows, bars of what they are for the raw device, and plots of each
/// operation.
pub(super) fn page(report: &Report, tracks: &[Track]) -> String {
    let mut page = Page::new("extentdb bench", &report.head());
    let phases: Vec<Row> = report.rows.iter().flat_map(|row| row.figures()).collect();
    if !phases.is_empty() {
        page.section(Part::Phases.name(), &rows(&phases));
    }
    for part in &report.parts {
        page.section(&part.says(), &rows(&part.rows));
    }
    for part in parts(tracks) {
        page.section(&format!("Plots: {part}"), &all_plots(tracks, part));
    }
    page.finish()
}

fn rows(rows: &[Row]) -> String {
    let is_rate = |row: &Row| row.unit == Unit::PerSecond;
    let is_median = |row: &Row| row.name.ends_with("p50");
    bars("rate, for that of the raw device", rows, is_rate)
        + &bars("median latency, for that of the raw device", rows, is_median)
        + &details("Figures", &table(rows))
}

fn bars(title: &str, rows: &[Row], is_shown: impl Fn(&Row) -> bool) -> String {
    let mut bars = Vec::new();
    for row in rows.iter().filter(|row| is_shown(row)) {
        let ratio = row.beside.as_ref().and_then(|beside| beside.ratio);
        // Parts such as that of YCSB have parts of their own.
        let of = row.part.split(':').next().unwrap_or_default();
        bars.extend(ratio.map(|ratio| Bar { name: format!("{of}: {}", row.name), ratio }));
    }
    Bars { title, bars }.figure()
}

/// The parts of which there are tracks, in order, each once.
fn parts(tracks: &[Track]) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    for track in tracks {
        if !parts.contains(&track.names[0].as_str()) {
            parts.push(&track.names[0]);
        }
    }
    parts
}

/// The plots of each operation of `part`, the store first.
fn all_plots(tracks: &[Track], part: &str) -> String {
    let mut html = String::new();
    for store in tracks.iter().filter(|track| track.names[0] == part && track.side == "store") {
        let raw = tracks.iter().filter(|track| track.names == store.names && track.side != "store");
        let sides: Vec<&Track> = std::iter::once(store).chain(raw).collect();
        html += &details(&store.operation(), &plots(&sides));
    }
    html
}
