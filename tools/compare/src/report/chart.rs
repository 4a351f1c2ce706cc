//! A chart of bars, as SVG: groups of bars beside each other, one bar for each store.

use super::html::escape;
use crate::peer::Kind;
use std::collections::BTreeSet;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 24.0;
/// Part of a group's width that is left free.
const GAP: f64 = 0.14;

/// A chart.
pub(super) struct Chart<'a> {
    pub(super) title: String,
    pub(super) groups: Vec<Group>,
    pub(super) show: &'a dyn Fn(f64) -> String,
}

/// Bars beside each other.
pub(super) struct Group {
    pub(super) label: String,
    pub(super) bars: Vec<(Kind, f64)>,
}

impl Chart<'_> {
    /// The chart with its title; nothing where there is nothing to show.
    pub(super) fn figure(&self) -> String {
        let Some(axis) = Axis::of(self.values()) else { return String::new() };
        let title = escape(&self.title);
        let mut html = format!(
            "<figure><figcaption>{title}</figcaption>\n\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n"
        );
        html += &self.grid(&axis);
        let kinds = self.kinds();
        let width = (WIDTH - LEFT) / self.groups.len() as f64;
        for (n, group) in self.groups.iter().enumerate() {
            html += &self.bars(group, &kinds, (LEFT + n as f64 * width, width), &axis);
        }
        html + "</svg></figure>\n"
    }

    /// The stores that have bars, each with a place of its own in every group.
    fn kinds(&self) -> Vec<Kind> {
        let all = self.groups.iter().flat_map(|group| &group.bars).map(|(kind, _)| *kind);
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.groups.iter().flat_map(|group| &group.bars).map(|(_, value)| *value)
    }

    fn grid(&self, axis: &Axis) -> String {
        let mut grid = String::new();
        for tick in axis.ticks() {
            let (y, text) = (y(axis.place(tick)), escape(&(self.show)(tick)));
            grid += &format!("<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
            let (x, y) = (LEFT - 6.0, y + 4.0);
            grid += &format!("<text class=\"end\" x=\"{x}\" y=\"{y:.1}\">{text}</text>\n");
        }
        grid
    }

    fn bars(
        &self,
        group: &Group,
        kinds: &[Kind],
        (left, width): (f64, f64),
        axis: &Axis,
    ) -> String {
        let each = width * (1.0 - GAP) / kinds.len() as f64;
        let mut svg = String::new();
        for (kind, value) in &group.bars {
            let place = kinds.iter().position(|other| other == kind).unwrap_or(0);
            let x = left + width * GAP / 2.0 + place as f64 * each;
            let top = y(axis.place(*value));
            let height = (y(0.0) - top).max(0.5);
            let tip = escape(&format!("{}, {}: {}", kind.name(), group.label, (self.show)(*value)));
            svg += &format!(
                "<rect class=\"k{}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" \
                 height=\"{height:.1}\"><title>{tip}</title></rect>\n",
                *kind as usize,
                each * 0.92
            );
        }
        let (x, y, label) = (left + width / 2.0, HEIGHT - 6.0, escape(&group.label));
        svg + &format!("<text class=\"middle\" x=\"{x:.1}\" y=\"{y}\">{label}</text>\n")
    }
}

fn y(place: f64) -> f64 {
    HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)
}

/// A logarithmic axis in whole powers of ten; what it begins with is below the least value.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let positive: Vec<_> = values.filter(|value| *value > 0.0 && value.is_finite()).collect();
        let least = positive.iter().copied().reduce(f64::min)?;
        let most = positive.iter().copied().reduce(f64::max)?;
        let low = (least * 0.9).log10().floor();
        Some(Self { low, high: most.log10().ceil().max(low + 1.0) })
    }

    /// 0 at the beginning, 1 at the end.
    fn place(&self, value: f64) -> f64 {
        ((value.log10() - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.low as i32..=self.high as i32).map(|power| 10_f64.powi(power))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_on_whole_powers_of_ten() {
        let axis = Axis::of([0.0, 2.0, 500.0].into_iter()).unwrap();
        assert_eq!(axis.ticks().collect::<Vec<_>>(), [1.0, 10.0, 100.0, 1000.0]);
        assert!((axis.place(10.0) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!((axis.place(0.0), axis.place(1e9)), (0.0, 1.0));
        assert!(Axis::of(std::iter::empty()).is_none());
    }

    #[test]
    fn a_bar_says_what_it_is() {
        let bars = vec![(Kind::Redb, 20.0)];
        let groups = vec![Group { label: "1 < 2".to_owned(), bars }];
        let chart = Chart { title: "puts".to_owned(), groups, show: &|value| format!("{value}") };
        let figure = chart.figure();
        assert!(figure.contains("redb, 1 &lt; 2: 20") && figure.contains("k5"), "{figure}");
    }
}
