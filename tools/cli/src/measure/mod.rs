//! What the commands that measure share: threads that do the same thing, the raw device, latencies,
//! and figures beside what they are compared to.

pub(crate) mod drive;
pub(crate) mod html;
pub(crate) mod json;
pub(crate) mod load;
pub(crate) mod median;
pub(crate) mod open_loop;
pub(crate) mod raw;
pub(crate) mod ring;
pub(crate) mod room;
pub(crate) mod row;
pub(crate) mod sample;
pub(crate) mod schedule;
pub(crate) mod shape;
pub(crate) mod show;
pub(crate) mod stages;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod timeline;

pub(crate) use extentdb_measure::random;
