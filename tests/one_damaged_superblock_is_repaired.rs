//! Either superblock may be damaged: the other one serves, and the report says so. With both
//! damaged nothing is opened, and nothing is written.

#![allow(clippy::unwrap_used)]

mod common;

use common::{
    PAGE, assert_holds, crash_image, disk_dir, fill, noise, overwrite, refused_untouched,
};
use common::{read_page, small_extents};
use extentdb::{Db, Error, Options};
use std::fs;
use std::path::Path;

type Damage = fn(&Path, u64);

const DAMAGES: [Damage; 4] = [
    |path, page| common::flip(path, page * PAGE as u64 + 30),
    |path, page| overwrite(path, page * PAGE as u64, &[0; PAGE]),
    |path, page| overwrite(path, page * PAGE as u64, &noise(9, PAGE)),
    |path, page| {
        let other = read_page(path, 3);
        overwrite(path, page * PAGE as u64, &other);
    },
];

fn check_each_copy(path: &Path, second: u64, pairs: &[(Vec<u8>, Vec<u8>)]) {
    let whole = fs::read(path).unwrap();
    for (page, name) in [(0, "first"), (second, "second")] {
        for damage in DAMAGES {
            fs::write(path, &whole).unwrap();
            damage(path, page);
            let db = Db::open(path).unwrap();
            let repaired = &db.open_report().repaired;
            assert!(repaired.iter().any(|what| what.contains(name)), "{name}: {repaired:?}");
            assert!(!db.open_report().created);
            let mut pairs = pairs.to_vec();
            pairs.push((b"later".to_vec(), b"v".to_vec()));
            db.put("later", "v").unwrap();
            db.close().unwrap();
            let db = Db::open(path).unwrap();
            assert_eq!(db.open_report().repaired, [""; 0], "closing has written it anew");
            assert_holds(&db, &pairs);
        }
    }
}

fn check_both_copies(path: &Path, second: u64) {
    let whole = fs::read(path).unwrap();
    for first_damage in DAMAGES {
        for second_damage in DAMAGES {
            fs::write(path, &whole).unwrap();
            first_damage(path, 0);
            second_damage(path, second);
            for options in [Options::new(), Options::new().create_new(true)] {
                let error = refused_untouched(&options, path);
                let refused = matches!(error, Error::NotAStore { .. } | Error::Corrupt { .. });
                assert!(refused, "{error}");
            }
        }
    }
}

#[test]
fn in_a_closed_volume() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = small_extents().open(&path).unwrap();
    let pairs = fill(&db, 60, 3000);
    db.close().unwrap();
    check_each_copy(&path, 15, &pairs);
    check_both_copies(&path, 15);
}

#[test]
fn in_a_volume_that_was_opened_and_closed_often() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let mut pairs = Vec::new();
    for round in 0..3 {
        let db = small_extents().open(&path).unwrap();
        pairs = fill(&db, 20 + round, 3000);
        db.close().unwrap();
    }
    check_each_copy(&path, 15, &pairs);
}

#[test]
fn after_a_crash() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = small_extents().open(&path).unwrap();
    let pairs = fill(&db, 60, 3000);
    let image = crash_image(&path, "image.vol");
    check_each_copy(&image, 15, &pairs);
    check_both_copies(&image, 15);
}

#[test]
fn in_a_volume_with_extents_of_the_usual_size() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = Options::new().volume_bytes(128 << 20).extent_bytes(8 << 20).open(&path).unwrap();
    let pairs = fill(&db, 20, 3000);
    db.close().unwrap();
    for (page, name) in [(0, "first"), (2047, "second")] {
        common::flip(&path, page * PAGE as u64 + 100);
        let db = Db::open(&path).unwrap();
        let repaired = db.open_report().repaired.clone();
        assert!(repaired.iter().any(|what| what.contains(name)), "{name}: {repaired:?}");
        let check = db.check().unwrap();
        assert_eq!(check.warnings.len(), 1, "a check tells of it until it is written: {check:?}");
        db.close().unwrap();
        assert_holds(&Db::open(&path).unwrap(), &pairs);
    }
}
