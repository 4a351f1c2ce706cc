//! On a disk that is full puts are refused, all that was acknowledged stays, reads and some
//! deletes work, and so does reopening; with room again, puts do too.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Mount, assert_holds, noise, skip};
use extentdb::{Db, Durability, Error, Options};
use std::fs;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Puts until the disk is full.
fn fill_up(db: &Db, name: &str, len: usize, most: usize, pairs: &mut Pairs) {
    for i in 0..most {
        let (key, value) = (format!("{name}{i:06}").into_bytes(), noise(i as u64, len));
        match db.put(&key, &value) {
            Ok(()) => pairs.push((key, value)),
            Err(Error::Full { .. }) => return,
            Err(error) => panic!("{name}{i}: {error}"),
        }
    }
    panic!("the disk did not fill up");
}

/// Deletes the first `count` pairs, or as many as are taken.
fn delete_some(db: &Db, count: usize, pairs: &mut Pairs) -> usize {
    for done in 0..count {
        match db.delete(&pairs[0].0) {
            Ok(()) => drop(pairs.remove(0)),
            Err(Error::Full { .. }) => return done,
            Err(error) => panic!("delete: {error}"),
        }
    }
    count
}

fn check(kind: &str, bytes: u64, ballast_bytes: i64) {
    let options = Options::new().extent_bytes(1 << 20);
    let Some(mount) = Mount::new(kind, bytes) else { return skip("nothing can be mounted") };
    let path = mount.path().join("data.vol");
    let ballast = mount.path().join("ballast");
    let room = fs::File::create(&ballast).unwrap();
    nix::fcntl::posix_fallocate(&room, 0, ballast_bytes).unwrap();
    let db = options.open(&path).unwrap();
    let mut pairs = Pairs::new();
    fill_up(&db, "large", 300_000, 10_000, &mut pairs);
    fill_up(&db, "small", 3000, 100_000, &mut pairs);
    assert!(db.health().is_healthy(), "full is not broken");
    for durability in [Durability::Synced, Durability::Written, Durability::Buffered] {
        let outcome = db.with_durability(durability).put("more", vec![1; 900_000]);
        assert!(matches!(outcome, Err(Error::Full { .. })), "{durability:?}: {outcome:?}");
    }
    let deleted = delete_some(&db, 20, &mut pairs);
    println!("{kind}: {} pairs when full, then {deleted} deletes", pairs.len());
    assert_eq!(deleted, 20, "deletes work for a while");
    for _ in 0..10 {
        let pair = (b"in their place".to_vec(), noise(77, 300_000));
        db.put(&pair.0, &pair.1).expect("space comes back at once");
        pairs.retain(|(key, _)| *key != pair.0);
        pairs.push(pair);
    }
    assert_holds(&db, &pairs);
    db.close().unwrap();

    let db = options.open(&path).unwrap();
    assert_holds(&db, &pairs);
    drop(room);
    fs::remove_file(&ballast).unwrap();
    for i in 0..100 {
        let pair = (format!("again{i:02}").into_bytes(), noise(i, 30_000));
        db.put(&pair.0, &pair.1).unwrap();
        pairs.push(pair);
    }
    assert_holds(&db, &pairs);
    db.close().unwrap();
    assert_holds(&options.open(&path).unwrap(), &pairs);
}

#[test]
fn on_tmpfs() {
    check("tmpfs", 48 << 20, 16 << 20);
}

#[test]
fn on_ext4() {
    check("ext4", 64 << 20, 24 << 20);
}

#[test]
fn on_xfs() {
    check("xfs", 320 << 20, 180 << 20);
}

#[test]
fn a_disk_too_small_to_create_a_volume() {
    let Some(mount) = Mount::new("tmpfs", 4 << 20) else { return skip("nothing can be mounted") };
    let path = mount.path().join("data.vol");
    let outcome = Db::open(&path);
    assert!(matches!(outcome, Err(Error::Full { .. })), "{outcome:?}");
    // Smaller extents fit, beside what the first try left.
    let path = mount.path().join("small.vol");
    let db = Options::new().extent_bytes(64 << 10).open(&path).unwrap();
    db.put("key", "value").unwrap();
    drop(db);
    let db = Db::open(&path).unwrap();
    assert_eq!(db.get("key").unwrap().as_deref(), Some(&b"value"[..]));
}
