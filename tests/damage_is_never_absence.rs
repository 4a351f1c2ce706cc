//! A value that the device does not give back as it was written is an error that names its key,
//! never `None` and never other bytes; the other keys are as they were.

#![allow(clippy::unwrap_used)]

mod common;

use common::{PAGE, disk_dir, flip, noise, places_of, small_extents};
use extentdb::{Db, Error, Options};
use std::fs::File;
use std::path::Path;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Small values in extents that are sealed, and large ones.
fn fill(db: &Db) -> Pairs {
    let mut pairs = Pairs::new();
    for i in 0..80u64 {
        let len = [300, 3000, 7500, 40_000, 150_000][i as usize % 5];
        pairs.push((format!("key{i:03}").into_bytes(), noise(i, len)));
    }
    for (key, value) in &pairs {
        db.put(key, value).unwrap();
    }
    pairs
}

/// Where the value is on the disk: somewhere within it that no page header cuts in two.
fn place_of(path: &Path, value: &[u8]) -> u64 {
    let places = places_of(path, &value[100..140]);
    let places = if places.is_empty() { places_of(path, &value[200..240]) } else { places };
    assert_eq!(places.len(), 1, "a value is on the disk once");
    places[0]
}

/// The damaged one and those that share its page are errors that name the key; the rest is fine.
fn check_reads(db: &Db, pairs: &Pairs, damaged: usize) {
    let mut errors = Vec::new();
    for (i, (key, value)) in pairs.iter().enumerate() {
        let name = key.escape_ascii();
        assert!(db.contains_key(key).unwrap());
        match db.get(key) {
            Ok(Some(found)) => assert!(*found == **value, "{name} has other bytes"),
            Ok(None) => panic!("{name} is absent"),
            Err(Error::Corrupt { key: Some(named), .. }) if named == *key => errors.push(i),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    assert!(errors.contains(&damaged), "the damage shows");
    assert!(errors.len() <= 2, "others are unaffected: {errors:?}");
    let error = db.get(&pairs[damaged].0).unwrap_err();
    let name = pairs[damaged].0.escape_ascii().to_string();
    assert!(error.to_string().contains(&name), "{error}");
    check_other_reads(db, pairs, damaged);
}

fn check_other_reads(db: &Db, pairs: &Pairs, damaged: usize) {
    let (key, value) = &pairs[damaged];
    let is_corrupt =
        |error: Error| matches!(error, Error::Corrupt { key: Some(k), .. } if k == *key);
    let found = db.multi_get(&[key, &pairs[0].0]).into_iter().next().unwrap();
    assert!(is_corrupt(found.unwrap_err()), "multi_get");
    let whole = db.get_range(key, 0, value.len() as u64);
    assert!(is_corrupt(whole.unwrap_err()), "get_range");
    assert!(is_corrupt(db.snapshot().get(key).unwrap_err()), "snapshot");
    let entry = db.prefix(key).next().unwrap().unwrap();
    assert!(is_corrupt(entry.value().unwrap_err()), "scan");
    assert!(db.put_if_absent(key, "v").is_ok_and(|put| !put), "it is there, though damaged");
    assert!(is_corrupt(db.compare_and_swap(key, None, Some(b"v")).unwrap_err()), "swap");
    let report = db.check().unwrap();
    let named = |error: &Error| matches!(error, Error::Corrupt { key: Some(k), .. } if k == key);
    assert!(report.problems.iter().any(named), "{report:?}");
    assert_eq!(report.keys, pairs.len() as u64);
}

fn check_range_of_large(db: &Db, key: &[u8], value: &[u8]) {
    // The damage is in the first of its blocks; the others are read and verified alone.
    let found = db.get_range(key, 70_000, 60_000).unwrap().unwrap();
    assert!(*found == value[70_000..130_000]);
    assert!(matches!(db.get_range(key, 50, 100), Err(Error::Corrupt { .. })));
}

/// What is damaged while it is open has to be read again.
/// Values are read from where they were put.
fn uncached() -> Options {
    small_extents().cache_bytes(0).garbage_ratio(10.0)
}

#[test]
fn bytes_that_change_while_the_volume_is_open() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = uncached().open(&path).unwrap();
    let pairs = fill(&db);
    for damaged in [0, 1, 22, 43, 79] {
        let at = place_of(&path, &pairs[damaged].1);
        flip(&path, at);
        check_reads(&db, &pairs, damaged);
        if damaged == 79 {
            check_range_of_large(&db, &pairs[damaged].0, &pairs[damaged].1);
        }
        flip(&path, at);
        common::assert_holds(&db, &pairs);
    }
}

#[test]
fn bytes_that_change_while_the_volume_is_closed() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = small_extents().open(&path).unwrap();
    let pairs = fill(&db);
    db.close().unwrap();
    // Those whose extent is sealed, so that opening reads its footer and not its pages.
    for damaged in [0, 1, 2, 5, 3, 4, 44, 79] {
        let at = place_of(&path, &pairs[damaged].1);
        flip(&path, at);
        let db = Options::new().open(&path).unwrap();
        check_reads(&db, &pairs, damaged);
        drop(db);
        flip(&path, at);
    }
    common::assert_holds(&Options::new().open(&path).unwrap(), &pairs);
}

