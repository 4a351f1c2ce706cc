//! One figure, beside what it is compared to.

use super::time;
use crate::size;
use serde::{Deserialize, Serialize};

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Bytes,
    BytesPerKey,
    Seconds,
    PerSecond,
    Count,
    /// One thing for another.
    Ratio,
}

impl Unit {
    /// `figure` as text.
    pub(crate) fn show(self, figure: f64) -> String {
        match self {
            Self::Bytes if figure < 0.0 => format!("-{}", size::show(-figure as u64)),
            Self::Bytes => size::show(figure as u64),
            Self::BytesPerKey => format!("{figure:.1} B"),
            Self::Seconds => time::show((figure * 1e9) as u64),
            Self::PerSecond => format!("{figure:.0}/s"),
            Self::Count => format!("{figure:.0}"),
            Self::Ratio => format!("{figure:.3}"),
        }
    }
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) part: String,
    pub(crate) name: String,
    pub(crate) figure: f64,
    pub(crate) unit: Unit,
    pub(crate) beside: Option<Beside>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bar: Option<Bar>,
}

/// What is asked of a figure, or of its ratio where it has one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bar {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) most: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) least: Option<f64>,
    pub(crate) is_met: bool,
}

impl Bar {
    /// What is asked, in words.
    pub(crate) fn asked(&self) -> String {
        let most = self.most.map(|most| format!("at most {most}"));
        most.unwrap_or_else(|| format!("at least {}", self.least.unwrap_or_default()))
    }
}

/// What a figure is compared to, from the same run and in the same unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beside {
    pub(crate) name: String,
    pub(crate) figure: f64,
    /// The figure for this one; `None` where this is 0.
    pub(crate) ratio: Option<f64>,
}

impl Row {
    pub(crate) fn new(part: &str, name: impl Into<String>, figure: f64, unit: Unit) -> Self {
        Self { part: part.to_owned(), name: name.into(), figure, unit, beside: None, bar: None }
    }

    /// Puts it beside another figure.
    pub(crate) fn beside(self, name: impl Into<String>, figure: f64) -> Self {
        let ratio = (figure != 0.0).then(|| self.figure / figure);
        Self { beside: Some(Beside { name: name.into(), figure, ratio }), ..self }
    }

    /// Asks for `most` at most: of the ratio where there is one, else of the figure.
    pub(crate) fn at_most(self, most: f64) -> Self {
        let is_met = self.asked_of() <= most;
        Self { bar: Some(Bar { most: Some(most), least: None, is_met }), ..self }
    }

    /// As [`at_most`](Self::at_most), for `least` at least.
    pub(crate) fn at_least(self, least: f64) -> Self {
        let is_met = self.asked_of() >= least;
        Self { bar: Some(Bar { most: None, least: Some(least), is_met }), ..self }
    }

    fn asked_of(&self) -> f64 {
        self.beside.as_ref().and_then(|beside| beside.ratio).unwrap_or(self.figure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_show_their_units() {
        let cases = [
            (Unit::Bytes, 2048.0, "2.0 KiB"),
            (Unit::Bytes, -2048.0, "-2.0 KiB"),
            (Unit::BytesPerKey, 36.25, "36.2 B"),
            (Unit::Seconds, 0.0015, "1.50 ms"),
            (Unit::PerSecond, 1234.4, "1234/s"),
            (Unit::Count, 7.0, "7"),
            (Unit::Ratio, 0.1, "0.100"),
        ];
        for (unit, figure, text) in cases {
            assert_eq!(unit.show(figure), text);
        }
    }

    #[test]
    fn a_row_survives_the_way_to_another_process() {
        let row = Row::new("open", "open", 3.0, Unit::Seconds).beside("raw", 2.0);
        assert_eq!(row.beside.as_ref().unwrap().ratio, Some(1.5));
        let text = serde_json::to_string(&row).unwrap();
        assert!(!text.contains('\n'));
        assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row);
    }

    #[test]
    fn a_bar_is_for_the_ratio_where_there_is_one() {
        let row = |figure| Row::new("open", "open", figure, Unit::Seconds);
        let is_met = |row: Row| row.at_most(1.5).bar.unwrap().is_met;
        assert!(is_met(row(1.5)) && !is_met(row(1.6)));
        assert!(is_met(row(3.0).beside("raw", 2.0)) && !is_met(row(1.0).beside("raw", 0.5)));
    }

    #[test]
    fn nothing_is_a_multiple_of_zero() {
        let row = Row::new("open", "open", 3.0, Unit::Count).beside("none", 0.0);
        assert_eq!(row.beside.unwrap().ratio, None);
    }
}
