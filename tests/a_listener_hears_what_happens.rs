//! A listener is told of stalls, garbage collection, checkpoints and growth, in order; and may do what
//! it likes meanwhile.

#![allow(clippy::unwrap_used)]

mod support;

use extentdb::{
    CheckpointCause, Db, Durability, Error, Event, EventListener, Options, Stall, SyncWindow,
};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use support::{bytes, directory, without_hanging};

const EXTENT: u64 = 64 << 10;

/// Options with a listener that sends on what it hears.
fn sending(options: Options) -> (Options, Receiver<Event>) {
    let (sender, events) = channel();
    (options.event_listener(move |event: &Event| drop(sender.send(event.clone()))), events)
}

fn name(event: &Event) -> String {
    let debug = format!("{event:?}");
    debug.split([' ', '{']).next().unwrap().to_owned()
}

#[test]
fn of_an_open_growth_and_checkpoints_in_order_and_before_a_close_returns() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let (options, events) = sending(Options::new().extent_bytes(EXTENT).max_bytes(64 << 20));
    let db = options.open(&path).unwrap();
    db.put("k", bytes(1, 4 << 20)).unwrap();
    db.checkpoint().unwrap();
    db.close().unwrap();
    let told: Vec<Event> = events.try_iter().collect();
    let opened = told.iter().position(|event| name(event) == "Opened").unwrap();
    assert!(matches!(&told[opened], Event::Opened { report, .. } if report.created));
    let after = &told[opened + 1..];
    let place = |wanted: &str| after.iter().position(|event| name(event) == wanted).unwrap();
    let [grown, began, ended] = ["Grown", "CheckpointBegan", "CheckpointEnded"].map(place);
    assert!(grown < began && began < ended, "{told:?}");
    let grown = |event: &Event| match *event {
        Event::Grown { from_bytes, to_bytes, .. } => Some((from_bytes, to_bytes)),
        _ => None,
    };
    let steps: Vec<_> = after.iter().filter_map(grown).collect();
    assert_eq!(steps[0].0, 8 * EXTENT);
    assert!(steps.windows(2).all(|pair| pair[0].1 == pair[1].0), "{steps:?}");
    assert!(steps.last().unwrap().1 > 4 << 20, "{steps:?}");
    let &Event::CheckpointEnded { cause, bytes, .. } = &after[ended] else { unreachable!() };
    assert!(cause == CheckpointCause::Asked && bytes >= 4096);
    let stalled = |event: &Event| matches!(event, Event::StallBegan { why: Stall::Growth, .. });
    assert!(after.iter().any(stalled), "the put waited for the file to grow: {told:?}");
    let lines = told.iter().map(ToString::to_string);
    assert!(lines.filter(|line| !line.contains('\n')).count() == told.len(), "one line each");
    // The next open is told to the same listener.
    options.open(&path).unwrap().close().unwrap();
    let told: Vec<Event> = events.try_iter().collect();
    let reports: Vec<_> = told
        .iter()
        .filter_map(|event| match event {
            Event::Opened { report, .. } => Some(report),
            _ => None,
        })
        .collect();
    assert!(!reports[0].created && reports.len() == 1 && reports[0].keys == 1);
}

#[test]
fn of_writers_that_wait_for_the_sync_window() {
    let dir = directory();
    let window = SyncWindow { bytes: 8 << 10, time: Duration::from_secs(60) };
    let (options, events) = sending(Options::new().sync_window(window));
    let db = options.open(dir.path().join("data.vol")).unwrap();
    let fast = db.with_durability(Durability::Buffered);
    let begun = Instant::now();
    (0..100_u8).for_each(|key| fast.put([key], [key; 2000]).unwrap());
    let took = begun.elapsed();
    db.close().unwrap();
    let told: Vec<Event> = events.try_iter().collect();
    let began = |event: &Event| matches!(event, Event::StallBegan { why: Stall::Window, .. });
    let began = told.iter().filter(|event| began(event)).count();
    let mut ended = told.iter().filter_map(|event| match event {
        Event::StallEnded { why: Stall::Window, took, waits, longest, .. } => {
            Some((*took, *waits, *longest))
        }
        _ => None,
    });
    let (first, ..) = ended.next().expect("the window was full");
    assert!(first <= took + Duration::from_millis(100), "{first:?} of {took:?}");
    // One for each tenth of a second, not one for each wait.
    let most = took.as_millis() as usize / 100 + 1;
    assert!((1..=most).contains(&began), "{began} in {took:?}: {told:?}");
    assert_eq!(began, ended.count() + 1);
}

