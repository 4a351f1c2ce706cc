//! A volume that a newer version has written, in one copy of the superblock or in both, is
//! refused by name and left as it is.

#![allow(clippy::unwrap_used)]

mod common;

use common::{PAGE, small_extents};
use common::{disk_dir, fill, overwrite, read_page, refused_untouched, seal_superblock};
use extentdb::{Error, Options};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where the copies are in a volume with extents of 64 KiB.
const COPIES: [u64; 2] = [0, 15];

fn closed_volume(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("data.vol");
    let db = small_extents().open(&path).unwrap();
    fill(&db, 20, 1000);
    db.close().unwrap();
    path
}

fn change(path: &Path, page: u64, edit: impl FnOnce(&mut [u8])) {
    let mut bytes = read_page(path, page);
    edit(&mut bytes);
    seal_superblock(&mut bytes);
    overwrite(path, page * PAGE as u64, &bytes);
}

fn upgrade(path: &Path, page: u64) {
    change(path, page, |bytes| {
        let version = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
        bytes[4..8].copy_from_slice(&(version + 1).to_le_bytes());
    });
}

fn assert_newer(error: &Error) {
    assert!(matches!(error, Error::NewerFormat { found: 7, supported: 6 }), "{error}");
    assert!(error.to_string().contains("use a newer one"), "{error}");
}

fn generation(path: &Path, page: u64) -> u64 {
    u64::from_le_bytes(read_page(path, page)[24..32].try_into().unwrap())
}

#[test]
fn in_both_copies() {
    let dir = disk_dir();
    let path = closed_volume(&dir);
    for page in COPIES {
        upgrade(&path, page);
    }
    for options in [Options::new(), Options::new().create_new(true), Options::new().create(false)] {
        assert_newer(&refused_untouched(&options, &path));
    }
}

#[test]
fn in_the_first_copy() {
    let dir = disk_dir();
    let path = closed_volume(&dir);
    upgrade(&path, 0);
    assert_newer(&refused_untouched(&Options::new(), &path));
}

/// As it is when the newer version has written one superblock so far, to the second place.
#[test]
fn in_the_second_copy() {
    let dir = disk_dir();
    let path = closed_volume(&dir);
    let newest = generation(&path, 0).max(generation(&path, 15));
    change(&path, 15, |bytes| bytes[24..32].copy_from_slice(&(newest | 1).to_le_bytes()));
    upgrade(&path, 15);
    assert_newer(&refused_untouched(&Options::new(), &path));
}

#[test]
fn in_the_second_copy_while_the_first_is_damaged() {
    let dir = disk_dir();
    let path = closed_volume(&dir);
    upgrade(&path, 15);
    overwrite(&path, 0, &[0xff; PAGE]);
    assert_newer(&refused_untouched(&Options::new(), &path));
}
