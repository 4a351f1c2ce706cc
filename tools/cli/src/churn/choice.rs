//! Which keys are overwritten.

use crate::measure::random::Random;

/// Chooses among the keys of the numbers below some limit.
#[derive(Debug)]
pub(super) enum Choice {
    /// Any of so many alike.
    Uniform(u64),
}

impl Choice {
    /// The number of the next key.
    pub(super) fn next(&self, random: &mut Random) -> u64 {
        match self {
            Self::Uniform(keys) => random.below(*keys),
        }
    }
}
