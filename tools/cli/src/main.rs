//! `extentdb`: the operator's tool of the extentdb key-value store, and its benchmark.
//!
//! Exit codes: 0 done; 1 failed, absent, or not all was done; 2 damage found by `check`; 64 wrong
//! usage.

mod args;
mod bench;
mod check;
mod churn;
mod delete;
mod exact;
mod explain;
mod export;
mod get;
mod import;
mod info;
mod key;
mod measure;
mod new_file;
mod progress;
mod put;
mod reads;
mod scale;
mod scan;
mod size;
mod volume;

use args::{Args, Command};
use clap::Parser;
use std::process::ExitCode;

/// `check` found damage.
const DAMAGED: u8 = 2;
/// The command line makes no sense (EX_USAGE).
const USAGE: u8 = 64;

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// All was done.
    Done,
    /// Some of it was not; what, has been said.
    Partial,
    /// The volume is damaged; where, has been said.
    Damaged,
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    match run(args.command) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Partial) => ExitCode::FAILURE,
        Ok(Outcome::Damaged) => ExitCode::from(DAMAGED),
        // Whoever read the output has seen enough.
        Err(error) if explain::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            progress::say(&format!("extentdb: {}", explain::explain(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Shows what clap has to say: help, or what is wrong with the command line.
fn usage(error: &clap::Error) -> ExitCode {
    // Where even that cannot be written, nobody is listening.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Put(args) => put::run(&args),
        Command::Get(args) => get::run(&args),
        Command::Delete(args) => delete::run(&args),
        Command::Scan(args) => scan::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Scale(args) => scale::run(&args),
        Command::Churn(args) => churn::run(&args),
        Command::Reads(args) => reads::run(&args),
    }
}
