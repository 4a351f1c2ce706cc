//! Damage to the log is told from a write that a crash cut short: where later pages prove the
//! batch durable, nothing is opened, the page is named, and nothing is written.

#![allow(clippy::unwrap_used)]

mod common;

use common::{PAGE, assert_holds, crash_image, disk_dir, noise, overwrite, places_of, read_page};
use common::{refused_untouched, small_extents};
use extentdb::{Db, Durability, Error, Options};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;
type Damage = fn(&Path, u64);

const DAMAGES: [Damage; 4] = [
    |path, at| common::flip(path, at),
    |path, at| common::flip(path, at / PAGE as u64 * PAGE as u64),
    |path, at| overwrite(path, at / PAGE as u64 * PAGE as u64, &[0; PAGE]),
    |path, at| {
        let before = read_page(path, at / PAGE as u64 - 1);
        overwrite(path, at / PAGE as u64 * PAGE as u64, &before);
    },
];

/// A volume with a few batches in one extent.
fn few_batches(dir: &TempDir) -> (Db, PathBuf, Pairs) {
    let path = dir.path().join("data.vol");
    let db = small_extents().extent_bytes(256 << 10).open(&path).unwrap();
    let mut pairs = Pairs::new();
    for i in 0..12u64 {
        let pair = (format!("key{i:03}").into_bytes(), noise(i, 1000 + 700 * i as usize));
        db.put(&pair.0, &pair.1).unwrap();
        pairs.push(pair);
    }
    (db, path, pairs)
}

fn place_of(path: &Path, value: &[u8]) -> u64 {
    let places = places_of(path, &value[100..140]);
    assert_eq!(places.len(), 1, "a value is on the disk once");
    places[0]
}

fn assert_refused_at(path: &Path, expected: u64, what: &str) {
    for options in [Options::new(), Options::new().create_new(true)] {
        let error = refused_untouched(&options, path);
        match &error {
            Error::Corrupt { page, .. } => {
                assert_eq!(*page, expected, "{what}: {error}");
                assert!(error.to_string().contains(&format!("page {page}")), "{error}");
            }
            Error::AlreadyExists { .. } => {}
            error => panic!("{what}: {error}"),
        }
    }
}

fn check_every_batch(path: &Path, pairs: &Pairs) {
    let whole = fs::read(path).unwrap();
    for (i, (_, value)) in pairs.iter().enumerate() {
        for (kind, damage) in DAMAGES.into_iter().enumerate() {
            fs::write(path, &whole).unwrap();
            let at = place_of(path, value);
            damage(path, at);
            assert_refused_at(path, at / PAGE as u64, &format!("batch {i}, damage {kind}"));
        }
    }
    fs::write(path, &whole).unwrap();
    assert_holds(&Db::open(path).unwrap(), pairs);
}

#[test]
fn of_a_closed_volume_in_any_batch() {
    let dir = disk_dir();
    let (db, path, pairs) = few_batches(&dir);
    db.close().unwrap();
    check_every_batch(&path, &pairs);
}

#[test]
fn of_a_crashed_volume_in_any_batch_the_last_included() {
    let dir = disk_dir();
    let (db, path, pairs) = few_batches(&dir);
    let image = crash_image(&path, "image.vol");
    check_every_batch(&image, &pairs);
    drop(db);
}

#[test]
fn of_a_crashed_volume_after_weaker_writes() {
    let dir = disk_dir();
    let (db, path, mut pairs) = few_batches(&dir);
    for (i, durability) in [Durability::Written, Durability::Buffered].into_iter().enumerate() {
        let pair = (format!("weak{i}").into_bytes(), noise(100 + i as u64, 2000));
        db.with_durability(durability).put(&pair.0, &pair.1).unwrap();
        pairs.push(pair);
    }
    std::thread::sleep(std::time::Duration::from_millis(250));
    let image = crash_image(&path, "image.vol");
    check_every_batch(&image, &pairs);
    drop(db);
}

#[test]
fn of_a_volume_that_was_opened_after_a_crash() {
    let dir = disk_dir();
    let (db, path, mut pairs) = few_batches(&dir);
    let image = crash_image(&path, "image.vol");
    drop(db);
    let db = Db::open(&image).unwrap();
    db.put("later", noise(99, 2000)).unwrap();
    pairs.push((b"later".to_vec(), noise(99, 2000)));
    let second = crash_image(&image, "second.vol");
    check_every_batch(&second, &pairs);
    drop(db);
}

/// Every page of the log that was written after creation: damaged, the volume is refused, or
/// what it held comes from elsewhere; nothing is ever lost silently.
#[test]
fn of_a_volume_with_several_extents_in_any_page() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = small_extents().open(&path).unwrap();
    let pairs = common::fill(&db, 40, 7000);
    let crashed = crash_image(&path, "image.vol");
    db.close().unwrap();
    for path in [path, crashed] {
        let whole = fs::read(&path).unwrap();
        let is_used = |page: &usize| whole[page * PAGE..][..PAGE].iter().any(|&byte| byte != 0);
        let (mut refused, mut named, mut opened) = (0, 0, 0);
        for page in (1..whole.len() / PAGE).filter(is_used) {
            fs::write(&path, &whole).unwrap();
            common::flip(&path, (page * PAGE + 2000) as u64);
            match Db::open(&path) {
                Ok(db) => {
                    named += u64::from(check_what_is_left(&db, &pairs, page));
                    opened += 1;
                }
                Err(error) => {
                    assert!(matches!(error, Error::Corrupt { .. }), "page {page}: {error}");
                    let mut damaged = whole.clone();
                    damaged[page * PAGE + 2000] = !damaged[page * PAGE + 2000];
                    assert!(fs::read(&path).unwrap() == damaged, "page {page}: touched");
                    refused += 1;
                }
            }
        }
        println!("{refused} refused, {opened} opened, of which {named} name the damaged key");
        assert!(refused > 0 && named > 0);
    }
}

/// Whether a key was named; the others have to be right.
fn check_what_is_left(db: &Db, pairs: &Pairs, page: usize) -> bool {
    assert_eq!(db.len(), pairs.len() as u64, "page {page}: keys are lost");
    let mut named = false;
    for (key, value) in pairs {
        match db.get(key) {
            Ok(found) => assert!(*found.unwrap() == **value, "page {page}"),
            Err(Error::Corrupt { key: Some(k), .. }) if k == *key => named = true,
            Err(error) => panic!("page {page}: {error}"),
        }
    }
    named
}
