//! `compare`: extentdb beside its peers and the raw device.
//!
//! The process that is started plans and reports; for each measurement it starts itself again, so
//! that memory, processor time and kills are of one store alone. `cell` says what is measured,
//! `peer` of whom, `work` how; `task` is what one process does, `run` what all of them do.

mod args;
mod cell;
mod cgroup;
mod child;
mod drive;
mod files;
mod message;
mod outcome;
mod peer;
mod peers;
mod plan;
mod progress;
mod report;
mod run;
mod shape;
mod show;
mod task;
mod usage;
mod watch;
mod work;
mod ycsb;

use anyhow::{Context, Result};
use args::Args;
use clap::Parser;
use message::{Message, say};
use report::Report;
use run::Run;
use std::fs;
use std::io::{self, Write};
use task::Task;

fn main() -> Result<()> {
    let args = Args::parse();
    match &args.task {
        Some(task) => obey(task),
        None => compare(&args),
    }
}

/// Does what another process has started this one for.
fn obey(task: &str) -> Result<()> {
    let task: Task = serde_json::from_str(task)?;
    match task.run() {
        Ok(()) => Ok(()),
        Err(error) => say(&Message::Failed(format!("{error:#}"))),
    }
}

fn compare(args: &Args) -> Result<()> {
    args.check_room()?;
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let run = Run::new(args)?;
    let mut report = Report::new(&args.dir, run.limits_memory());
    run.all(&mut report, |report| report.save(&args.out).map(drop))?;
    let text = report.save(&args.out)?;
    writeln!(io::stdout(), "{text}\nPlots: {}", args.out.join("compare.html").display())?;
    Ok(())
}
