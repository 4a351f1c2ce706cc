//! The text of every error that a user can do something about says what.

#![allow(clippy::unwrap_used)]

mod common;

use common::{PAGE, disk_dir, fill, flip, refusal};
use extentdb::{Db, Error, Options, WriteBatch};
use std::fs;

#[track_caller]
fn assert_advises(error: &Error, advice: &[&str]) {
    let text = error.to_string();
    assert!(advice.iter().any(|word| text.contains(word)), "no advice in: {text}");
}

#[test]
fn of_arguments() {
    let dir = disk_dir();
    let db = Options::new().max_bytes(16 << 20).open(dir.path().join("data.vol")).unwrap();
    assert_advises(&db.put("", "v").unwrap_err(), &["1 to 65,535"]);
    assert_advises(&db.put(vec![1; 70_000], "v").unwrap_err(), &["1 to 65,535"]);
    let too_long = db.put_reader("k", 1 << 32, std::io::empty()).unwrap_err();
    assert_advises(&too_long, &["4,294,967,295"]);
    let mut batch = WriteBatch::new();
    for i in 0..20_000u32 {
        batch.put(i.to_be_bytes(), "value");
    }
    assert_advises(&db.write(&batch).unwrap_err(), &["split it"]);
    let other = db.clone();
    db.close().unwrap();
    assert_advises(&other.get("k").unwrap_err(), &["open the volume again"]);
    assert_advises(&refusal(Options::new().pipeline_depth(0).open("x")), &["must be 1 to 8"]);
}

#[test]
fn of_a_full_volume() {
    let dir = disk_dir();
    let db = Options::new().volume_bytes(1 << 20).open(dir.path().join("data.vol")).unwrap();
    let full = (0..1000).find_map(|i: u32| db.put(i.to_be_bytes(), [1; 9000]).err()).unwrap();
    assert!(matches!(full, Error::Full { .. }));
    assert_advises(&full, &["delete", "Delete", "max_bytes", "free the disk"]);
}

#[test]
fn of_a_damaged_volume() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = common::small_extents().open(&path).unwrap();
    fill(&db, 10, 1000);
    db.close().unwrap();
    flip(&path, 18 * PAGE as u64);
    let corrupt = refusal(Db::open(&path));
    assert!(matches!(corrupt, Error::Corrupt { .. }));
    assert_advises(&corrupt, &["restore", "Restore", "copy", "extentdb check"]);
}

#[test]
fn of_a_directory_that_does_not_exist() {
    let dir = disk_dir();
    let error = refusal(Db::open(dir.path().join("absent/data.vol")));
    let text = error.to_string();
    assert!(text.contains("absent/data.vol") && text.contains("No such file"), "{text}");
    assert!(!text.contains("page"), "no page is concerned: {text}");
}

#[test]
fn of_a_file_that_is_no_volume() {
    let dir = disk_dir();
    let path = dir.path().join("letter");
    fs::write(&path, "Dear Sir").unwrap();
    assert_advises(&refusal(Db::open(&path)), &["choose another path"]);
}
