//! The results as text.

use super::row::{Bar, Row};

/// Rows as lines, with a heading before each part.
#[derive(Debug, Default)]
pub(crate) struct Table {
    part: Option<String>,
}

impl Table {
    /// The lines of one row.
    pub(crate) fn lines(&mut self, row: &Row) -> String {
        let mut lines = String::new();
        if self.part.as_ref() != Some(&row.part) {
            self.part = Some(row.part.clone());
            lines.push_str(&line(&row.part, "", "beside", "ratio", ""));
        }
        let figure = row.unit.show(row.figure);
        let name = format!("  {}", row.name);
        let bar = row.bar.as_ref().map_or_else(String::new, show_bar);
        let line = match &row.beside {
            None => line(&name, &figure, "", "", &bar),
            Some(beside) => {
                let ratio = beside.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
                let what = format!("{} {bar}", beside.name);
                line(&name, &figure, &row.unit.show(beside.figure), &ratio, &what)
            }
        };
        lines.push_str(&line);
        lines
    }
}

fn show_bar(bar: &Bar) -> String {
    format!("[{}: {}]", bar.asked(), if bar.is_met { "met" } else { "MISSED" })
}

fn line(name: &str, figure: &str, beside: &str, ratio: &str, what: &str) -> String {
    let line = format!("{name:<50} {figure:>12} {beside:>12} {ratio:>8}  {what}");
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::row::Unit;

    #[test]
    fn a_part_has_one_heading() {
        let mut table = Table::default();
        let row = Row::new("memory", "RSS", 100.0, Unit::BytesPerKey).beside("map", 40.0);
        let first = table.lines(&row);
        let mut lines = first.lines();
        assert!(lines.next().unwrap().starts_with("memory "));
        let line = lines.next().unwrap();
        assert!(line.starts_with("  RSS ") && line.ends_with("100.0 B       40.0 B     2.50  map"));
        assert_eq!(table.lines(&row).lines().count(), 1);
        let line = table.lines(&row.clone().at_most(2.0));
        assert!(line.ends_with("2.50  map [at most 2: MISSED]\n"), "{line}");
        let line = table.lines(&row.clone().at_least(2.0));
        assert!(line.ends_with("2.50  map [at least 2: met]\n"), "{line}");
        let other = Row::new("open", "keys", 1.0, Unit::Count);
        assert_eq!(table.lines(&other).lines().count(), 2);
    }
}
