//! Bytes to structures and back: pure, no I/O, no clocks, no unsafe. `docs/format.md` draws
//! every structure; a test holds the drawings against the constants here.

mod bytes;
#[cfg(test)]
mod doc_test;
pub(crate) mod extent_state;
pub(crate) mod footer;
pub(crate) mod ids;
pub(crate) mod image;
pub(crate) mod large;
pub(crate) mod listed;
pub(crate) mod location;
pub(crate) mod log_page;
pub(crate) mod moves;
pub(crate) mod record;
pub(crate) mod superblock;
#[cfg(test)]
mod torn_test;
pub(crate) mod value_record;
