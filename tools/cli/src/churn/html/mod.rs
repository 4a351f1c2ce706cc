//! The results as one page that needs nothing beside it.

mod axis;
mod chart;
mod charts;

use super::report::{Report, RunReport};
use crate::measure::row::Row;

const STYLE: &str = include_str!("style.css");

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut body = format!("<h1>extentdb churn</h1>\n<pre>{}</pre>\n", escape(&report.head()));
    for failure in &report.failures {
        let text = escape(&format!("{}: {}", failure.part, failure.what));
        body += &format!("<p class=\"missed\">{text}</p>\n");
    }
    let parts = parts(report);
    body.extend(parts.iter().map(|part| section(report, part)));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>extentdb churn</title>\n<style>\n{STYLE}</style></head>\n<body>\n{body}</body></html>\n"
    )
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
    let mut html = format!("<h2>{}</h2>\n<table>\n", escape(part));
    html += "<tr><th></th><th class=\"n\"></th><th class=\"n\">beside</th>";
    html += "<th class=\"n\">ratio</th><th></th><th></th></tr>\n";
    html.extend(report.rows.iter().filter(|row| row.part == part).map(line));
    html += "</table>\n";
    let is_of = |run: &&RunReport| run.part == part && !run.intervals.is_empty();
    html.extend(report.runs.iter().filter(is_of).map(charts::charts));
    html
}

/// One line of the table.
fn line(row: &Row) -> String {
    let (mut beside, mut ratio, mut what) = Default::default();
    if let Some(other) = &row.beside {
        beside = row.unit.show(other.figure);
        ratio = other.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        what = escape(&other.name);
    }
    let bar = row.bar.as_ref().map_or_else(String::new, |bar| {
        let (class, word) = if bar.is_met { ("met", "met") } else { ("missed", "missed") };
        format!("<span class=\"{class}\">{}: {word}</span>", bar.asked())
    });
    let (name, figure) = (escape(&row.name), row.unit.show(row.figure));
    format!(
        "<tr><td class=\"name\">{name}</td><td class=\"n\">{figure}</td>\
         <td class=\"n\">{beside}</td><td class=\"n\">{ratio}</td><td>{what}</td><td>{bar}</td></tr>\n"
    )
}

/// `text` as it may stand in a page.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}
