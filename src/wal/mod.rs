//! The write-ahead log: group commit on the write side, replay on the read side.
//!
//! Reading order: [`mod@unit`] what a call commits, [`batch`] where it goes, [`log`] who writes it,
//! [`lead`] how, [`submit`] for those who do not wait, [`filler`] what goes along, [`state`] what the lock protects, [`spares`] what is used again, [`upkeep`] what happens beside,
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
mod spares;
mod state;
mod submit;
mod tail;
mod unit;
mod upkeep;
mod wakers;
mod window;

pub(crate) use epoch::{Begun, begin_epoch};
pub(crate) use filler::Offered;
pub(crate) use host::Host;
pub(crate) use listing::Listing;
pub(crate) use log::{Log, LogConfig, LogStart};
pub(crate) use replay::{Replay, ReplayError, Replayed, Sink};
pub(crate) use submit::{Submitted, Ticket};
pub(crate) use tail::Tail;
pub(crate) use unit::{Item, Unit};
