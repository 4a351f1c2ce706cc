//! What garbage collection is doing.

use crate::sync::{AtomicU64, Ordering};
use std::fmt;

/// What garbage collection did when it last looked, or why it did nothing.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// let collection = db.metrics().collection;
/// println!("garbage collection: {collection}"); // "at ease", or "nothing to gain" while it is empty
/// assert_ne!(collection, extentdb::Collection::HeldByPins);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum Collection {
    /// Nothing: the space contract holds, and there is room for puts.
    #[default]
    AtEase,
    /// It moves live records.
    Collecting,
    /// It waits for a checkpoint: what garbage there is, is in log that only checkpoints keep.
    AwaitsCheckpoint,
    /// Nothing: what garbage there is, snapshots or iterators may still read.
    HeldByPins,
    /// Nothing: there is no extent with enough garbage to be worth it.
    NothingToGain,
    /// Nothing: what garbage there is, is beside live records that cannot be read. They stay where they
    /// are, and are tried again after the next open; a `get` of them says what is wrong.
    SetAside,
}

const ALL: [Collection; 6] = [
    Collection::AtEase,
    Collection::Collecting,
    Collection::AwaitsCheckpoint,
    Collection::HeldByPins,
    Collection::NothingToGain,
    Collection::SetAside,
];

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtEase => "at ease",
            Self::Collecting => "collecting",
            Self::AwaitsCheckpoint => "awaits a checkpoint",
            Self::HeldByPins => "held by pins",
            Self::NothingToGain => "nothing to gain",
            Self::SetAside => "beside what cannot be read",
        })
    }
}

/// The last that was noted.
#[derive(Debug, Default)]
pub(crate) struct Noted(AtomicU64);

impl Noted {
    pub(crate) fn set(&self, collection: Collection) {
        self.0.store(collection as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Collection {
        ALL[self.0.load(Ordering::Relaxed) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_comes_back() {
        let noted = Noted::default();
        assert_eq!(noted.get(), Collection::AtEase);
        for collection in ALL {
            noted.set(collection);
            assert_eq!(noted.get(), collection);
        }
    }
}
