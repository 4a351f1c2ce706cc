//! The parts of a run, and the processes that do them.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    /// Memory per key, loaded, through checkpoints, and after churn
    Memory,
    /// What a snapshot that is held costs
    Snapshot,
    /// Opening after SIGKILL and after a clean close
    Open,
    /// Latencies of gets beside a writer, and of puts beside checkpoints
    Tails,
}

impl Part {
    /// All, in the order in which they run.
    pub(super) const ALL: [Self; 4] = [Self::Memory, Self::Snapshot, Self::Open, Self::Tails];

    /// The process that does it.
    pub(super) fn role(self) -> Role {
        match self {
            Self::Memory => Role::Memory,
            Self::Snapshot => Role::Snapshot,
            Self::Open => Role::Open,
            Self::Tails => Role::Tails,
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Snapshot => "snapshot",
            Self::Open => "open",
            Self::Tails => "tails",
        }
    }
}

/// What a process that this command starts is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// The part of that name
    Memory,
    /// The part of that name
    Snapshot,
    /// The part of that name
    Open,
    /// The part of that name
    Tails,
    /// Fill std's BTreeMap
    Btree,
    /// Fill the volume, and wait to be killed
    Writer,
    /// Open the volume, and wait to be killed or told to close it
    Opener,
}
