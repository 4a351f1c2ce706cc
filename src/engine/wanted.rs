//! A value that somebody asks for.

use crate::extent::Space;
use crate::format::ids::Incarnation;
use crate::format::location::Location;
use std::cell::Cell;

/// A value that is asked for: its key, where the index or a view has it, and the life of the extent that
/// it is in, which is looked up at most once, under the extent table's lock.
///
/// P3: the life must be that under which the location was found. Whoever asks has entered as a reader, or
/// holds a view, since before the location was found, so the extent is not freed before he is done (G3):
/// it is in one life from then on, and it does not matter when he looks. Should that be broken, it is
/// better to have looked once: the cache is asked for, the pages are verified by, and what was read is
/// kept under one life, never partly under a later one.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) key: &'a [u8],
    pub(super) location: Location,
    life: Cell<Option<Option<Incarnation>>>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(key: &'a [u8], location: Location) -> Self {
        Self { key, location, life: Cell::new(None) }
    }

    /// `None` if there is no such extent.
    pub(super) fn life(&self, space: &Space) -> Option<Incarnation> {
        self.life.get().unwrap_or_else(|| {
            let life = space.incarnation_of(space.extent_of(self.location.page()));
            self.life.set(Some(life));
            life
        })
    }
}
