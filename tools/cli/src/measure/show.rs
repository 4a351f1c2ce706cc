//! Where the results go while they grow.

use super::json;
use std::io::{self, Write};
use std::path::Path;

/// Text that goes to stdout, or nowhere.
#[derive(Debug)]
pub(crate) struct Show {
    is_shown: bool,
}

impl Show {
    /// Nothing is shown where the report goes to stdout.
    pub(crate) fn beside(report: Option<&Path>) -> Self {
        Self { is_shown: !report.is_some_and(json::is_stdout) }
    }

    /// Shows `text`.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        if self.is_shown { io::stdout().write_all(text.as_bytes()) } else { Ok(()) }
    }
}
