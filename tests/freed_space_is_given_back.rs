//! With `Options::discard` the blocks of extents that are free are given back to the file system, or to
//! the device; what is used again has them again. Without it they stay.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Loop, disk_dir, noise, skip};
use extentdb::{Db, Discard, Options};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const VOLUME_BYTES: u64 = 32 << 20;
const VALUES: u8 = 20;

fn options() -> Options {
    Options::new().extent_bytes(64 << 10).volume_bytes(VOLUME_BYTES)
}

/// Bytes that the file takes on disk.
fn taken(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

fn value(i: u8) -> Vec<u8> {
    noise(u64::from(i), 1 << 20)
}

fn fill(db: &Db) {
    (0..VALUES).for_each(|i| db.put([i], value(i)).unwrap());
}

fn assert_filled(db: &Db) {
    (0..VALUES).for_each(|i| assert_eq!(db.get([i]).unwrap().unwrap(), value(i)));
    assert!(db.check().unwrap().is_clean());
}

fn empty(db: &Db) {
    (0..VALUES).for_each(|i| db.delete([i]).unwrap());
    db.collect_garbage().unwrap();
}

#[test]
fn of_a_file() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = options().discard(true).open(&path).unwrap();
    db.put("kept", "value").unwrap();
    for _ in 0..2 {
        fill(&db);
        let full = taken(&path);
        empty(&db);
        if db.info().discard == Discard::Unsupported {
            return skip("this file system does not punch holes");
        }
        let left = taken(&path);
        println!("{full} bytes on disk, {left} when all was deleted");
        // What was never used stays.
        assert!(full - left > 15 << 20, "{left} of {full}");
        assert_eq!(fs::metadata(&path).unwrap().len(), VOLUME_BYTES);
        assert!(db.metrics().discarded_bytes >= full - left);
    }
    fill(&db);
    assert_filled(&db);
    assert!(taken(&path) > u64::from(VALUES) << 20);
    empty(&db);
    db.close().unwrap();
    // Whoever opens it without the option does not write to holes either.
    let db = options().open(&path).unwrap();
    assert!(db.metrics().discarded_bytes > 0);
    fill(&db);
    assert_filled(&db);
    let full = taken(&path);
    empty(&db);
    assert_eq!((taken(&path), db.info().discard), (full, Discard::Off));
    assert_eq!(db.get("kept").unwrap().unwrap(), b"value");
}

#[test]
fn of_a_device() {
    let Some(disk) = Loop::new(VOLUME_BYTES) else { return skip("there are no loop devices") };
    let options = Options::new().extent_bytes(64 << 10).discard(true);
    let db = options.clone().create_new(true).open(disk.path()).unwrap();
    fill(&db);
    let full = taken(disk.backing());
    empty(&db);
    if db.info().discard == Discard::Unsupported {
        return skip("this loop device takes no discards");
    }
    let left = taken(disk.backing());
    println!("{full} bytes under the device, {left} when all was deleted");
    assert!(left < full / 2, "{left} of {full}");
    fill(&db);
    assert_filled(&db);
    db.close().unwrap();
    assert_filled(&options.open(disk.path()).unwrap());
}
