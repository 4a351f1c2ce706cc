//! What the engine did and how long it took.
//!
//! 1. The engine times its stages and counts its operations with a [`Recorder`]; the hot path
//!    times only a sample of them.
//! 2. A snapshot of it is a [`Metrics`]; the engine adds the device's traffic and the space in use.
//! 3. A [`Metrics`] prints as a table. Two of them have a difference: what happened between them.
//! 4. The [`Histogram`] of a stage leaves for other tools as text, of one moment or as a log of intervals.

mod collection;
mod hgrm;
mod histogram;
mod hlog;
mod interval;
mod recorder;
mod sampler;
mod snapshot;
mod stage;
mod table;

pub use collection::Collection;
pub(crate) use collection::Noted;
pub use histogram::Histogram;
pub use hlog::IntervalLog;
pub(crate) use recorder::{Counter, Recorder};
pub use snapshot::{Latency, Metrics, Written};
pub use stage::Stage;
