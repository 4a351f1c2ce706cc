//! Loads the stores, and measures them in rounds.

use crate::args::Args;
use crate::cell::{Cell, Work};
use crate::cgroup::Memory;
use crate::child::Child;
use crate::files;
use crate::outcome::Outcome;
use crate::peer::Kind;
use crate::plan::{self, Stage};
use crate::progress::Progress;
use crate::report::{Report, Rounds};
use crate::task::Task;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The folder of the stores, in the one that was given.
const FOLDER: &str = "extentdb-compare";
/// What one task may take beside its own time.
const SLACK: Duration = Duration::from_secs(180);
const LOAD_TIME: Duration = Duration::from_secs(1800);

/// A run of the comparison.
pub(crate) struct Run<'a> {
    args: &'a Args,
    dir: PathBuf,
    /// `None` where we may not limit memory.
    memory: Option<Memory>,
    progress: Progress,
}

impl<'a> Run<'a> {
    /// Prepares to measure.
    pub(crate) fn new(args: &'a Args) -> Result<Self> {
        let dir = args.dir.join(FOLDER);
        remove(&dir)?;
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let memory = Memory::create();
        let progress = Progress::new(steps(args));
        if let Err(error) = &memory {
            progress.note(&format!("memory cannot be limited ({error}): caches are dropped only"));
        }
        Ok(Self { args, dir, memory: memory.ok(), progress })
    }

    /// Whether memory is limited where it is to be.
    pub(crate) fn limits_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Measures all, and adds it to `report`, which `save` keeps now and then.
    pub(crate) fn all(
        &self,
        report: &mut Report,
        save: impl Fn(&Report) -> Result<()>,
    ) -> Result<()> {
        for stage in plan::stages(self.args) {
            self.stage(&stage, report)?;
            save(report)?;
        }
        self.progress.finish();
        Ok(())
    }

    fn stage(&self, stage: &Stage, report: &mut Report) -> Result<()> {
        let kinds = self.args.kinds();
        let mut load = Rounds::new(&stage.load, &kinds);
        for kind in &kinds {
            fs::create_dir_all(self.dir_of(*kind))?;
            self.step(&mut load, *kind, 0);
        }
        report.add(load);
        for cells in runs(&stage.cells) {
            let mut all: Vec<_> = cells.iter().map(|cell| Rounds::new(cell, &kinds)).collect();
            for round in 0..self.rounds(&cells[0]) {
                for rounds in &mut all {
                    for turn in 0..kinds.len() {
                        // Nobody is always after the same.
                        let kind = kinds[(turn + round as usize) % kinds.len()];
                        self.step(rounds, kind, round);
                    }
                }
            }
            all.into_iter().for_each(|rounds| report.add(rounds));
        }
        kinds.iter().try_for_each(|kind| remove(&self.dir_of(*kind)))
    }

    fn rounds(&self, cell: &Cell) -> u64 {
        if cell.is_once() { 1 } else { self.args.rounds }
    }

    /// Measures one store once.
    fn step(&self, rounds: &mut Rounds, kind: Kind, round: u64) {
        let title = rounds.cell().title();
        self.progress.begin(format!("{title}: {}, round {}", kind.name(), round + 1));
        // Opening the device says nothing.
        if kind != Kind::Raw || rounds.cell().work != Work::Open {
            let outcome = self.measure(rounds.cell(), kind, round);
            if let Err(error) = &outcome {
                self.progress.note(&format!("{title}: {}: {error:#}", kind.name()));
            }
            rounds.add(kind, outcome);
        }
        self.progress.end();
    }

    fn measure(&self, cell: &Cell, kind: Kind, round: u64) -> Result<Outcome> {
        let task = self.task(cell, kind, round)?;
        if cell.work == Work::Open {
            self.kill_while_it_writes(&task)?;
        }
        if cell.memory.is_some() || cell.work == Work::Open {
            files::evict(&task.dir)?;
        }
        let time = match cell.work {
            Work::Load => LOAD_TIME,
            _ => SLACK + Duration::from_secs_f64(2.0 * task.seconds),
        };
        let outcome = Child::start(&task, time)?.wait(|done, of| self.progress.part(done, of));
        match cell.memory {
            Some(_) => outcome.context("within the memory allowed"),
            None => outcome,
        }
    }

    fn kill_while_it_writes(&self, task: &Task) -> Result<()> {
        let doomed = Task { is_doomed: true, ..task.clone() };
        let mut child = Child::start(&doomed, SLACK)?;
        child.wait_until_ready()?;
        thread::sleep(Duration::from_secs_f64(2.0 * self.args.seconds));
        drop(child);
        Ok(())
    }

    fn task(&self, cell: &Cell, kind: Kind, round: u64) -> Result<Task> {
        let mut processes = None;
        if let (Some(bytes), Some(memory)) = (cell.memory, &self.memory) {
            memory.limit(bytes)?;
            processes = Some(memory.processes());
        }
        let is_churn = cell.work == Work::Churn;
        let seconds = if is_churn { self.args.churn_seconds } else { self.args.seconds };
        let share = if is_churn { self.args.churn } else { 1.0 };
        Ok(Task {
            kind,
            dir: self.dir_of(kind),
            cell: cell.clone(),
            setup: plan::setup(cell),
            round,
            seconds,
            most_bytes: (cell.dataset_bytes() as f64 * share) as u64,
            processes,
            is_doomed: false,
        })
    }

    fn dir_of(&self, kind: Kind) -> PathBuf {
        self.dir.join(kind.name().replace(' ', "-"))
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        // What is left is removed by the next run.
        let _ = remove(&self.dir);
    }
}

/// Cells that are measured in turn, and those that are measured once by themselves.
fn runs(cells: &[Cell]) -> Vec<&[Cell]> {
    cells.chunk_by(|one, next| one.is_once() == next.is_once()).collect()
}

fn steps(args: &Args) -> usize {
    let rounds = |cell: &Cell| if cell.is_once() { 1 } else { args.rounds as usize };
    let cells = |stage: &Stage| 1 + stage.cells.iter().map(rounds).sum::<usize>();
    plan::stages(args).iter().map(cells).sum::<usize>() * args.kinds().len()
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}
