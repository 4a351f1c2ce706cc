//! The write-ahead log: group commit on the write side, replay on the read side.
//!
//! Reading order: [`mod@unit`] what a call commits, [`batch`] where it goes, [`log`] who writes it,
//! [`lead`] how, [`filler`] what goes along, [`state`] what the lock protects, [`upkeep`] what happens beside,
//! [`replay`] how it is read back.

mod batch;
mod completion;
mod epoch;
mod filler;
mod host;
mod lead;
mod listing;
mod log;
mod replay;
mod state;
mod tail;
mod unit;
mod upkeep;
mod window;

pub(crate) use epoch::{Begun, begin_epoch};
pub(crate) use filler::Offered;
pub(crate) use host::Host;
pub(crate) use listing::Listing;
pub(crate) use log::{Log, LogConfig, LogStart};
pub(crate) use replay::{Replay, ReplayError, Replayed, Sink};
pub(crate) use tail::Tail;
pub(crate) use unit::{Item, Unit};
