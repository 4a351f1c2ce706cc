//! A file that grew, and has become empty at its end, becomes shorter while it is open: when it is asked
//! to, and by itself.

mod support;

use extentdb::{Db, Options};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Model, assert_same, bytes, directory, shared};

const EXTENT_BYTES: u64 = 64 << 10;
const FIRST_BYTES: u64 = 8 * EXTENT_BYTES;

fn open(path: &Path) -> Db {
    let options = Options::new().extent_bytes(EXTENT_BYTES).max_bytes(64 << 20);
    options.open(path).expect("the volume opens")
}

fn len(path: &Path) -> u64 {
    fs::metadata(path).expect("the file is there").len()
}

/// A small store in which nothing is left of some large values.
fn grown(path: &Path, model: &mut Model) -> Db {
    let db = open(path);
    for i in 0..10 {
        let value = bytes(i, 2000);
        db.put(i.to_be_bytes(), &value).expect("a put");
        model.insert(shared(i.to_be_bytes()), shared(value));
    }
    fill_and_empty(&db);
    assert!(len(path) > 16 << 20);
    db
}

fn fill_and_empty(db: &Db) {
    (0..16_u8).for_each(|i| db.put([i], vec![i; 1 << 20]).expect("a put"));
    (0..16_u8).for_each(|i| db.delete([i]).expect("a delete"));
}

#[test]
fn when_it_is_asked_to() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let mut model = Model::new();
    let db = grown(&path, &mut model);
    for _ in 0..2 {
        let begun = Instant::now();
        // What the engine's own threads are about to write to the end may be in the way of one.
        while len(&path) >= 4 << 20 {
            assert!(begun.elapsed() < Duration::from_secs(60), "{} bytes", len(&path));
            db.collect_garbage().expect("a collection");
        }
        let short = len(&path);
        println!("{short} bytes are left of 16 MiB and more");
        assert!(short >= FIRST_BYTES, "{short}");
        assert_eq!(db.metrics().volume_bytes, short);
        assert_same(&db, &model);
        // What was cut off can be had again.
        fill_and_empty(&db);
        assert!(len(&path) > 16 << 20);
    }
    db.collect_garbage().expect("a collection");
    assert!(db.check().expect("a check").is_clean());
    db.close().expect("a close");
    let short = len(&path);
    let db = open(&path);
    assert_same(&db, &model);
    assert_eq!(len(&path), short);
}

#[test]
fn by_itself_after_two_checkpoints() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let mut model = Model::new();
    let db = grown(&path, &mut model);
    let long = len(&path);
    let begun = Instant::now();
    while len(&path) > long / 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} bytes", len(&path));
        // The log goes on, to where the file begins.
        for (i, value) in (10..30_u64).map(|i| (i, bytes(i, 1000))) {
            db.put(i.to_be_bytes(), &value).expect("a put");
            model.insert(shared(i.to_be_bytes()), shared(value));
        }
        db.checkpoint().expect("a checkpoint");
        std::thread::sleep(Duration::from_millis(30));
    }
    assert_same(&db, &model);
    db.close().expect("a close");
    assert_same(&open(&path), &model);
}

#[test]
fn a_volume_of_fixed_size_keeps_it() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let options = Options::new().extent_bytes(EXTENT_BYTES).volume_bytes(32 << 20);
    let db = options.open(&path).expect("the volume opens");
    fill_and_empty(&db);
    for _ in 0..3 {
        db.checkpoint().expect("a checkpoint");
        db.collect_garbage().expect("a collection");
    }
    assert_eq!(len(&path), 32 << 20);
}
