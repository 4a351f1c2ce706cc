//! Numbers that must not be mistaken for one another.

use std::fmt;

/// Bytes in a page, the unit of addressing, checksumming and atomic replacement.
pub(crate) const PAGE_BYTES: usize = 4096;

/// Largest volume: 16 TiB, so that a page number fits 32 bits.
pub(crate) const MAX_VOLUME_PAGES: u64 = 1 << 32;

/// Most extents of a volume: what the store knows of each is in memory.
pub(crate) const MAX_EXTENTS: u64 = 1 << 22;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub(crate) struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number!(
    /// A page of the volume, counted from its start.
    PageNo(u64)
);
number!(
    /// An extent of the volume, counted from its start.
    ExtentNo(u32)
);
number!(
    /// A commit batch; consecutive along the log. Batch 0 is the one before the first.
    BatchNo(u64)
);
number!(
    /// One opening of the volume for writing; ascending along the log.
    Epoch(u32)
);
number!(
    /// Which write of the superblock this is.
    Generation(u64)
);

impl PageNo {
    /// The page `count` pages on.
    #[must_use]
    pub(crate) const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

impl BatchNo {
    /// The batch after this one.
    #[must_use]
    pub(crate) const fn next(self) -> Self {
        // Only what nobody wrote gets so far.
        Self(self.0.saturating_add(1))
    }
}

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub(crate) const fn next(self) -> Self {
        // Only what nobody wrote gets so far.
        Self(self.0.saturating_add(1))
    }
}

impl Generation {
    /// The generation after this one.
    #[must_use]
    pub(crate) const fn next(self) -> Self {
        // Only what nobody wrote gets so far.
        Self(self.0.saturating_add(1))
    }
}

/// Which life of an extent or of a run of pages this is. Never reissued (G4): an epoch is never
/// reused, and within an epoch the serial only grows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub(crate) struct Incarnation {
    /// The epoch that issued it.
    pub(crate) epoch: Epoch,
    /// Its number within the epoch.
    pub(crate) serial: u64,
}

/// Random identity of a volume; every page carries it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct StoreId(pub(crate) u64);

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Pages that hold `bytes` bytes.
#[must_use]
pub(crate) const fn pages_for(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE_BYTES as u64)
}
