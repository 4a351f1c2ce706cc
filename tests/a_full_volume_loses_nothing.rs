//! A volume that may not grow any more refuses puts; all that was acknowledged stays, reads and
//! some deletes work, and so does reopening.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Loop, assert_holds, crash_image, disk_dir, noise, skip};
use extentdb::{Db, Error, Options, WriteBatch};
use std::fs;
use std::path::Path;
use std::thread;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn fill_up(db: &Db, name: &str, len: usize, pairs: &mut Pairs) {
    for i in 0..100_000 {
        let (key, value) = (format!("{name}{i:06}").into_bytes(), noise(i, len));
        match db.put(&key, &value) {
            Ok(()) => pairs.push((key, value)),
            Err(error @ Error::Full { .. }) => {
                assert!(error.to_string().contains("full"), "{error}");
                return;
            }
            Err(error) => panic!("{name}{i}: {error}"),
        }
    }
    panic!("the volume did not fill up");
}

fn check_full(db: &Db, pairs: &mut Pairs) {
    assert!(db.health().is_healthy(), "full is not broken");
    let mut batch = WriteBatch::new();
    batch.put("more", vec![1; 200_000]);
    batch.delete(&pairs[0].0);
    let outcome = db.write(&batch);
    assert!(matches!(outcome, Err(Error::Full { .. })), "{outcome:?}");
    let outcome = db.put_reader("more", 200_000, std::io::repeat(1));
    assert!(matches!(outcome, Err(Error::Full { .. })), "{outcome:?}");
    for _ in 0..10 {
        let (key, _) = pairs.remove(0);
        db.delete(&key).expect("deletes work for a while");
    }
    assert_holds(db, pairs);
}

/// `again` opens what `options` have created.
fn check(path: &Path, options: &Options, again: &Options) {
    let db = options.open(path).unwrap();
    let mut pairs = Pairs::new();
    fill_up(&db, "large", 100_000, &mut pairs);
    fill_up(&db, "small", 1000, &mut pairs);
    println!("{} pairs in {} bytes", pairs.len(), db.info().volume_bytes);
    check_full(&db, &mut pairs);
    for _ in 0..30 {
        let pair = (b"in their place".to_vec(), noise(77, 100_000));
        db.put(&pair.0, &pair.1).expect("space comes back at once");
        pairs.retain(|(key, _)| *key != pair.0);
        pairs.push(pair);
    }
    let image = (!path.starts_with("/dev")).then(|| crash_image(path, "image.vol"));
    db.close().unwrap();
    for path in [Some(path), image.as_deref()].into_iter().flatten() {
        let db = again.open(path).unwrap();
        assert_holds(&db, &pairs);
        db.delete(&pairs[0].0).expect("a reopened volume takes deletes");
        db.put(&pairs[0].0, &pairs[0].1[..10]).ok();
    }
}

#[test]
fn that_has_reached_max_bytes() {
    let dir = disk_dir();
    let options = Options::new().max_bytes(8 << 20);
    check(&dir.path().join("data.vol"), &options, &Options::new());
}

#[test]
fn that_has_a_fixed_size() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    check(&path, &Options::new().volume_bytes(8 << 20), &Options::new());
    assert!(fs::metadata(&path).unwrap().len() <= 8 << 20);
}

#[test]
fn that_is_as_small_as_can_be() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let options = Options::new().volume_bytes(256 << 10).large_min(4096);
    let db = options.open(&path).unwrap();
    let mut pairs = Pairs::new();
    fill_up(&db, "small", 1000, &mut pairs);
    assert_holds(&db, &pairs);
    db.close().unwrap();
    for _ in 0..2 {
        assert_holds(&options.open(&path).unwrap(), &pairs);
    }
}

/// Every open writes a page of log, so a full volume needs room for that, too.
#[test]
fn that_is_opened_again_and_again() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let options = Options::new().volume_bytes(256 << 10).large_min(4096);
    let db = options.open(&path).unwrap();
    let mut pairs = Pairs::new();
    fill_up(&db, "small", 1000, &mut pairs);
    db.close().unwrap();
    for round in 0..100 {
        match options.open(&path) {
            Ok(db) => assert_holds(&db, &pairs),
            Err(error) => panic!("open {round} of a full volume: {error}"),
        }
    }
}

#[test]
fn that_is_a_device() {
    let Some(disk) = Loop::new(8 << 20) else { return skip("there are no loop devices") };
    check(disk.path(), &Options::new().create_new(true), &Options::new());
}

#[test]
fn that_may_grow_further_once_max_bytes_is_raised() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = Options::new().max_bytes(1 << 20).open(&path).unwrap();
    let mut pairs = Pairs::new();
    fill_up(&db, "small", 3000, &mut pairs);
    db.close().unwrap();
    let db = Options::new().max_bytes(6 << 20).open(&path).unwrap();
    let before = pairs.len();
    fill_up(&db, "later", 3000, &mut pairs);
    assert!(pairs.len() > 3 * before);
    db.close().unwrap();
    assert_holds(&Db::open(&path).unwrap(), &pairs);
}

#[test]
fn under_many_writers() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = Options::new().max_bytes(8 << 20).open(&path).unwrap();
    let db_of_all = &db;
    let write = move |writer: usize| {
        let mut pairs = Pairs::new();
        let len = [500, 20_000, 60_000, 150_000][writer % 4];
        fill_up(db_of_all, &format!("w{writer}-"), len, &mut pairs);
        pairs
    };
    let mut pairs: Pairs = thread::scope(|scope| {
        let writers: Vec<_> = (0..8).map(|w| scope.spawn(move || write(w))).collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    check_full(&db, &mut pairs);
    db.close().unwrap();
    assert_holds(&Db::open(&path).unwrap(), &pairs);
}
