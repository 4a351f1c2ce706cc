//! A chart of lines, as SVG.

use super::{Axis, escape};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 22.0;

/// A chart.
#[derive(Debug)]
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) lines: Vec<Line<'a>>,
    /// A value to compare to, and its name.
    pub(crate) mark: Option<(String, f64)>,
    pub(crate) x: Scale,
    pub(crate) y: Scale,
}

/// An axis, and how what is named on it is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) axis: Axis,
    pub(crate) show: fn(f64) -> String,
}

impl Scale {
    /// Seconds since something began, up to `last`.
    pub(crate) fn seconds(last: f64) -> Self {
        Self { axis: Axis::linear(last), show: |seconds| format!("{seconds} s") }
    }
}

/// A line; nothing is drawn where there is no value.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: Vec<(f64, Option<f64>)>,
}

impl Chart<'_> {
    /// The chart, with its title and what its lines stand for.
    pub(crate) fn figure(&self) -> String {
        let mut html = format!("<figure><figcaption>{}", escape(self.title));
        for (number, line) in self.lines.iter().enumerate() {
            html += &format!(" <span class=\"key k{number}\">{}</span>", escape(line.name));
        }
        if let Some((name, value)) = &self.mark {
            let name = format!("{name}: {}", (self.y.show)(*value));
            html += &format!(" <span class=\"key mark\">{}</span>", escape(&name));
        }
        html + "</figcaption>\n" + &self.svg() + "</figure>\n"
    }

    fn svg(&self) -> String {
        let title = escape(self.title);
        let mut svg =
            format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n");
        svg += &self.grid();
        for (number, line) in self.lines.iter().enumerate() {
            svg += &format!("<path class=\"l{number}\" d=\"{}\"/>\n", self.path(line));
        }
        if let Some((_, value)) = &self.mark {
            svg += &horizontal("mark", self.y(*value));
        }
        svg + "</svg>\n"
    }

    fn grid(&self) -> String {
        let mut grid = String::new();
        for tick in self.y.axis.ticks() {
            let (y, text) = (self.y(tick), escape(&(self.y.show)(tick)));
            grid += &horizontal("grid", y);
            let (x, y) = (LEFT - 6.0, y + 4.0);
            grid += &format!("<text class=\"end\" x=\"{x}\" y=\"{y:.1}\">{text}</text>\n");
        }
        for tick in self.x.axis.ticks() {
            let (x, y, text) = (self.x(tick), HEIGHT - 6.0, escape(&(self.x.show)(tick)));
            grid += &format!("<text class=\"middle\" x=\"{x:.1}\" y=\"{y}\">{text}</text>\n");
        }
        grid
    }

    /// Runs of points that have values, each a line of its own.
    fn path(&self, line: &Line<'_>) -> String {
        let mut path = String::new();
        let mut is_drawn = false;
        for (at, value) in &line.points {
            let Some(value) = value else {
                is_drawn = false;
                continue;
            };
            let (x, y) = (self.x(*at), self.y(*value));
            // A lone point shows as the end of a line without length.
            path += &match is_drawn {
                true => format!("L{x:.1} {y:.1}"),
                false => format!("M{x:.1} {y:.1}h0"),
            };
            is_drawn = true;
        }
        path
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.axis.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.axis.place(value) * (HEIGHT - TOP - BOTTOM)
    }
}

fn horizontal(class: &str, y: f64) -> String {
    let (from, to) = (LEFT, WIDTH - RIGHT);
    format!("<line class=\"{class}\" x1=\"{from}\" x2=\"{to}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stops_where_there_is_no_value() {
        let points = vec![(0.0, Some(0.0)), (1.0, Some(10.0)), (2.0, None), (4.0, Some(99.0))];
        let chart = Chart {
            title: "a < b",
            lines: vec![Line { name: "it", points }],
            mark: Some(("law".to_owned(), 5.0)),
            x: Scale::seconds(4.0),
            y: Scale { axis: Axis::linear(10.0), show: |value| format!("{value}") },
        };
        let figure = chart.figure();
        // The last one is beyond the top.
        assert!(figure.contains("d=\"M70.0 178.0h0L239.5 8.0M748.0 8.0h0\""), "{figure}");
        assert!(figure.contains("a &lt; b") && !figure.contains("a < b"));
        assert!(figure.contains("law: 5") && figure.contains("y1=\"93.0\""), "{figure}");
    }
}
