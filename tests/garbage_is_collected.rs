//! Space comes back while the volume is open, whatever is in the way.

#![allow(clippy::unwrap_used)]

mod common;

use common::disk_dir;
use extentdb::{Db, Error, Options};

const EXTENT: u64 = 16 << 10;

fn open(path: &std::path::Path, extents: u64) -> Db {
    Options::new().extent_bytes(EXTENT).volume_bytes(extents * EXTENT).open(path).unwrap()
}

/// Keys that take a batch, and almost an extent, of their own.
#[test]
fn the_longest_keys_are_collected_around() {
    let dir = disk_dir();
    let path = dir.path().join("x.vol");
    let db = open(&path, 256);
    let long = |n: u8| vec![n; 3940];
    for n in 0..8 {
        db.put(long(n), []).unwrap();
        db.put([n], [n; 2000]).unwrap();
        db.put([n], [n; 1000]).unwrap();
    }
    for _ in 0..3 {
        db.checkpoint().unwrap();
        db.collect_garbage().unwrap();
    }
    db.close().unwrap();
    let db = open(&path, 256);
    assert_eq!(db.len(), 16);
    for n in 0..8 {
        assert_eq!(db.get(long(n)).unwrap().as_deref(), Some(&[][..]));
        assert_eq!(db.get([n]).unwrap().as_deref(), Some(&[n; 1000][..]));
    }
    assert!(db.check().unwrap().is_clean());
}

/// Writes eight times what the volume holds; then deletes all of it.
#[test]
fn a_volume_is_overwritten_again_and_again() {
    let dir = disk_dir();
    let path = dir.path().join("x.vol");
    let extent = 256 << 10;
    let options = Options::new().extent_bytes(extent).volume_bytes(64 * extent);
    let db = options.open(&path).unwrap();
    let keys = 7000_u32;
    let value = |key: u32, round: u32| vec![(key ^ round) as u8; 900 + (key % 200) as usize];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let db = &db;
            scope.spawn(move || {
                for round in 0..18 {
                    for key in (thread..keys).step_by(4) {
                        db.put(key.to_be_bytes(), value(key, round)).unwrap();
                    }
                }
            });
        }
    });
    let metrics = db.metrics();
    assert!(metrics.written.collected > 0 || metrics.used_bytes < metrics.allowed_bytes);
    for key in 0..keys {
        assert_eq!(db.get(key.to_be_bytes()).unwrap().unwrap(), value(key, 17)[..]);
    }
    assert!(db.check().unwrap().is_clean());
    drop(db);
    let db = options.open(&path).unwrap();
    assert_eq!(db.len(), u64::from(keys));
    for key in 0..keys {
        db.delete(key.to_be_bytes()).unwrap();
    }
    db.collect_garbage().unwrap();
    let used = db.metrics().used_bytes / extent;
    assert!(used <= 8, "{used} extents are used by nothing");
}

/// What snapshots show is not collected from under them, and all of it comes back.
#[test]
fn snapshots_keep_what_they_show_and_give_it_back() {
    let dir = disk_dir();
    let path = dir.path().join("x.vol");
    let extent = 256 << 10;
    let db = Options::new().extent_bytes(extent).volume_bytes(640 * extent).open(&path).unwrap();
    let mut snapshots = Vec::new();
    for round in 0..8_u8 {
        for key in 0..2000_u32 {
            db.put(key.to_be_bytes(), [round; 1000]).unwrap();
        }
        snapshots.push((round, db.snapshot()));
        db.collect_garbage().unwrap();
    }
    assert!(db.metrics().held_bytes > 7 * 1000 * 2000);
    for (round, snapshot) in &snapshots {
        for entry in snapshot.iter() {
            assert_eq!(entry.unwrap().value().unwrap(), [*round; 1000][..]);
        }
    }
    drop(snapshots);
    db.collect_garbage().unwrap();
    let metrics = db.metrics();
    assert_eq!((metrics.held_bytes, metrics.pins), (0, 0));
    assert!(metrics.used_bytes <= metrics.allowed_bytes, "{metrics}");
    assert!(db.check().unwrap().is_clean());
}

/// What a full volume answers says who holds on to its space.
#[test]
fn full_says_that_snapshots_hold_the_space() {
    let dir = disk_dir();
    let options = Options::new().extent_bytes(256 << 10).volume_bytes(6 << 20);
    let db = options.open(dir.path().join("x.vol")).unwrap();
    let put =
        |round: u8| (0..2500_u32).try_for_each(|key| db.put(key.to_be_bytes(), [round; 1000]));
    put(0).unwrap();
    let snapshot = db.snapshot();
    let refused = (1..8).find_map(|round| put(round).err()).expect("it is full in the end");
    assert!(matches!(refused, Error::Full { pinned_by: Some(_) }), "{refused}");
    drop(snapshot);
    (1..8).try_for_each(put).unwrap();
}

/// The older checkpoint is kept while that costs nothing, and no longer.
#[test]
fn the_older_checkpoint_goes_where_its_log_is_wanted() {
    let dir = disk_dir();
    let extent = 64 << 10;
    let options = Options::new().extent_bytes(extent).volume_bytes(64 * extent);
    let db = options.open(dir.path().join("x.vol")).unwrap();
    // Some that stay, nearly half of the volume, and one that does not.
    (0..400_u32).for_each(|key| db.put(key.to_be_bytes(), [1; 4000]).unwrap());
    let overwrite = || db.put("hot", [2; 4000]).unwrap();
    db.checkpoint().unwrap();
    (0..20).for_each(|_| overwrite());
    db.checkpoint().unwrap();
    db.collect_garbage().unwrap();
    let images = || db.metrics().image_bytes / extent;
    assert_eq!(images(), 2, "there is space to spare");
    let gone = (0..2000).any(|_| {
        overwrite();
        images() == 1
    });
    assert!(gone, "{}", db.metrics());
    assert!(db.check().unwrap().is_clean());
}
