//! Multi-gets and scans read many values at once: through io_uring or by threads, with a cache or
//! without, they return what gets do, and each key has its own error.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{disk_dir, flip, noise, places_of, skip};
use extentdb::{Db, Entry, Error, IoUring, IoUringState, Options, Result, Value};
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const KEYS: usize = 600;

fn key(number: usize) -> String {
    format!("key {number:04}")
}

/// Of every kind: within a page, over several, with pages of its own, empty.
fn len(number: usize) -> usize {
    match number % 10 {
        0 => 0,
        1 => 5000,
        2 => 40_000,
        3 => 3000,
        _ => 900 + number % 7,
    }
}

fn value(number: usize) -> Vec<u8> {
    noise(number as u64, len(number))
}

fn each_way(test: impl Fn(&Options, &Path)) {
    for io_uring in [IoUring::Preferred, IoUring::Off] {
        for cache_bytes in [0, 64 << 20] {
            let dir = disk_dir();
            let options = Options::new().io_uring(io_uring).cache_bytes(cache_bytes);
            test(&options, &dir.path().join("data.vol"));
        }
    }
}

/// A volume in which everything is on the device.
fn filled(options: &Options, path: &Path) -> Db {
    let db = options.open(path).unwrap();
    for number in 0..KEYS {
        db.put(key(number), value(number)).unwrap();
    }
    db
}

fn read(entry: Result<Entry>) -> (Vec<u8>, Value) {
    let entry = entry.unwrap();
    (entry.key().to_vec(), entry.value().unwrap())
}

fn assert_is(number: usize, (found, bytes): (Vec<u8>, Value)) {
    assert_eq!(found, key(number).as_bytes());
    assert_eq!(bytes, value(number), "{number}");
}

#[test]
fn the_knob_says_what_is_used() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let off = Options::new().io_uring(IoUring::Off).open(&path).unwrap();
    assert_eq!(off.info().device.io_uring, IoUringState::Off);
    off.close().unwrap();
    let preferred = Options::new().open(&path).unwrap().info().device.io_uring;
    assert_ne!(preferred, IoUringState::Off);
    if let IoUringState::Unavailable { why } = preferred {
        skip(&format!("io_uring cannot be had, and all is read by threads: {why}"));
    }
}

#[test]
fn multi_gets_return_what_gets_do() {
    each_way(|options, path| {
        let db = filled(options, path);
        let snapshot = db.snapshot();
        let keys: Vec<_> = (0..KEYS + 50).rev().step_by(3).chain([7, 7]).map(key).collect();
        for _ in 0..2 {
            for found in [db.multi_get(&keys), snapshot.multi_get(&keys)] {
                assert_eq!(found.len(), keys.len());
                for (key, found) in keys.iter().zip(found) {
                    assert_eq!(found.unwrap(), db.get(key).unwrap());
                }
            }
        }
        assert!(db.multi_get::<&str>(&[]).is_empty());
    });
}

#[test]
fn each_value_is_read_once() {
    each_way(|options, path| {
        let db = filled(options, path);
        let all: Vec<_> = (0..KEYS).map(key).collect();
        let reads = |work: &dyn Fn()| {
            let before = db.metrics().reads;
            work();
            db.metrics().reads - before
        };
        let scan = || db.iter().for_each(|entry| drop(read(entry)));
        assert_eq!(reads(&scan), KEYS as u64);
        assert_eq!(reads(&|| drop(db.multi_get(&all))), KEYS as u64);
        assert_eq!(reads(&|| db.iter().keys().for_each(drop)), 0);
    });
}

#[test]
fn scans_read_ahead_from_both_ends_and_end_where_they_meet() {
    each_way(|options, path| {
        let db = filled(options, path);
        for turn in [0, 1, 2, 5, 64] {
            let mut entries = db.iter();
            let (mut front, mut back) = (0, KEYS);
            while front < back {
                let from_back = turn > 0 && (front + KEYS - back) / turn % 2 == 1;
                if from_back {
                    back -= 1;
                    assert_is(back, read(entries.next_back().unwrap()));
                } else {
                    assert_is(front, read(entries.next().unwrap()));
                    front += 1;
                }
            }
            assert!(entries.next().is_none() && entries.next_back().is_none());
        }
        let backwards: Vec<_> = db.iter().rev().map(read).collect();
        let numbers = (0..KEYS).rev();
        backwards.into_iter().zip(numbers).for_each(|(found, number)| assert_is(number, found));
    });
}

#[test]
fn values_of_entries_that_were_kept_can_be_read_later() {
    each_way(|options, path| {
        let db = filled(options, path);
        let mut entries = db.iter();
        let mut kept = Vec::new();
        for number in 0..KEYS {
            let entry = entries.next().unwrap().unwrap();
            if number % 3 == 0 {
                assert_is(number, read(Ok(entry.clone())));
            }
            kept.push(entry);
        }
        drop(entries);
        for number in 0..KEYS {
            db.put(key(number), "new").unwrap();
        }
        for (number, entry) in kept.into_iter().enumerate() {
            for _ in 0..2 {
                assert_is(number, read(Ok(entry.clone())));
            }
        }
    });
}

#[test]
fn a_scan_that_wants_few_values_reads_few() {
    each_way(|options, path| {
        let db = filled(options, path);
        let before = db.metrics().reads;
        let mut wanted = 0;
        for (number, entry) in db.iter().enumerate() {
            let entry = entry.unwrap();
            if number % 100 == 50 {
                assert_is(number, read(Ok(entry)));
                wanted += 1;
            }
        }
        let read = db.metrics().reads - before;
        assert!(read <= 8 * wanted, "{read} for {wanted}");
    });
}

