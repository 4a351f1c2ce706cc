//! The parts of a run.

use clap::ValueEnum;

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Uniformly random overwrites, at each utilization
    Uniform,
    /// Skewed overwrites
    Zipf,
    /// Uniformly random overwrites of values of 1 MiB
    Large,
    /// Gets and puts while garbage is collected, beside a store that collects none
    Tails,
    /// The longest put of the fullest of the uniform runs
    Overload,
    /// Snapshots that are held meanwhile
    Snapshots,
}
