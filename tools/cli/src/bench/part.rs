//! What is measured.

use clap::ValueEnum;
use serde::Serialize;

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// Puts, gets, scans and overwrites of values of 1 KiB and 1 MiB
    Phases,
    /// The workloads A to F of YCSB
    Ycsb,
    /// Durable puts and cold gets of values from 128 B to 1 MiB
    Sizes,
    /// Durable overwrites of values of 1 MiB, where all pages have been written before
    Large,
    /// Writers, puts in flight and reads in flight, from 1 to many
    Depths,
    /// Puts and gets that arrive at given rates, timed from when they are due
    OpenLoop,
    /// All of these
    All,
}

impl Part {
    const EACH: [Self; 6] =
        [Self::Phases, Self::Ycsb, Self::Sizes, Self::Large, Self::Depths, Self::OpenLoop];

    /// Those of which `only` asks, in the order in which they run.
    pub(super) fn chosen(only: &[Self]) -> Vec<Self> {
        let is_chosen = |part: &Self| match only {
            [] => *part == Self::Phases,
            _ => only.contains(&Self::All) || only.contains(part),
        };
        Self::EACH.into_iter().filter(is_chosen).collect()
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Phases => "phases",
            Self::Ycsb => "YCSB",
            Self::Sizes => "sizes",
            Self::Large => "large",
            Self::Depths => "depths",
            Self::OpenLoop => "open loop",
            Self::All => "all",
        }
    }

    /// Whether its reads are to reach the device, however often a key is read.
    pub(super) fn is_cold(self) -> bool {
        matches!(self, Self::Sizes | Self::Depths)
    }

    /// Whether it begins with `--keys` keys.
    pub(super) fn is_loaded(self) -> bool {
        matches!(self, Self::Ycsb | Self::OpenLoop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_run_in_order_and_the_phases_by_default() {
        assert_eq!(Part::chosen(&[]), [Part::Phases]);
        assert_eq!(Part::chosen(&[Part::Depths, Part::Ycsb]), [Part::Ycsb, Part::Depths]);
        assert_eq!(Part::chosen(&[Part::Ycsb, Part::All]), Part::EACH);
    }
}
