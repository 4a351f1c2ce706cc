//! What a listener is told where the device fails, lies, or takes its time.

use super::device::{Fault, Injection, SimDevice};
use super::trace::Pages;
use crate::db::Db;
use crate::device::{AlignedBuf, BufferPool, Device, DeviceInfo, Purpose, Volume};
use crate::engine::{Background, Engine, Medium};
use crate::error::Error;
use crate::events::{CheckpointCause, Event, Events, Stall};
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::options::Options;
use crate::sync::{Arc, Duration};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

/// A store whose events are told when it is asked to.
struct Heard {
    device: SimDevice,
    engine: Arc<Engine>,
    db: Db,
    events: Receiver<Event>,
}

impl Heard {
    fn open(options: Options) -> Self {
        let device = SimDevice::new(Pages::zeros(0));
        let (sender, events) = channel();
        let options = options
            .event_listener(move |event: &Event| drop(sender.send(event.clone())))
            .extent_bytes(64 << 10)
            .cache_bytes(0);
        let medium = Medium {
            device: Arc::new(device.clone()),
            info: DeviceInfo::simulated(false),
            len_bytes: device.len_pages() * PAGE_BYTES as u64,
            pool: BufferPool::new(4 << 20),
        };
        let engine = Engine::open_on(medium, &options, Background::Manual).unwrap();
        let heard = Self { device, db: Db::new(Arc::clone(&engine)), engine, events };
        let opened = heard.told().pop().unwrap();
        assert!(matches!(opened, Event::Opened { .. }), "{opened}");
        heard
    }

    /// What was told since the last call.
    fn told(&self) -> Vec<Event> {
        self.engine.deliver_events();
        self.events.try_iter().collect()
    }

    /// Lets the operation of the device fail that comes after `later` others.
    fn fail(&self, later: u64) {
        let at = self.device.operations() + later;
        self.device.inject(Injection { at, fault: Fault::Fails, sticky: false });
    }

    fn damage(&self, key: &[u8]) {
        let page = self.engine.locate(key).unwrap().unwrap().page();
        let mut torn = *self.device.pages().get(page.0).unwrap();
        torn[700] ^= 4;
        self.device.write(page, &AlignedBuf::from_slice(&torn).unwrap()).unwrap();
    }
}

fn fixed() -> Options {
    Options::new().volume_bytes(4 << 20)
}

#[test]
fn of_a_failed_write_and_what_it_does_to_the_store() {
    let fatal = Arc::new(Mutex::new(Vec::new()));
    let called = Arc::clone(&fatal);
    let heard =
        Heard::open(fixed().on_fatal(move |error| called.lock().unwrap().push(error.clone())));
    heard.db.put("a", "1").unwrap();
    assert!(heard.told().is_empty(), "a put is not worth a word");
    heard.fail(0);
    heard.db.put("b", "2").unwrap_err();
    assert_eq!(fatal.lock().unwrap().len(), 1, "at once");
    heard.db.put("c", "3").unwrap_err();
    let told = heard.told();
    let [Event::DeviceFailed { error }, Event::Poisoned { cause }] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(matches!(error, Error::Io { op: "write", .. }));
    assert_eq!(error.to_string(), cause.to_string());
}

#[test]
fn of_a_failed_read_which_harms_nothing_else() {
    let heard = Heard::open(fixed());
    heard.db.put("a", "1").unwrap();
    heard.fail(0);
    heard.db.get("a").unwrap_err();
    let told = heard.told();
    assert!(
        matches!(told[..], [Event::DeviceFailed { error: Error::Io { op: "read", .. } }]),
        "{told:?}"
    );
    assert_eq!(heard.db.get("a").unwrap().unwrap(), *b"1");
    assert!(heard.told().is_empty() && heard.db.health().is_healthy());
}

#[test]
fn of_a_value_that_is_damaged_and_was_read_twice() {
    let heard = Heard::open(fixed());
    (0..8_u8).for_each(|key| heard.db.put([key], [key; 1000]).unwrap());
    heard.damage(&[3]);
    let page = heard.engine.locate(&[3]).unwrap().unwrap().page().0;
    let keys: Vec<_> = (0..8_u8).map(|key| [key]).collect();
    let ways: [&dyn Fn(); 2] = [&|| drop(heard.db.get([3]).unwrap_err()), &|| {
        assert_eq!(heard.db.multi_get(&keys).iter().filter(|found| found.is_err()).count(), 1)
    }];
    for way in ways {
        way();
        let told = heard.told();
        let [Event::ReadRetried { page: retried, .. }, Event::Corrupt { error }] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(*retried, page);
        assert!(matches!(error, Error::Corrupt { key: Some(key), .. } if key == &[3]));
    }
}

