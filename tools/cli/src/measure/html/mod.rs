//! Results as one page that needs nothing beside it: tables, and charts as SVG.

mod axis;
mod bars;
mod chart;
mod table;

pub(crate) use axis::Axis;
pub(crate) use bars::{Bar, Bars};
pub(crate) use chart::{Chart, Line, Scale};
pub(crate) use table::table;

const STYLE: &str = include_str!("style.css");

/// A page that grows.
#[derive(Debug)]
pub(crate) struct Page {
    title: String,
    body: String,
}

impl Page {
    /// A page with `title`, and `head` under it as it is.
    pub(crate) fn new(title: &str, head: &str) -> Self {
        let title = escape(title);
        let body = format!("<h1>{title}</h1>\n<pre>{}</pre>\n", escape(head));
        Self { title, body }
    }

    /// Something that is not as it should be.
    pub(crate) fn missed(&mut self, what: &str) {
        self.body += &format!("<p class=\"missed\">{}</p>\n", escape(what));
    }

    /// A part of the page: `html` under `heading`.
    pub(crate) fn section(&mut self, heading: &str, html: &str) {
        self.body += &format!("<h2>{}</h2>\n{html}", escape(heading));
    }

    /// All of it.
    pub(crate) fn finish(self) -> String {
        let Self { title, body } = self;
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style></head>\n<body>\n{body}</body></html>\n"
        )
    }
}

/// `html` that is shown when `summary` is asked for.
pub(crate) fn details(summary: &str, html: &str) -> String {
    format!("<details><summary>{}</summary>\n{html}</details>\n", escape(summary))
}

/// `text` as it may stand in a page.
pub(crate) fn escape(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_needs_nothing_beside_it() {
        let mut page = Page::new("a < b", "x & y");
        page.missed("\"no\"");
        page.section("part", &details("more", "<p>it</p>\n"));
        let html = page.finish();
        assert!(html.starts_with("<!doctype html>") && html.ends_with("</body></html>\n"));
        assert!(html.contains("<title>a &lt; b</title>") && html.contains("x &amp; y"));
        assert!(html.contains("&quot;no&quot;") && html.contains("<summary>more</summary>"));
        assert!(["http", "src=", "url(", "@import"].iter().all(|word| !html.contains(word)));
    }
}
