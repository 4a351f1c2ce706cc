//! A put that finds no room says `Full` and changes nothing; reads and deletes go on, and there
//! is room again where the volume may grow.

mod support;

use extentdb::{Db, Error, Options};
use support::{MODES, Model, assert_same, bytes, directory, shared};

/// Puts values of `len` bytes until there is no room.
fn fill(db: &Db, model: &mut Model, len: usize) {
    for i in 0..100_000u32 {
        let (key, value) = (i.to_be_bytes(), bytes(u64::from(i), len));
        match db.with_durability(MODES[i as usize % 3]).put(key, &value) {
            Ok(()) => drop(model.insert(shared(key), shared(value))),
            Err(Error::Full { .. }) => return,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it never fills");
}

fn full(options: &Options, len: usize) {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let db = options.open(&path).expect("a new volume");
    let mut model = Model::new();
    fill(&db, &mut model, len);
    assert!(model.len() > 10, "{} values", model.len());
    assert!(db.health().is_healthy());
    assert_same(&db, &model);
    let key = 3u32.to_be_bytes();
    db.delete(key).expect("a delete, for which room was left");
    model.remove(&key[..]);
    assert_same(&db, &model);
    drop(db);
    let db = options.open(&path).expect("a full volume opens");
    assert_same(&db, &model);
}

#[test]
fn of_small_values() {
    full(&Options::new().extent_bytes(64 << 10).volume_bytes(2 << 20), 500);
}

#[test]
fn of_large_values() {
    full(&Options::new().extent_bytes(64 << 10).volume_bytes(4 << 20), 40_000);
}

#[test]
fn of_a_growing_file() {
    full(&Options::new().extent_bytes(16 << 10).max_bytes(1 << 20), 500);
}

#[test]
fn until_it_may_grow_further() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let options = Options::new().extent_bytes(64 << 10).max_bytes(2 << 20);
    let db = options.open(&path).expect("a new volume");
    let mut model = Model::new();
    fill(&db, &mut model, 3000);
    db.close().expect("a close");
    let db = options.max_bytes(8 << 20).open(&path).expect("the same volume");
    let value = bytes(1, 2 << 20);
    db.put("more", &value).expect("there is room again");
    model.insert(shared("more"), shared(value));
    assert_same(&db, &model);
}
