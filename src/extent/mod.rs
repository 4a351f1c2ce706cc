//! Extents: which hold what, where there is room, and the large values in them.

pub(crate) mod large;
mod runs;
mod space;

pub(crate) use space::{Allocation, LargeRun, LiveChanges, Liveness, Space, bytes_of};
