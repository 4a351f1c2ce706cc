//! From whoever notices something to the listener.

use super::EventListener;
use super::event::Event;
use super::stall::{Episodes, QUIET, Stall};
use crate::seeded::{Bug, seeded};
use crate::sync::{self, Arc, AtomicU64, Condvar, Duration, Instant, Mutex, Ordering, Thread};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Events that wait for the listener, at most.
const MOST_WAITING: usize = 1024;
/// How often it is told that the volume is full.
const FULL_EVERY: Duration = Duration::from_secs(1);

/// The way to the listener, if there is one. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Events(Option<Arc<Teller>>);

/// What became of events so far.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Heard {
    pub(crate) told: u64,
    pub(crate) missed: u64,
    pub(crate) panics: u64,
}

struct Teller {
    /// None once the last event was told.
    listener: Mutex<Option<Arc<dyn EventListener>>>,
    /// Taken after every other lock of the engine.
    state: Mutex<State>,
    news: Condvar,
    thread: Mutex<Option<Thread>>,
    told: AtomicU64,
    missed: AtomicU64,
    panics: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Event>,
    /// Events that were dropped after the last in the queue.
    missed: u64,
    episodes: Episodes,
    refused: u64,
    told_full: Option<Instant>,
    closing: bool,
}

/// Somebody waits, until this is dropped.
pub(crate) struct Stalled<'a>(Option<(&'a Teller, Stall, Instant)>);

impl Events {
    /// For `listener`, who hears nothing before [`start`](Self::start).
    pub(crate) fn new(listener: Option<Arc<dyn EventListener>>) -> Self {
        Self(listener.map(|listener| {
            Arc::new(Teller {
                listener: Mutex::new(Some(listener)),
                state: Mutex::default(),
                news: Condvar::new(),
                thread: Mutex::default(),
                told: AtomicU64::new(0),
                missed: AtomicU64::new(0),
                panics: AtomicU64::new(0),
            })
        }))
    }

    /// Starts the thread that tells them.
    pub(crate) fn start(&self) -> io::Result<()> {
        let Some(teller) = &self.0 else { return Ok(()) };
        let own = Arc::clone(teller);
        let thread = Thread::start("extentdb-events", move || own.run())?;
        *teller.thread.lock() = Some(thread);
        Ok(())
    }

    /// Whether anybody listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Has the listener told of `event`, which is made only if there is one. Under any lock.
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(teller) = &self.0 {
            teller.add(event());
        }
    }

    /// A write waits, until what is returned is dropped. Under any lock.
    pub(crate) fn stall(&self, why: Stall) -> Stalled<'_> {
        Stalled(self.0.as_deref().map(|teller| {
            teller.change(|state| {
                let began = state.episodes.enter(why);
                began.map_or(0, |event| state.push(event))
            });
            (teller, why, sync::now())
        }))
    }

    /// A put was refused as there is no room.
    pub(crate) fn refused(&self, pinned_by: Option<&'static str>) {
        let Some(teller) = &self.0 else { return };
        let now = sync::now();
        teller.change(|state| {
            state.refused += 1;
            let lately = |told: Instant| now.saturating_duration_since(told) < FULL_EVERY;
            if state.told_full.is_some_and(lately) {
                return 0;
            }
            state.told_full = Some(now);
            let refused = std::mem::take(&mut state.refused);
            state.push(Event::Full { pinned_by, refused })
        });
    }

    /// What became of events so far.
    pub(crate) fn heard(&self) -> Heard {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.0.as_ref().map_or_else(Heard::default, |teller| Heard {
            told: load(&teller.told),
            missed: load(&teller.missed),
            panics: load(&teller.panics),
        })
    }

    /// Tells all that there is to tell, and lets go of the listener. Returns when that is done, unless
    /// it is the listener that asks.
    pub(crate) fn close(&self) {
        let Some(teller) = &self.0 else { return };
        teller.state.lock().closing = true;
        teller.news.notify_all();
        let thread = teller.thread.lock().take();
        if let Some(thread) = thread {
            thread.join();
        }
    }

    /// Tells what waits, on the calling thread.
    #[cfg(test)]
    pub(crate) fn deliver(&self) {
        let Some(teller) = &self.0 else { return };
        loop {
            let next = teller.state.lock().next(false);
            let Some(event) = next else { break };
            teller.call(&event);
        }
    }
}

