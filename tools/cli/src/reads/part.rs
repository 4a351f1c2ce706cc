//! What is measured.

use clap::ValueEnum;

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Gets of random keys, each key once, by one thread
    Get,
    /// The same by 16 threads
    Get16,
    /// Multi-gets of 32 such keys by one thread
    MultiGet,
    /// A scan with values
    Scan,
    /// A scan with values, backwards
    ScanBack,
    /// Gets of few keys, again and again, by two threads
    Hot,
}

impl Part {
    /// All, in the order in which they run.
    pub(super) const ALL: [Self; 6] =
        [Self::Get, Self::Get16, Self::MultiGet, Self::Scan, Self::ScanBack, Self::Hot];

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Get => "cold gets, 1 thread",
            Self::Get16 => "cold gets, 16 threads",
            Self::MultiGet => "cold multi-gets of 32",
            Self::Scan => "cold scan",
            Self::ScanBack => "cold scan, backwards",
            Self::Hot => "hot gets, 2 threads",
        }
    }

    /// Threads that do it.
    pub(super) fn threads(self) -> usize {
        match self {
            Self::Get16 => 16,
            Self::Hot => 2,
            _ => 1,
        }
    }
}
