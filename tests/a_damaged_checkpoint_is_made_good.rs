//! A checkpoint of which a page is damaged costs nothing while the one before is there: `check`
//! says so, an open uses the other, and the next checkpoint takes its place.

#![allow(clippy::unwrap_used)]

mod common;

use common::{PAGE, disk_dir, overwrite, read_page, small_extents};
use extentdb::{Db, Error};
use std::fs;
use std::path::Path;

/// Where the superblock of this volume has the root pages of the newest checkpoint and of the one
/// before.
const ROOTS_AT: [usize; 2] = [80, 128];

/// The superblock of the newer generation.
fn superblock(path: &Path, second: u64) -> Vec<u8> {
    let copies = [read_page(path, 0), read_page(path, second)];
    let generation = |copy: &[u8]| u64::from_le_bytes(copy[24..32].try_into().unwrap());
    copies.into_iter().max_by_key(|copy| generation(copy)).unwrap().to_vec()
}

fn root(path: &Path, second: u64, which: usize) -> u64 {
    let at = ROOTS_AT[which];
    u64::from_le_bytes(superblock(path, second)[at..at + 8].try_into().unwrap())
}

fn destroy(path: &Path, page: u64) {
    overwrite(path, page * PAGE as u64, &[0x5a; PAGE]);
}

fn pairs() -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    (0..300_u32).map(|i| (format!("key {i}").into_bytes(), vec![i as u8; 700]))
}

/// A closed volume with two checkpoints, and records before, between and after them. Lone puts leave
/// much garbage: nobody is to want the log that only the older checkpoint keeps.
fn with_two_checkpoints(path: &Path) -> u64 {
    let db = small_extents().garbage_ratio(100.0).open(path).unwrap();
    for (i, (key, value)) in pairs().enumerate() {
        db.put(key, value).unwrap();
        if i % 100 == 50 && i < 200 {
            db.checkpoint().unwrap();
        }
    }
    let second = db.info().extent_bytes / PAGE as u64 - 1;
    db.close().unwrap();
    second
}

fn assert_all_there(db: &Db) {
    assert_eq!(db.len(), 300);
    for (key, value) in pairs() {
        assert_eq!(db.get(&key).unwrap().as_deref(), Some(&value[..]));
    }
}

#[test]
fn the_one_before_serves_and_the_next_replaces_it() {
    let dir = disk_dir();
    let path = dir.path().join("x.vol");
    let second = with_two_checkpoints(&path);
    destroy(&path, root(&path, second, 0));
    let db = Db::open(&path).unwrap();
    let repaired = &db.open_report().repaired;
    assert!(repaired.iter().any(|what| what.contains("newest checkpoint")), "{repaired:?}");
    assert_all_there(&db);
    db.checkpoint().unwrap();
    assert!(db.check().unwrap().is_clean());
    db.close().unwrap();
    let db = Db::open(&path).unwrap();
    assert_eq!(db.open_report().repaired, [""; 0]);
    assert_all_there(&db);
}

#[test]
fn check_tells_of_it_while_the_store_is_open() {
    let dir = disk_dir();
    let path = dir.path().join("x.vol");
    let second = with_two_checkpoints(&path);
    let db = Db::open(&path).unwrap();
    assert!(db.check().unwrap().slices > 0);
    for which in [0, 1] {
        let whole = fs::read(&path).unwrap();
        destroy(&path, root(&path, second, which));
        let report = db.check().unwrap();
        assert!(report.is_clean(), "the other serves: {:?}", report.problems);
        assert!(report.warnings.iter().any(|what| what.contains("checkpoint")));
        overwrite(&path, 0, &whole);
    }
    for which in [0, 1] {
        destroy(&path, root(&path, second, which));
    }
    assert_eq!(db.check().unwrap().problems.len(), 2);
}

#[test]
fn without_another_the_open_says_what_is_damaged() {
    let dir = disk_dir();
    let path = dir.path().join("x.vol");
    let second = with_two_checkpoints(&path);
    let roots = [0, 1].map(|which| root(&path, second, which));
    roots.into_iter().for_each(|root| destroy(&path, root));
    let error = Db::open(&path).unwrap_err();
    assert!(matches!(error, Error::Corrupt { page, .. } if page == roots[0]), "{error}");
}