impl Teller {
    fn add(&self, event: Event) {
        self.change(|state| state.push(event));
    }

    /// Lets `change` say what is new, and how many events were dropped for it.
    fn change(&self, change: impl FnOnce(&mut State) -> u64) {
        let missed = change(&mut self.state.lock());
        self.missed.fetch_add(missed, Ordering::Relaxed);
        self.news.notify_one();
    }

    fn run(&self) {
        while let Some(event) = self.wait() {
            self.call(&event);
        }
        // What it holds may be a handle, of which the drop takes locks.
        let listener = self.listener.lock().take();
        drop(listener);
    }

    /// The next event; `None` if there will be none.
    fn wait(&self) -> Option<Event> {
        let mut state = self.state.lock();
        loop {
            if state.closing && seeded(Bug::LastEventsNotTold) {
                return None;
            }
            let closing = state.closing;
            if let Some(event) = state.next(closing) {
                return Some(event);
            }
            if closing {
                return None;
            }
            state = match state.episodes.is_open() {
                true => self.news.wait_for(state, QUIET),
                false => self.news.wait(state),
            };
        }
    }

    /// L3: no lock is held.
    fn call(&self, event: &Event) {
        let listener = self.listener.lock().clone();
        let Some(listener) = listener else { return };
        self.told.fetch_add(1, Ordering::Relaxed);
        let called = catch_unwind(AssertUnwindSafe(|| listener.on_event(event)));
        if called.is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl State {
    /// Adds `event`, if there is room. How many were dropped.
    fn push(&mut self, event: Event) -> u64 {
        let needed = 1 + usize::from(self.missed > 0);
        if self.queue.len() + needed > MOST_WAITING {
            self.missed += 1;
            return 1;
        }
        let missed = self.take_missed();
        self.queue.extend(missed);
        self.queue.push_back(event);
        0
    }

    fn take_missed(&mut self) -> Option<Event> {
        let events = std::mem::take(&mut self.missed);
        (events > 0).then_some(Event::Missed { events })
    }

    fn next(&mut self, closing: bool) -> Option<Event> {
        let queued = self.queue.pop_front().or_else(|| self.take_missed());
        queued.or_else(|| self.episodes.take_over(closing))
    }
}

impl Drop for Stalled<'_> {
    fn drop(&mut self) {
        if let Some((teller, why, begun)) = self.0 {
            teller.state.lock().episodes.leave(why, begun);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("heard", &self.heard()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    fn number(page: u64) -> Event {
        Event::ReadRetried { page, what: "" }
    }

    fn pages(events: &Receiver<Event>) -> Vec<u64> {
        let page = |event| match event {
            Event::ReadRetried { page, .. } => page,
            other => panic!("{other}"),
        };
        events.try_iter().map(page).collect()
    }

    /// A listener that sends on what it hears, after `delay`.
    fn sending(delay: Duration) -> (Events, Receiver<Event>) {
        let (sender, events) = channel();
        let listener = move |event: &Event| {
            sync::sleep(delay);
            sender.send(event.clone()).unwrap();
        };
        (Events::new(Some(Arc::new(listener))), events)
    }

    #[test]
    fn all_is_told_in_order_before_a_close_returns() {
        let (events, heard) = sending(Duration::from_millis(1));
        events.start().unwrap();
        (0..50).for_each(|page| events.tell(|| number(page)));
        events.close();
        assert_eq!(pages(&heard), Vec::from_iter(0..50));
        assert_eq!((events.heard().told, events.heard().missed), (50, 0));
        assert!(heard.recv().is_err(), "the listener is gone");
        events.tell(|| number(0));
        events.close();
    }

    #[test]
    fn what_is_too_much_is_missed_and_counted_where_it_was() {
        let (events, heard) = sending(Duration::ZERO);
        let most = MOST_WAITING as u64;
        (0..most + 7).for_each(|page| events.tell(|| number(page)));
        let first = events.0.as_ref().unwrap().state.lock().next(false).unwrap();
        assert!(matches!(first, Event::ReadRetried { page: 0, .. }));
        events.tell(|| number(most + 7));
        events.deliver();
        let told: Vec<Event> = heard.try_iter().collect();
        assert_eq!(told.len(), MOST_WAITING);
        // There was room for one, not for that and for saying what came before it.
        assert!(matches!(told[MOST_WAITING - 1], Event::Missed { events: 8 }), "{told:?}");
        events.tell(|| number(1));
        events.deliver();
        assert_eq!(pages(&heard), [1]);
        assert_eq!(events.heard().missed, 8);
    }

    #[test]
    fn a_listener_that_panics_is_counted_and_told_the_next() {
        let (sender, heard) = channel();
        let listener = move |event: &Event| match event {
            Event::ReadRetried { page: 1, .. } => panic!("the listener's own"),
            event => sender.send(event.clone()).unwrap(),
        };
        let events = Events::new(Some(Arc::new(listener)));
        events.start().unwrap();
        (0..3).for_each(|page| events.tell(|| number(page)));
        events.close();
        assert_eq!(pages(&heard), [0, 2]);
        assert_eq!((events.heard().told, events.heard().panics), (3, 1));
    }

    #[test]
    fn a_stall_is_told_as_it_begins_and_when_it_has_ended() {
        let (events, heard) = sending(Duration::ZERO);
        events.start().unwrap();
        let stalled = events.stall(Stall::Space);
        let began = heard.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(matches!(began, Event::StallBegan { why: Stall::Space }), "{began}");
        (0..20).for_each(|_| drop(events.stall(Stall::Space)));
        drop(stalled);
        let ended = heard.recv_timeout(Duration::from_secs(30)).unwrap();
        let Event::StallEnded { why: Stall::Space, took, waits: 21, longest } = ended else {
            panic!("{ended}")
        };
        assert_eq!(took.max(longest), took);
        events.close();
        assert!(heard.try_recv().is_err());
    }

    #[test]
    fn a_close_ends_what_has_begun() {
        let (events, heard) = sending(Duration::ZERO);
        events.start().unwrap();
        drop(events.stall(Stall::Log));
        events.close();
        let told: Vec<Event> = heard.iter().collect();
        assert!(
            matches!(told[..], [Event::StallBegan { .. }, Event::StallEnded { waits: 1, .. }]),
            "{told:?}"
        );
    }

    #[test]
    fn that_the_volume_is_full_is_told_once_a_second() {
        let (events, heard) = sending(Duration::ZERO);
        (0..100).for_each(|_| events.refused(None));
        events.deliver();
        let told: Vec<Event> = heard.try_iter().collect();
        assert!(matches!(told[..], [Event::Full { refused: 1, .. }]), "{told:?}");
        sync::sleep(FULL_EVERY);
        events.refused(Some("snapshots"));
        events.deliver();
        let told: Vec<Event> = heard.try_iter().collect();
        assert!(
            matches!(told[..], [Event::Full { refused: 100, pinned_by: Some("snapshots") }]),
            "{told:?}"
        );
    }

    #[test]
    fn without_a_listener_nothing_is_made() {
        let events = Events::default();
        events.start().unwrap();
        events.tell(|| panic!("nobody listens"));
        drop(events.stall(Stall::Log));
        events.refused(None);
        events.close();
        assert!(!events.is_heard());
    }
}
