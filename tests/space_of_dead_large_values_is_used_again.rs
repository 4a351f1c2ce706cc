//! Extents of which every large value was deleted are free after the next open, for values and
//! for the log, and the volume opens again whatever the log does with them.

#![allow(clippy::unwrap_used)]

mod common;

use common::{assert_holds, crash_image, disk_dir, noise, small_extents};
use extentdb::Db;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn put(db: &Db, pairs: &mut Pairs, name: String, len: usize) {
    let pair = (name.into_bytes(), noise(len as u64, len));
    db.put(&pair.0, &pair.1).unwrap();
    pairs.push(pair);
}

#[test]
fn by_the_log() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let options = small_extents().volume_bytes(2 << 20);
    let mut pairs = Pairs::new();
    let db = options.open(&path).unwrap();
    for i in 0..15 {
        db.put(format!("large{i}"), vec![1; 60_000]).unwrap();
    }
    for i in 0..15 {
        db.delete(format!("large{i}")).unwrap();
    }
    db.close().unwrap();
    for round in 0..24 {
        let db = match options.open(&path) {
            Ok(db) => db,
            Err(error) => panic!("round {round}: {error}"),
        };
        assert_holds(&db, &pairs);
        for i in 0..5 {
            put(&db, &mut pairs, format!("small{round}-{i}"), 7000);
        }
        let image = crash_image(&path, "image.vol");
        db.close().unwrap();
        match options.open(&image) {
            Ok(db) => assert_holds(&db, &pairs),
            Err(error) => panic!("round {round}, after a crash: {error}"),
        };
    }
}

#[test]
fn by_other_large_values() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let options = small_extents().volume_bytes(4 << 20);
    for round in 0..10 {
        let db = options.open(&path).unwrap();
        let mut pairs = Pairs::new();
        for i in 0..7 {
            put(&db, &mut pairs, format!("large{i}"), 200_000 + 1000 * round + i);
        }
        assert_holds(&db, &pairs);
        db.close().unwrap();
        let db = options.open(&path).unwrap();
        assert_holds(&db, &pairs);
        for (key, _) in &pairs {
            db.delete(key).unwrap();
        }
    }
}
