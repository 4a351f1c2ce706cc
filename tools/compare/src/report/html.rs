//! The results as one page that needs nothing beside it.

use super::chart::{Chart, Group};
use super::figure::{self, Figure};
use super::{Report, Row, table};
use crate::cell::Work;
use crate::peer::Kind;
use std::collections::BTreeSet;

const STYLE: &str = include_str!("style.css");

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut body = format!(
        "<h1>extentdb and its peers</h1>\n<p>{}<br><code>{}</code></p>\n",
        escape(&report.machine.line()),
        escape(&report.command)
    );
    for note in table::notes(report) {
        body += &format!("<p class=\"note\">{}</p>\n", escape(&note));
    }
    body += &legend(report);
    for group in groups(report) {
        body += &section(report, &group);
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>extentdb and its peers</title>\n<style>\n{STYLE}</style></head>\n\
         <body>\n{body}</body></html>\n"
    )
}

/// The groups of cells, in order, each once.
fn groups(report: &Report) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for row in &report.rows {
        let group = row.cell.group();
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

fn section(report: &Report, group: &str) -> String {
    let cells: Vec<_> = report.cells().filter(|rows| rows[0].cell.group() == group).collect();
    let mut html = format!("<h2>{}</h2>\n", escape(group));
    let cell = &cells[0][0].cell;
    for (title, figure) in charts(cell.work) {
        html += &chart(title.replace("{items}", cell.items()), &cells, figure);
    }
    html += "<details><summary>Figures</summary>\n";
    html.extend(cells.iter().map(|rows| figures(rows)));
    html + "</details>\n"
}

/// What is charted of such work, with titles in which `{items}` stands for what it counts.
fn charts(work: Work) -> Vec<(&'static str, Figure)> {
    match work {
        Work::Load => {
            vec![
                ("{items} a second", figure::RATE),
                ("bytes written for each put", figure::WRITTEN),
            ]
        }
        Work::Put => vec![
            ("{items} a second", figure::RATE),
            ("latency, median", figure::P50),
            ("latency, 99 of 100", figure::P99),
            ("processor time of each", figure::CPU),
        ],
        Work::Get => vec![
            ("{items} a second", figure::RATE),
            ("latency, median", figure::P50),
            ("latency, 99 of 100", figure::P99),
            ("processor time of each", figure::CPU),
            ("peak memory", figure::RESIDENT),
        ],
        Work::Churn => vec![
            ("{items} a second", figure::RATE),
            ("longest latency", figure::MAX),
            ("bytes written for each put, by the process", figure::WRITTEN),
            ("bytes written for each put, by the disk", figure::DEVICE_WRITTEN),
            ("disk for each live byte, at the most", figure::MOST_STORED),
            ("disk for each live byte, at the end", figure::STORED),
            ("peak memory", figure::RESIDENT),
        ],
        Work::Open => vec![("time", figure::P50), ("peak memory", figure::RESIDENT)],
        Work::HotGet | Work::MultiGet | Work::Scan { .. } | Work::Ycsb { .. } => {
            vec![("{items} a second", figure::RATE)]
        }
    }
}

fn chart(title: String, cells: &[&[Row]], shown: Figure) -> String {
    let bars = |rows: &[Row]| {
        rows.iter().filter_map(|row| Some((row.kind, (shown.value)(row)?))).collect()
    };
    let group = |rows: &&[Row]| Group { label: rows[0].cell.label(), bars: bars(rows) };
    Chart { title, groups: cells.iter().map(group).collect(), show: &shown.show }.figure()
}

fn figures(rows: &[Row]) -> String {
    let figures = figure::of(&rows[0].cell);
    let mut html = format!("<h3>{}</h3>\n<table><tr><th></th><th></th>", escape(&rows[0].title));
    html.extend(figures.iter().map(|figure| format!("<th class=\"n\">{}</th>", figure.name)));
    html += "</tr>\n";
    for row in rows {
        html += &format!("<tr><td>{}</td><td>{}</td>", row.kind.name(), row.kind.sync());
        for figure in &figures {
            let text = (figure.value)(row).map_or_else(String::new, figure.show);
            html += &format!("<td class=\"n\">{}</td>", escape(&text));
        }
        html += "</tr>\n";
        for failure in &row.failures {
            html += &format!("<tr><td></td><td class=\"failed\">{}</td></tr>\n", escape(failure));
        }
    }
    html + "</table>\n"
}

fn legend(report: &Report) -> String {
    let key =
        |kind: Kind| format!("<span class=\"key k{}\">{}</span> ", kind as usize, kind.name());
    let kinds: BTreeSet<_> = report.rows.iter().map(|row| row.kind).collect();
    let keys: String = kinds.into_iter().map(key).collect();
    format!("<p class=\"legend\">{keys}</p>\n")
}

/// `text` as it may stand in a page.
pub(super) fn escape(text: &str) -> String {
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
