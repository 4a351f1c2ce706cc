//! Telling a listener what a store does, where that is worth a word.
//!
//! 1. Whoever notices something hands an [`Event`] to [`Events`], which puts it in a queue. That is all
//!    that it costs, and nothing without a listener; so it may be done under any lock.
//! 2. A thread of its own takes one event after the other and calls the listener, with no lock held
//!    (L3). So a listener may take its time, use the store, close it, and panic.
//! 3. What comes and goes many times a second is one event as it begins and one when it has ended:
//!    stalls are put together into [episodes](stall).

mod event;
mod stall;
mod teller;

pub use event::{CheckpointCause, Event};
pub use stall::Stall;
pub(crate) use teller::Events;

/// Hears of what a store does that is worth a word: a line in a log, an alarm. See
/// [`Options::event_listener`](crate::Options::event_listener).
///
/// A closure that takes an [`Event`] is a listener.
///
/// **When.** Events are told one at a time, in the order in which they were noticed, by a thread that
/// the store has for it; mostly within a millisecond. [`Db::close`](crate::Db::close) returns when
/// all were told.
///
/// **What a listener may do.** Anything. No lock of the store is held, and nothing in the store waits
/// for a listener, but for a `close`. It may call the store, `close` included; what it waits for there
/// is not waited for by others. What it does there may be told in its turn. If it is slow, 1,024 events wait for it; later ones are dropped, and
/// [`Event::Missed`] says how many. A panic ends that call only: it is counted in
/// [`Metrics::listener_panics`](crate::Metrics::listener_panics), and the next event is told.
///
/// **How long it is kept.** Until the store is closed. A listener that holds a [`Db`](crate::Db) of that
/// store keeps it open until somebody calls `close`.
///
/// ```
/// use extentdb::{Db, Event, EventListener, Options};
/// use std::sync::OnceLock;
///
/// /// Says how the store is whenever puts have to wait.
/// struct Explain(std::sync::Arc<OnceLock<Db>>);
///
/// impl EventListener for Explain {
///     fn on_event(&self, event: &Event) {
///         eprintln!("{event}");
///         if let (Event::StallBegan { .. }, Some(db)) = (event, self.0.get()) {
///             eprintln!("{}", db.metrics());
///         }
///     }
/// }
/// # let dir = tempfile::tempdir()?;
/// let own = std::sync::Arc::new(OnceLock::new());
/// let db = Options::new()
///     .event_listener(Explain(own.clone()))
///     .open(dir.path().join("data.vol"))?;
/// own.set(db.clone()).expect("it is set once");
/// db.put("k", "v")?;
/// db.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait EventListener: Send + Sync + 'static {
    /// Is told of `event`.
    fn on_event(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync + 'static> EventListener for F {
    fn on_event(&self, event: &Event) {
        self(event);
    }
}
