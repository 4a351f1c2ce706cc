//! Bars beneath each other, as SVG: how many times something else each figure is, from 1 on to
//! either side.

use super::{Axis, escape};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 300.0;
const RIGHT: f64 = 50.0;
const TOP: f64 = 4.0;
const BOTTOM: f64 = 22.0;
/// Height of a bar and the space to the next.
const STEP: f64 = 18.0;
const THICK: f64 = 12.0;

/// A chart of ratios on a logarithmic axis, with a mark at 1.
#[derive(Debug)]
pub(crate) struct Bars<'a> {
    pub(crate) title: &'a str,
    pub(crate) bars: Vec<Bar>,
}

/// One ratio.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) ratio: f64,
}

impl Bars<'_> {
    /// The chart with its title; nothing where there are no bars.
    pub(crate) fn figure(&self) -> String {
        if self.bars.is_empty() {
            return String::new();
        }
        let title = escape(self.title);
        let height = self.bottom() + BOTTOM;
        let mut html = format!(
            "<figure><figcaption>{title}</figcaption>\n\
             <svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\n"
        );
        let axis = Axis::log(self.bars.iter().map(|bar| bar.ratio).chain([1.0]));
        html += &self.grid(axis);
        for (number, bar) in self.bars.iter().enumerate() {
            html += &bar.svg(TOP + number as f64 * STEP, axis);
        }
        html += &self.vertical("mark", x(axis, 1.0));
        html + "</svg></figure>\n"
    }

    fn bottom(&self) -> f64 {
        TOP + self.bars.len() as f64 * STEP
    }

    fn grid(&self, axis: Axis) -> String {
        let mut grid = String::new();
        for tick in axis.ticks() {
            let (x, y) = (x(axis, tick), self.bottom() + BOTTOM - 6.0);
            grid += &self.vertical("grid", x);
            grid += &format!("<text class=\"middle\" x=\"{x:.1}\" y=\"{y}\">{tick}</text>\n");
        }
        grid
    }

    fn vertical(&self, class: &str, x: f64) -> String {
        let bottom = self.bottom();
        format!(
            "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\n"
        )
    }
}

impl Bar {
    fn svg(&self, top: f64, axis: Axis) -> String {
        let (name, one, end) = (escape(&self.name), x(axis, 1.0), x(axis, self.ratio));
        let (from, to) = (one.min(end), one.max(end));
        let (before, after, middle) = (LEFT - 6.0, to + 4.0, top + STEP / 2.0 + 4.0);
        let (width, y, ratio) = (to - from, top + (STEP - THICK) / 2.0, self.ratio);
        format!(
            "<text class=\"end\" x=\"{before}\" y=\"{middle}\">{name}</text>\n\
             <rect class=\"bar\" x=\"{from:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{THICK}\"/>\n\
             <text x=\"{after:.1}\" y=\"{middle}\">{ratio:.2}</text>\n"
        )
    }
}

fn x(axis: Axis, ratio: f64) -> f64 {
    LEFT + axis.place(ratio) * (WIDTH - LEFT - RIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_ratios() {
        let bar = |name: &str, ratio| Bar { name: name.to_owned(), ratio };
        let bars = Bars { title: "to raw", bars: vec![bar("a < b", 0.1), bar("c", 10_f64.sqrt())] };
        let figure = bars.figure();
        assert!(figure.contains("a &lt; b") && figure.contains(">3.16<"), "{figure}");
        let (left, right) =
            ("x=\"300.0\" y=\"7\" width=\"205.0\"", "x=\"505.0\" y=\"25\" width=\"102.5\"");
        assert!(figure.contains(left) && figure.contains(right), "{figure}");
        // The mark is half way.
        assert!(figure.contains("class=\"mark\" x1=\"505.0\""), "{figure}");
        assert_eq!(Bars { title: "none", bars: Vec::new() }.figure(), "");
    }
}