#[test]
fn of_room_that_is_made_and_of_a_volume_that_is_full() {
    let dir = directory();
    let (options, events) = sending(Options::new().extent_bytes(EXTENT).volume_bytes(64 * EXTENT));
    let db = options.open(dir.path().join("data.vol")).unwrap();
    let value = |key: u32, round: u32| bytes(u64::from(key ^ round << 16), 1000);
    let fast = db.with_durability(Durability::Buffered);
    // Four times what the volume holds.
    for round in 0..12 {
        (0..1400_u32).for_each(|key| fast.put(key.to_be_bytes(), value(key, round)).unwrap());
    }
    let mut more = 1400_u32;
    let full = loop {
        match fast.put(more.to_be_bytes(), value(more, 0)) {
            Ok(()) => more += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::Full { pinned_by: None }), "{full}");
    db.close().unwrap();
    let told: Vec<Event> = events.try_iter().collect();
    let names: BTreeSet<String> = told.iter().map(name).collect();
    let wanted = ["Collected", "CheckpointEnded", "StallBegan", "StallEnded", "Full"];
    assert!(wanted.iter().all(|wanted| names.contains(*wanted)), "{names:?}");
    let space = |event: &&Event| matches!(event, Event::StallBegan { why: Stall::Space, .. });
    assert!(told.iter().any(|event| space(&event)), "who is refused had room looked for");
    for event in &told {
        if let &Event::Collected { extents, moved_bytes, gained_bytes, .. } = event {
            assert_eq!(moved_bytes + gained_bytes, extents * EXTENT);
        }
    }
    // What begins ends, and not before.
    for why in [Stall::Collection, Stall::Space, Stall::Log, Stall::Growth, Stall::Window] {
        let turns = told.iter().filter_map(|event| match event {
            Event::StallBegan { why: stall, .. } => (*stall == why).then_some(true),
            Event::StallEnded { why: stall, .. } => (*stall == why).then_some(false),
            _ => None,
        });
        let turns: Vec<bool> = turns.collect();
        assert!(turns.iter().enumerate().all(|(at, &began)| began == (at % 2 == 0)), "{why}");
        assert_eq!(turns.len() % 2, 0, "{why}");
    }
}

#[test]
fn of_who_holds_on_to_a_full_volume() {
    let dir = directory();
    let (options, events) = sending(Options::new().extent_bytes(EXTENT).volume_bytes(32 * EXTENT));
    let db = options.open(dir.path().join("data.vol")).unwrap();
    (0..600_u32).for_each(|key| db.put(key.to_be_bytes(), [1; 1000]).unwrap());
    let snapshot = db.snapshot();
    let refused =
        (0..u32::MAX).find_map(|round| db.put((round % 600).to_be_bytes(), [2; 1000]).err());
    assert!(matches!(refused, Some(Error::Full { pinned_by: Some(_) })), "{refused:?}");
    drop(snapshot);
    db.close().unwrap();
    let full = events.try_iter().find(|event| name(event) == "Full").unwrap();
    assert!(matches!(full, Event::Full { pinned_by: Some(_), refused: 1, .. }), "{full}");
}

/// Large values leave their extents.
#[test]
fn of_large_values_that_are_moved() {
    let dir = directory();
    let (options, events) = sending(Options::new().extent_bytes(EXTENT).volume_bytes(64 * EXTENT));
    let db = options.open(dir.path().join("data.vol")).unwrap();
    let mut keys = 0_u32;
    while db.put(keys.to_be_bytes(), bytes(u64::from(keys), 20_000)).is_ok() {
        keys += 1;
    }
    (0..keys).filter(|key| key % 2 == 0).for_each(|key| db.delete(key.to_be_bytes()).unwrap());
    db.put("long", bytes(7, 1 << 20)).unwrap();
    let moved = db.metrics().moved_large_bytes;
    db.close().unwrap();
    let told = events.try_iter().filter_map(|event| match event {
        Event::LargeValuesMoved { bytes, .. } => Some(bytes),
        _ => None,
    });
    assert!(moved > 0);
    assert_eq!(told.sum::<u64>(), moved);
}

/// Uses the store it listens to, for whatever it is told.
struct Uses {
    db: OnceLock<Db>,
    told: Mutex<Vec<String>>,
    rounds: AtomicU64,
}

struct Shared(Arc<Uses>);

