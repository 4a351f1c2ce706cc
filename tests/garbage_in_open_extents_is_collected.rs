//! Garbage is collected wherever it is, be it in the extents that are still written to: that of the
//! log's end, and the one to which the collector itself appends.

mod support;

use extentdb::{Db, Error, Options};
use support::{bytes, directory};

const EXTENT: u64 = 256 << 10;

fn open(dir: &tempfile::TempDir) -> Db {
    let options = Options::new().extent_bytes(EXTENT).volume_bytes(16 * EXTENT);
    options.open(dir.path().join("data.vol")).expect("a volume")
}

#[test]
fn where_the_log_ends() {
    let dir = directory();
    let db = open(&dir);
    for round in 0..40 {
        db.put("key", bytes(round, 1000)).expect("a put");
    }
    db.collect_garbage().expect("a collection");
    let metrics = db.metrics();
    assert_eq!((metrics.log_bytes, metrics.value_bytes), (EXTENT, EXTENT), "{metrics}");
    assert_eq!(db.get("key").expect("a get").expect("a value"), bytes(39, 1000)[..]);
    assert!(db.check().expect("a check").is_clean());
}

#[test]
fn where_the_collector_appends() {
    let dir = directory();
    let db = open(&dir);
    for key in 0..150_u32 {
        db.put(key.to_be_bytes(), bytes(u64::from(key), 1000)).expect("a put");
    }
    for key in (0..150_u32).filter(|key| key % 3 > 0) {
        db.delete(key.to_be_bytes()).expect("a delete");
    }
    db.collect_garbage().expect("a collection");
    assert_eq!(db.metrics().value_bytes, EXTENT, "what is left is packed");
    for key in 0..150_u32 {
        db.delete(key.to_be_bytes()).expect("a delete");
    }
    db.collect_garbage().expect("a collection");
    let metrics = db.metrics();
    assert_eq!((metrics.log_bytes, metrics.value_bytes), (EXTENT, 0), "{metrics}");
}

/// The volume is full but for what a few keys need that are overwritten for ever.
#[test]
fn when_a_put_needs_it() {
    let dir = directory();
    let db = open(&dir);
    let mut keys = 0_u32;
    loop {
        match db.put(keys.to_be_bytes(), bytes(u64::from(keys), 1000)) {
            Ok(()) => keys += 1,
            Err(Error::Full { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    // So much that three keys have room beside their garbage.
    let deleted = 2 * (EXTENT / 1000) as u32;
    for key in 0..deleted {
        db.delete(key.to_be_bytes()).expect("a delete");
    }
    for round in 0..2000_u32 {
        let key = (keys - 1 - round % 3).to_be_bytes();
        db.put(key, bytes(u64::from(round), 1000)).unwrap_or_else(|error| {
            panic!("overwrite {round} of {keys} keys: {error}\n{}", db.metrics())
        });
    }
    assert_eq!(db.len(), u64::from(keys - deleted));
    assert!(db.check().expect("a check").is_clean());
}