#[test]
fn a_damaged_value_can_be_replaced_and_deleted() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = small_extents().open(&path).unwrap();
    let mut pairs = fill(&db);
    for damaged in [1, 4] {
        flip(&path, place_of(&path, &pairs[damaged].1));
    }
    db.put(&pairs[1].0, "new").unwrap();
    pairs[1].1 = b"new".to_vec();
    db.delete(&pairs[4].0).unwrap();
    pairs.remove(4);
    for (key, value) in pairs.iter().skip(3) {
        assert!(*db.get(key).unwrap().unwrap() == **value);
    }
    assert_eq!(db.get("key001").unwrap().as_deref(), Some(&b"new"[..]));
    assert_eq!(db.get("key004").unwrap(), None);
}

#[test]
fn pages_of_another_value() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = uncached().open(&path).unwrap();
    let pairs = fill(&db);
    // Whole valid pages in the wrong place, as a misdirected write leaves them.
    for (source, target) in [(0, 1), (4, 9), (9, 79)] {
        let from = place_of(&path, &pairs[source].1) / PAGE as u64;
        let to = place_of(&path, &pairs[target].1) / PAGE as u64;
        let kept = common::read_page(&path, to);
        let page = common::read_page(&path, from);
        common::overwrite(&path, to * PAGE as u64, &page);
        let error = db.get(&pairs[target].0).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        common::overwrite(&path, to * PAGE as u64, &kept);
    }
    common::assert_holds(&db, &pairs);
}

#[test]
fn a_file_that_is_cut_while_it_is_open() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = uncached().open(&path).unwrap();
    let pairs = fill(&db);
    let len = std::fs::metadata(&path).unwrap().len();
    let file = File::options().write(true).open(&path).unwrap();
    // Zeros that are written ahead would make the file longer again.
    std::thread::sleep(std::time::Duration::from_millis(100));
    for bytes in [len / 2, 5 * PAGE as u64 + 100, 0] {
        file.set_len(bytes).unwrap();
        let mut failed = 0;
        for (key, value) in &pairs {
            match db.get(key) {
                Ok(Some(found)) => assert!(*found == **value),
                Err(Error::Io { op: "read", source, .. }) => {
                    assert_eq!(source.kind(), std::io::ErrorKind::UnexpectedEof);
                    failed += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        println!("cut to {bytes} of {len}: {failed} of {} reads fail", pairs.len());
        assert!(bytes > 0 || failed == pairs.len());
    }
    assert_eq!(db.len(), pairs.len() as u64);
}
