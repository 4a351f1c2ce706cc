//! What the parts of a run share: what is asked for, and where results go.

use super::html;
use super::part::Part;
use super::report::{Failure, Report};
use super::{snapshots, tails};
use crate::args::ChurnArgs;
use crate::explain;
use crate::measure::json;
use crate::measure::row::Row;
use crate::measure::show::Show;
use crate::measure::table::Table;
use crate::progress;
use anyhow::{Context, Result};
use std::fs;

/// A run under way.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) args: &'a ChurnArgs,
    pub(super) report: Report,
    show: Show,
    table: Table,
}

impl<'a> Session<'a> {
    /// Nothing has been measured yet.
    pub(super) fn new(args: &'a ChurnArgs) -> Result<Self> {
        let mut show = Show::beside(args.json.as_deref());
        let report = Report::new(args);
        show.text(&report.head())?;
        Ok(Self { args, report, show, table: Table::default() })
    }

    /// Whether `part` is wanted.
    pub(super) fn wants(&self, part: Part) -> bool {
        self.args.only.is_empty() || self.args.only.contains(&part)
    }

    /// The most room that any part takes, in volumes.
    pub(super) fn volumes(&self) -> u64 {
        if self.wants(Part::Tails) {
            1 + tails::ROOMY
        } else if self.wants(Part::Snapshots) {
            snapshots::ROOM
        } else {
            1
        }
    }

    /// Shows and keeps `rows`.
    pub(super) fn answer(&mut self, rows: impl IntoIterator<Item = Row>) -> Result<()> {
        for row in rows {
            self.show.text(&self.table.lines(&row))?;
            self.report.rows.push(row);
        }
        Ok(())
    }

    /// Does `work`, the part named `part`. What fails there is said, and does not keep the other
    /// parts from their turn.
    pub(super) fn attempt(
        &mut self,
        part: &str,
        work: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        match work(self) {
            Err(error) if explain::is_broken_pipe(&error) => return Err(error),
            Err(error) => {
                let what = explain::explain(&error);
                progress::say(&format!("extentdb: {part}: {what}"));
                self.report.failures.push(Failure { part: part.to_owned(), what });
            }
            Ok(()) => {}
        }
        self.save()
    }

    /// Writes what there is by now, so that it is there if the rest takes too long.
    fn save(&self) -> Result<()> {
        if let Some(path) = &self.args.json
            && !json::is_stdout(path)
        {
            json::write(&self.report, path)?;
        }
        match &self.args.html {
            Some(path) => fs::write(path, html::page(&self.report))
                .with_context(|| path.display().to_string()),
            None => Ok(()),
        }
    }

    /// All parts have had their turn; whether all went well.
    pub(super) fn finish(self) -> Result<bool> {
        if let Some(path) = &self.args.json
            && json::is_stdout(path)
        {
            json::write(&self.report, path)?;
        }
        Ok(self.report.failures.is_empty())
    }
}