#[test]
fn of_live_records_that_the_collector_cannot_read() {
    let heard = Heard::open(fixed());
    let keys = 0..100_u8;
    keys.clone().for_each(|key| heard.db.put([key], [key; 1000]).unwrap());
    heard.engine.step().unwrap();
    heard.db.checkpoint().unwrap();
    heard.db.checkpoint().unwrap();
    let lost = 3;
    heard.damage(&[lost]);
    keys.filter(|key| key % 10 != lost).for_each(|key| heard.db.delete([key]).unwrap());
    heard.told();
    heard.db.collect_garbage().unwrap();
    let told = heard.told();
    let aside: Vec<_> =
        told.iter().filter(|event| matches!(event, Event::SetAside { .. })).collect();
    let [Event::SetAside { page, live_bytes }] = aside[..] else { panic!("{told:?}") };
    assert_eq!(page % 16, 0, "the first of an extent");
    assert!((1000..1100).contains(live_bytes), "one record: {live_bytes}");
    let collected = told.iter().find_map(|event| match event {
        Event::Collected { extents, moved_bytes, gained_bytes, .. } => {
            Some((*extents, *moved_bytes, *gained_bytes))
        }
        _ => None,
    });
    let (extents, moved, gained) = collected.expect("others were collected");
    assert_eq!(moved + gained, extents * (64 << 10));
    assert!(moved > 1000 && gained > moved, "{moved}, {gained}");
    heard.db.collect_garbage().unwrap();
    let again = heard.told();
    assert!(!again.iter().any(|event| matches!(event, Event::SetAside { .. })), "{again:?}");
    assert!(matches!(heard.db.get([lost]), Err(Error::Corrupt { .. })));
}

#[test]
fn of_a_log_that_goes_on_where_nothing_is_ready() {
    let heard = Heard::open(fixed());
    // Nobody prepares the next extent ahead.
    (0..40_u8).for_each(|key| heard.db.put([key], [key; 3000]).unwrap());
    let told = heard.told();
    assert!(matches!(told[0], Event::StallBegan { why: Stall::Log }), "{told:?}");
    let prepared = told.iter().filter(|event| matches!(event, Event::Prepared { .. })).count();
    assert!(prepared > 0, "{told:?}");
    std::thread::sleep(Duration::from_millis(150));
    let told = heard.told();
    let [Event::StallEnded { why: Stall::Log, waits, took, longest }] = told[..] else {
        panic!("{told:?}")
    };
    assert!(waits as usize >= prepared && took >= longest);
}

#[test]
fn of_a_checkpoint_that_fails_and_why() {
    let heard = Heard::open(fixed());
    heard.db.put("a", "1").unwrap();
    heard.fail(1);
    heard.db.checkpoint().unwrap_err();
    let told = heard.told();
    let [
        Event::CheckpointBegan { cause: CheckpointCause::Asked },
        Event::DeviceFailed { .. },
        Event::Poisoned { .. },
        Event::CheckpointGivenUp { cause: CheckpointCause::Asked, error: Some(_), .. },
    ] = &told[..]
    else {
        panic!("{told:?}")
    };
}

#[test]
fn of_a_checkpoint_that_another_takes_the_place_of() {
    let heard = Heard::open(fixed());
    heard.db.put("a", "1").unwrap();
    heard.engine.checkpoint_step().unwrap();
    heard.db.checkpoint().unwrap();
    let told = heard.told();
    let [
        Event::CheckpointBegan { cause: CheckpointCause::Log },
        Event::CheckpointGivenUp { cause: CheckpointCause::Log, error: None, .. },
        Event::CheckpointBegan { cause: CheckpointCause::Asked },
        Event::CheckpointEnded { cause: CheckpointCause::Asked, bytes, .. },
    ] = told[..]
    else {
        panic!("{told:?}")
    };
    assert!(bytes > 0 && bytes % 4096 == 0);
}

#[test]
fn of_transfers_that_take_long() {
    let (sender, told) = channel();
    let listener = move |event: &Event| sender.send(event.clone()).unwrap();
    let events = Events::new(Some(Arc::new(listener)));
    let device = SimDevice::new(Pages::zeros(16));
    let path = Arc::new(PathBuf::from("simulated"));
    let quick: Arc<dyn Device> = Arc::new(device.clone());
    let slow: Arc<dyn Device> = Arc::new(device.with_latency(Duration::from_millis(550)));
    let page = AlignedBuf::from_slice(&[0; PAGE_BYTES]).unwrap();
    for device in [quick, slow] {
        let volume = Volume::new(device, Arc::clone(&path), false, events.clone());
        volume.write(Purpose::Log, PageNo(3), &page).unwrap();
        volume.barrier().unwrap();
    }
    events.deliver();
    let told: Vec<Event> = told.try_iter().collect();
    let [Event::DeviceSlow { op: "write", took }, Event::DeviceSlow { op: "barrier", .. }] =
        told[..]
    else {
        panic!("{told:?}")
    };
    assert!(took >= Duration::from_millis(550));
}
