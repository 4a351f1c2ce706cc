//! Rows as a table.

use super::escape;
use crate::measure::row::Row;

/// A table of `rows`.
pub(crate) fn table<'r>(rows: impl IntoIterator<Item = &'r Row>) -> String {
    let mut html =
        "<table>\n<tr><th></th><th class=\"n\"></th><th class=\"n\">beside</th>".to_owned();
    html += "<th class=\"n\">ratio</th><th></th><th></th></tr>\n";
    html.extend(rows.into_iter().map(line));
    html + "</table>\n"
}

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
