//! Where there is no room for a third image, the older of two is given up for it; nothing is lost
//! where there is no room at all.

#![allow(clippy::unwrap_used)]

mod common;

use common::disk_dir;
use extentdb::{Db, Error, Options};
use std::thread;
use std::time::{Duration, Instant};

const EXTENT: u64 = 64 << 10;

fn assert_holds(db: &Db, keys: u32) {
    assert_eq!(db.len(), u64::from(keys));
    for key in 0..keys {
        assert_eq!(db.get(key.to_be_bytes()).unwrap().as_deref(), Some(&[key as u8; 3000][..]));
    }
}

/// A third one may be under way, for the collector.
fn assert_keeps_two_images(db: &Db) {
    let patience = Instant::now() + Duration::from_secs(20);
    while db.metrics().image_bytes > 2 * EXTENT {
        assert!(Instant::now() < patience, "{} bytes of images", db.metrics().image_bytes);
        thread::sleep(Duration::from_millis(1));
    }
}

/// Puts until the volume is full; returns how many keys there are.
fn fill_to_the_brim(db: &Db) -> u32 {
    for key in 0_u32.. {
        match db.put(key.to_be_bytes(), [key as u8; 3000]) {
            Ok(()) => {}
            Err(Error::Full { .. }) => return key,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("the volume is small")
}

fn open(path: &std::path::Path) -> Db {
    Options::new().extent_bytes(EXTENT).volume_bytes(32 * EXTENT).open(path).unwrap()
}

#[test]
fn the_older_image_makes_room_for_the_next() {
    let dir = disk_dir();
    let path = dir.path().join("x.vol");
    let db = open(&path);
    let keys = fill_to_the_brim(&db);
    for _ in 0..5 {
        db.checkpoint().unwrap();
        assert_keeps_two_images(&db);
    }
    assert!(db.check().unwrap().is_clean());
    assert_holds(&db, keys);
    db.close().unwrap();
    let db = open(&path);
    assert_eq!(db.open_report().repaired, [""; 0]);
    assert_holds(&db, keys);
}

#[test]
fn at_the_brim_it_is_written_or_refused_and_nothing_is_lost() {
    let dir = disk_dir();
    let path = dir.path().join("x.vol");
    let db = open(&path);
    let keys = fill_to_the_brim(&db);
    for _ in 0..3 {
        let done = db.checkpoint();
        assert!(matches!(done, Ok(()) | Err(Error::Full { .. })), "{done:?}");
    }
    assert!(db.health().is_healthy() && db.check().unwrap().is_clean());
    assert_holds(&db, keys);
    db.close().unwrap();
    assert_holds(&open(&path), keys);
}
