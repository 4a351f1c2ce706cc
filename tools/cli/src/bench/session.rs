//! What the parts of a run share: what is asked for, the raw device, and where results go.

use super::export::Tracks;
use super::part::Part;
use super::report::{PartReport, Report};
use super::rounds::Rounds;
use super::setup::{self, Plan};
use crate::args::BenchArgs;
use crate::measure::drive::Limit;
use crate::measure::json;
use crate::measure::raw::Scratch;
use crate::measure::row::Row;
use crate::measure::sample::Sample;
use crate::measure::show::Show;
use crate::measure::table::Table;
use crate::progress::{Progress, Steps};
use anyhow::{Context, Result};
use extentdb::{Db, DirectState};
use std::time::Duration;

/// A run under way.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) args: &'a BenchArgs,
    pub(super) plan: Plan,
    pub(super) scratch: Scratch,
    pub(super) report: Report,
    pub(super) tracks: Tracks,
    show: Show,
    table: Table,
}

/// One measurement: a name, and how its operations are called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'c> {
    pub(super) part: &'c str,
    pub(super) name: &'c str,
    pub(super) kinds: &'c [&'c str],
}

impl Cell<'_> {
    fn title(&self) -> String {
        let names = [self.part, self.name].into_iter().filter(|name| !name.is_empty());
        names.collect::<Vec<_>>().join(", ")
    }
}

impl<'a> Session<'a> {
    /// A session, and the volume of its first part.
    pub(super) fn begin(args: &'a BenchArgs, first: Part) -> Result<(Self, Db)> {
        let plan = Plan::of(args);
        let db = setup::create(args, &plan, first)?;
        let scratch = scratch(args, &plan, &db)?;
        let report = Report::new(args, &plan, &db.info(), &scratch);
        let mut show = Show::beside(args.json.as_deref());
        show.text(&format!("{}\n", report.head()))?;
        let tracks = Tracks::default();
        Ok((Self { args, plan, scratch, report, tracks, show, table: Table::default() }, db))
    }

    /// The volume of `part`, which is not the first.
    pub(super) fn create(&self, part: Part) -> Result<Db> {
        setup::create(self.args, &self.plan, part)
    }

    /// A part begins. What it works on is said.
    pub(super) fn part(&mut self, part: PartReport) -> Result<()> {
        self.show.text(&format!("\n{}\n", part.says()))?;
        self.report.parts.push(part);
        Ok(())
    }

    /// Shows and keeps rows of the part that began last.
    pub(super) fn answer(&mut self, rows: impl IntoIterator<Item = Row>) -> Result<()> {
        for row in rows {
            self.show.text(&self.table.lines(&row))?;
            if let Some(part) = self.report.parts.last_mut() {
                part.rows.push(row);
            }
        }
        Ok(())
    }

    /// Measures `cell` in rounds: the raw device, the store for twice as long, the raw device
    /// again. Of each kind of operation there is a sample.
    pub(super) fn measure(
        &mut self,
        cell: Cell<'_>,
        mut store: impl FnMut(&Scratch, Limit) -> Result<Vec<Sample>>,
        mut raw: impl FnMut(&Scratch, Limit) -> Result<Vec<Sample>>,
    ) -> Result<Vec<Rounds>> {
        let mut rounds: Vec<_> = cell.kinds.iter().map(|_| Rounds::default()).collect();
        let slice = self.plan.phase_time / self.plan.rounds;
        let steps = Steps::new(u64::from(self.plan.rounds));
        for _ in 0..self.plan.rounds {
            steps.begin(&cell.title());
            let before = self.slice(cell, "raw", slice / 2, |s, l| raw(s, l))?;
            let measured = self.slice(cell, "store", slice, |s, l| store(s, l))?;
            let after = self.slice(cell, "raw", slice / 2, |s, l| raw(s, l))?;
            for (rounds, sample) in rounds.iter_mut().zip(&measured) {
                rounds.store(sample);
            }
            for (rounds, (mut both, after)) in rounds.iter_mut().zip(before.into_iter().zip(after))
            {
                both.add(&after);
                rounds.raw(&both);
            }
        }
        steps.finish();
        Ok(rounds)
    }

    /// One side, once.
    fn slice(
        &mut self,
        cell: Cell<'_>,
        side: &'static str,
        time: Duration,
        run: impl FnOnce(&Scratch, Limit) -> Result<Vec<Sample>>,
    ) -> Result<Vec<Sample>> {
        let samples = run(&self.scratch, Limit::time(time));
        let samples = samples.with_context(|| cell.title())?;
        for (kind, sample) in cell.kinds.iter().zip(&samples) {
            self.tracks.note([cell.part, cell.name, kind], side, sample);
        }
        Ok(samples)
    }

    /// All parts have had their turn.
    pub(super) fn finish(self) -> Result<()> {
        if let Some(path) = &self.args.json {
            json::write(&self.report, path)?;
        }
        self.tracks.write(self.args, &self.report)
    }
}

fn scratch(args: &BenchArgs, plan: &Plan, db: &Db) -> Result<Scratch> {
    let path = setup::scratch_path(args, &db.info());
    let direct = db.info().device.direct == DirectState::Active;
    let progress = Progress::bytes("preparing the scratch file,", plan.scratch_bytes);
    let scratch = Scratch::create(&path, plan.scratch_bytes, direct, &progress);
    progress.finish();
    scratch.with_context(|| format!("scratch file {}", path.display()))
}