impl EventListener for Shared {
    fn on_event(&self, event: &Event) {
        let name = name(event);
        if let Some(db) = self.0.db.get() {
            let metrics = db.metrics();
            assert!(metrics.events_told > 0);
            let key = format!("heard {name}");
            let used = db.put(&key, metrics.to_string()).and_then(|()| db.get(&key));
            match used {
                Ok(found) => assert!(found.is_some()),
                Err(Error::Closed | Error::Full { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            // What it does is told as well.
            if name == "Collected" && self.0.rounds.fetch_add(1, Ordering::Relaxed) < 5 {
                let _ = db.checkpoint();
                let _ = db.collect_garbage();
            }
        }
        self.0.told.lock().unwrap().push(name);
    }
}

#[test]
fn and_may_use_the_store_meanwhile() {
    without_hanging("a listener that uses the store", || {
        let dir = directory();
        let uses = Arc::new(Uses {
            db: OnceLock::new(),
            told: Mutex::default(),
            rounds: AtomicU64::new(0),
        });
        let options = Options::new()
            .extent_bytes(EXTENT)
            .volume_bytes(64 * EXTENT)
            .event_listener(Shared(Arc::clone(&uses)));
        let db = options.open(dir.path().join("data.vol")).unwrap();
        uses.db.set(db.clone()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..3_u32 {
                let db = db.with_durability(support::MODES[thread as usize]);
                scope.spawn(move || {
                    for round in 0..12_u32 {
                        for key in 0..400_u32 {
                            let key = [thread.to_be_bytes(), key.to_be_bytes()].concat();
                            db.put(&key, bytes(u64::from(round), 1000)).unwrap();
                        }
                    }
                });
            }
        });
        db.clone().close().unwrap();
        let metrics = db.metrics();
        assert_eq!(metrics.listener_panics, 0);
        let told: BTreeSet<String> = uses.told.lock().unwrap().drain(..).collect();
        let wanted = ["Opened", "Collected", "StallBegan", "StallEnded", "CheckpointEnded"];
        assert!(wanted.iter().all(|wanted| told.contains(*wanted)), "{told:?}");
        assert_eq!(Arc::strong_count(&uses), 2, "this one, and the options'");
    });
}

#[test]
fn and_may_close_it() {
    without_hanging("a listener that closes the store", || {
        let dir = directory();
        let path = dir.path().join("data.vol");
        let own: Arc<OnceLock<Db>> = Arc::default();
        let (handle, (sender, closed)) = (Arc::clone(&own), channel());
        let listener = move |event: &Event| {
            if let (Event::CheckpointEnded { .. }, Some(db)) = (event, handle.get()) {
                sender.send(db.clone().close()).unwrap();
            }
        };
        let db = Options::new().event_listener(listener).open(&path).unwrap();
        own.set(db.clone()).unwrap();
        db.put("k", "v").unwrap();
        db.checkpoint().unwrap();
        closed.recv().unwrap().unwrap();
        assert!(matches!(db.put("k", "w"), Err(Error::Closed)));
        // The volume is free, whatever handles there are.
        let again = Db::open(&path).unwrap();
        assert_eq!(again.get("k").unwrap().as_deref(), Some(&b"v"[..]));
    });
}

/// The listener has the last handle, and lets go of it.
#[test]
fn and_may_drop_the_last_handle() {
    without_hanging("a listener that drops the store", || {
        let dir = directory();
        let path = dir.path().join("data.vol");
        let own: Arc<Mutex<Option<Db>>> = Arc::default();
        let (handle, (sender, dropped)) = (Arc::clone(&own), channel());
        let listener = move |event: &Event| {
            if let Event::CheckpointEnded { .. } = event {
                // It comes when it is there.
                while handle.lock().unwrap().is_none() {
                    std::thread::yield_now();
                }
                drop(handle.lock().unwrap().take());
                sender.send(()).unwrap();
            }
        };
        let db = Options::new().event_listener(listener).open(&path).unwrap();
        db.put("k", "v").unwrap();
        db.checkpoint().unwrap();
        *own.lock().unwrap() = Some(db);
        dropped.recv().unwrap();
        assert_eq!(Db::open(&path).unwrap().len(), 1);
    });
}

#[test]
fn and_may_panic() {
    let dir = directory();
    let (sender, events) = channel();
    let listener = move |event: &Event| {
        sender.send(name(event)).unwrap();
        assert!(!matches!(event, Event::CheckpointBegan { .. }), "the listener's own");
    };
    let options = Options::new().event_listener(listener);
    let db = options.open(dir.path().join("data.vol")).unwrap();
    db.put("k", "v").unwrap();
    db.checkpoint().unwrap();
    db.checkpoint().unwrap();
    assert!(db.health().is_healthy());
    db.clone().close().unwrap();
    let metrics = db.metrics();
    assert_eq!(metrics.listener_panics, 2);
    assert!(metrics.to_string().contains("listener panics"));
    let told: Vec<String> = events.try_iter().collect();
    let ended = told.iter().filter(|name| *name == "CheckpointEnded").count();
    assert_eq!((ended, told.len() as u64), (2, metrics.events_told), "{told:?}");
}

#[test]
fn and_is_not_waited_for() {
    let dir = directory();
    let (let_go, held) = channel::<()>();
    let held = Mutex::new(held);
    let listener = move |_: &Event| assert!(held.lock().unwrap().recv().is_err());
    let db = Options::new()
        .extent_bytes(EXTENT)
        .volume_bytes(64 * EXTENT)
        .event_listener(listener)
        .open(dir.path().join("data.vol"))
        .unwrap();
    for round in 0..200_u32 {
        db.put((round % 7).to_be_bytes(), bytes(u64::from(round), 30_000)).unwrap();
        db.checkpoint().unwrap();
    }
    (0..400).for_each(|_| db.checkpoint().unwrap());
    assert!(db.metrics().events_told <= 1, "it still hears the first");
    assert!(db.metrics().events_missed > 0, "more than may wait");
    drop(let_go);
    db.close().unwrap();
}
