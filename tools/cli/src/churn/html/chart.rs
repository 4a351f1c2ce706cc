//! A chart over time, as SVG.

use super::axis::Axis;
use super::escape;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 22.0;

/// A chart.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) lines: Vec<Line<'a>>,
    /// A value to compare to, and its name.
    pub(super) mark: Option<(String, f64)>,
    pub(super) seconds: Axis,
    pub(super) values: Axis,
    pub(super) show: fn(f64) -> String,
}

/// A line: seconds and values; nothing is drawn where there is no value.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

impl Chart<'_> {
    /// The chart, with its title and what its lines stand for.
    pub(super) fn figure(&self) -> String {
        let mut html = format!("<figure><figcaption>{}", escape(self.title));
        for (number, line) in self.lines.iter().enumerate() {
            html += &format!(" <span class=\"key k{number}\">{}</span>", escape(line.name));
        }
        if let Some((name, value)) = &self.mark {
            let name = format!("{name}: {}", (self.show)(*value));
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
        for tick in self.values.ticks() {
            let (y, text) = (self.y(tick), escape(&(self.show)(tick)));
            grid += &horizontal("grid", y);
            let (x, y) = (LEFT - 6.0, y + 4.0);
            grid += &format!("<text class=\"end\" x=\"{x}\" y=\"{y:.1}\">{text}</text>\n");
        }
        for tick in self.seconds.ticks() {
            let (x, y) = (self.x(tick), HEIGHT - 6.0);
            grid += &format!("<text class=\"middle\" x=\"{x:.1}\" y=\"{y}\">{tick} s</text>\n");
        }
        grid
    }

    /// Runs of points that have values, each a line of its own.
    fn path(&self, line: &Line<'_>) -> String {
        let mut path = String::new();
        let mut is_drawn = false;
        for (seconds, value) in &line.points {
            let Some(value) = value else {
                is_drawn = false;
                continue;
            };
            let (x, y) = (self.x(*seconds), self.y(*value));
            // A lone point shows as the end of a line without length.
            path += &match is_drawn {
                true => format!("L{x:.1} {y:.1}"),
                false => format!("M{x:.1} {y:.1}h0"),
            };
            is_drawn = true;
        }
        path
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + self.seconds.place(seconds) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.values.place(value) * (HEIGHT - TOP - BOTTOM)
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
            seconds: Axis::linear(4.0),
            values: Axis::linear(10.0),
            show: |value| format!("{value}"),
        };
        let figure = chart.figure();
        // The last one is beyond the top.
        assert!(figure.contains("d=\"M70.0 178.0h0L239.5 8.0M748.0 8.0h0\""), "{figure}");
        assert!(figure.contains("a &lt; b") && !figure.contains("a < b"));
        assert!(figure.contains("law: 5") && figure.contains("y1=\"93.0\""), "{figure}");
    }
}
