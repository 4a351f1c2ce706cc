//! The results: what each store took for each cell, beside the device and extentdb.

mod chart;
mod figure;
mod html;
mod machine;
mod rounds;
mod row;
mod table;

pub(crate) use rounds::Rounds;
pub(crate) use row::Row;

use anyhow::{Context, Result};
use machine::Machine;
use serde::Serialize;
use std::fs;
use std::path::Path;

/// All results.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    command: String,
    machine: Machine,
    /// Whether the memory of processes was limited where a row says so.
    limits_memory: bool,
    rows: Vec<Row>,
}

impl Report {
    /// Nothing yet, of a run that measures in `dir`.
    pub(crate) fn new(dir: &Path, limits_memory: bool) -> Self {
        let command = std::env::args().collect::<Vec<_>>().join(" ");
        Self { command, machine: Machine::this(dir), limits_memory, rows: Vec::new() }
    }

    /// Adds what was measured of a cell.
    pub(crate) fn add(&mut self, rounds: Rounds) {
        self.rows.extend(rounds.rows());
    }

    /// Writes it to `out`, as JSON, as text and as a page. Says the text.
    pub(crate) fn save(&self, out: &Path) -> Result<String> {
        let write = |name: &str, text: &str| {
            let path = out.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        let text = table::text(self);
        write("compare.json", &serde_json::to_string_pretty(self)?)?;
        write("compare.txt", &text)?;
        write("compare.html", &html::page(self))?;
        Ok(text)
    }

    /// Rows of the same cell, together.
    fn cells(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunk_by(|one, next| one.cell == next.cell)
    }
}