#[test]
fn a_long_value_is_not_read_before_it_is_asked_for() {
    each_way(|options, path| {
        let db = options.open(path).unwrap();
        for number in 0..40 {
            let len = if number % 4 == 3 { 6 << 20 } else { 500 };
            db.put(key(number), noise(number as u64, len)).unwrap();
        }
        let read = |work: &dyn Fn()| {
            let before = db.metrics().read_bytes;
            work();
            db.metrics().read_bytes - before
        };
        let wants = |wanted: fn(usize) -> bool| {
            for (number, entry) in db.iter().enumerate().filter(|(number, _)| wanted(*number)) {
                let found = entry.unwrap().value().unwrap();
                assert_eq!(found, noise(number as u64, found.len()));
            }
        };
        assert!(read(&|| wants(|number| number % 4 != 3)) < 1 << 20);
        let all = read(&|| wants(|_| true));
        assert!((60 << 20..61 << 20).contains(&all), "{all}");
    });
}

/// Where in the file the beginning of the value of key number `number` is.
fn place_of(path: &Path, number: usize) -> u64 {
    let places = places_of(path, &value(number)[..800]);
    assert_eq!(places.len(), 1);
    places[0]
}

#[test]
fn damage_to_one_value_is_an_error_of_its_key_alone() {
    each_way(|options, path| {
        let db = filled(options, path);
        // Within a page, and with pages of its own.
        let damaged = [14, 202];
        for number in damaged {
            flip(path, place_of(path, number) + 500);
        }
        let keys: Vec<_> = (0..KEYS).map(key).collect();
        let assert_one = |number: usize, found: Result<Option<Value>>| {
            let name = key(number).into_bytes();
            match found {
                Err(Error::Corrupt { key: Some(key), .. }) => {
                    assert!(damaged.contains(&number) && key == name, "{number}");
                }
                Err(error) => panic!("{number}: {error}"),
                Ok(found) => {
                    assert!(!damaged.contains(&number), "{number}");
                    assert_eq!(found.unwrap(), value(number));
                }
            }
        };
        for _ in 0..2 {
            let found = db.multi_get(&keys).into_iter().enumerate();
            found.for_each(|(number, found)| assert_one(number, found));
            for (number, entry) in db.iter().enumerate() {
                assert_one(number, entry.unwrap().value().map(Some));
            }
        }
        let before = db.metrics().reads;
        assert!(db.multi_get(&[key(14), key(5), key(202)])[0].is_err());
        // The damaged ones were read twice; the other may be in the cache.
        let read = db.metrics().reads - before;
        assert!((4..=5).contains(&read), "{read}");
    });
}

#[test]
fn what_cannot_be_read_is_an_error_of_its_key_alone() {
    each_way(|options, path| {
        // All of them in the log, the last at its end.
        let options = options.clone().large_min(1 << 20);
        filled(&options, path).close().unwrap();
        let db = options.open(path).unwrap();
        // Somebody cuts the file short right before it.
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(place_of(path, KEYS - 1) / 4096 * 4096).unwrap();
        let found = db.multi_get(&[key(1), key(KEYS - 1), key(4)]);
        assert!(matches!(
            &found[..],
            [Ok(Some(_)), Err(Error::Io { op: "read", .. }), Ok(Some(_))]
        ));
        for (number, entry) in db.iter().enumerate() {
            let found = entry.unwrap().value();
            assert_eq!(matches!(found, Err(Error::Io { .. })), number == KEYS - 1, "{number}");
        }
    });
}

#[test]
fn a_closed_store_refuses_each_key() {
    each_way(|options, path| {
        let db = filled(options, path);
        let snapshot = db.snapshot();
        let mut entries = db.iter();
        let take = |_| entries.next().unwrap().unwrap();
        let entry = (0..5).map(take).inspect(|entry| drop(entry.value())).last();
        db.clone().close().unwrap();
        let keys: Vec<_> = (0..40).map(key).collect();
        for found in [db.multi_get(&keys), snapshot.multi_get(&keys)] {
            assert_eq!(found.len(), 40);
            assert!(found.iter().all(|found| matches!(found, Err(Error::Closed))));
        }
        assert!(matches!(entry.unwrap().value(), Err(Error::Closed)));
    });
}

#[test]
fn readers_of_many_see_whole_values_while_they_are_overwritten() {
    each_way(|options, path| {
        let options = options.clone().extent_bytes(512 << 10).volume_bytes(16 << 20);
        let db = options.open(path).unwrap();
        let write = |round: u64| {
            let mut batch = extentdb::WriteBatch::new();
            for number in 0..100 {
                batch.put(key(number), noise(round, 1000));
            }
            db.write(&batch).unwrap();
        };
        write(0);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let check = |found: Vec<Value>| {
                assert_eq!(found.len(), 100);
                assert!(found.iter().all(|value| *value == found[0]), "one moment");
            };
            for kind in 0..3 {
                let (db, done) = (&db, &done);
                scope.spawn(move || {
                    let keys: Vec<_> = (0..100).map(key).collect();
                    while !done.load(Ordering::Relaxed) {
                        let all = |found: Result<Option<Value>>| found.unwrap().unwrap();
                        check(match kind {
                            0 => db.multi_get(&keys).into_iter().map(all).collect(),
                            1 => db.iter().map(|entry| read(entry).1).collect(),
                            _ => db.iter().rev().map(|entry| read(entry).1).collect(),
                        });
                    }
                });
            }
            // Several times what the volume holds.
            (1..400).for_each(write);
            done.store(true, Ordering::Relaxed);
        });
        assert!(db.check().unwrap().is_clean());
    });
}
