//! Extents: which hold what, where there is room, and the large values in them.

mod adopt;
mod discard;
mod evacuate;
mod heat;
mod image_size;
pub(crate) mod large;
mod liveness;
mod readers;
mod reclaim;
mod reserve;
mod runs;
mod shrink;
mod space;
mod table;
mod usage;

pub(crate) use evacuate::Plan;
pub(crate) use liveness::{LiveChanges, Liveness};
pub(crate) use readers::Readers;
pub(crate) use reclaim::{Candidate, Retired};
pub(crate) use reserve::Claim;
pub(crate) use shrink::Worth;
pub(crate) use space::{Allocation, Space, bytes_of};
pub(crate) use table::{Collected, LargeRun};
pub(crate) use usage::Usage;
