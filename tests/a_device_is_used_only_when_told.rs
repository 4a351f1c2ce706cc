//! A block device becomes a store with `create_new` and if it holds nothing, else it stays as it
//! is.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Loop, assert_holds, fill, refusal, run, skip};
use extentdb::{Db, Error, Options};
use std::fs;

const BYTES: u64 = 16 << 20;

#[test]
fn an_empty_device() {
    let Some(disk) = Loop::new(BYTES) else { return skip("there are no loop devices") };
    for options in [Options::new(), Options::new().create(false)] {
        let error = refusal(options.open(disk.path()));
        assert!(matches!(error, Error::NotAStore { .. }), "{error}");
        assert!(error.to_string().contains("create_new(true)"), "{error}");
        assert!(disk.bytes().iter().all(|&byte| byte == 0), "nothing was written");
    }
    let db = Options::new().create_new(true).open(disk.path()).unwrap();
    assert!(db.open_report().created);
    let info = db.info();
    assert!(info.device.is_block_device && info.fixed);
    assert_eq!(info.volume_bytes, BYTES);
    let mut pairs = fill(&db, 100, 5000);
    db.put("large", vec![3; 3 << 20]).unwrap();
    pairs.push((b"large".to_vec(), vec![3; 3 << 20]));
    let error = refusal(Db::open(disk.path()));
    let own = std::process::id();
    assert!(matches!(error, Error::Locked { pid: Some(pid), .. } if pid == own), "{error}");
    db.close().unwrap();

    let error = refusal(Options::new().create_new(true).open(disk.path()));
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    for options in [Options::new(), Options::new().create(false)] {
        let db = options.open(disk.path()).unwrap();
        assert!(!db.open_report().created);
        assert_holds(&db, &pairs);
    }
}

#[test]
fn a_device_with_a_file_system() {
    for kind in ["ext4", "xfs"] {
        let bytes = if kind == "xfs" { 320 << 20 } else { BYTES };
        let Some(disk) = Loop::new(bytes) else { return skip("there are no loop devices") };
        let quiet = if kind == "xfs" { "-f" } else { "-F" };
        let made = run(&format!("mkfs.{kind}"), &["-q", quiet, disk.path().to_str().unwrap()]);
        if made.is_none() {
            skip("this file system cannot be made here");
            continue;
        }
        let before = disk.bytes();
        for options in [Options::new(), Options::new().create_new(true)] {
            let error = refusal(options.open(disk.path()));
            assert!(matches!(error, Error::NotAStore { .. }), "{kind}: {error}");
            assert!(error.to_string().contains("erase all of it"), "{error}");
        }
        assert!(disk.bytes() == before, "{kind}: the device was touched");
    }
}

#[test]
fn a_device_with_something_at_either_end() {
    for at in [0, 70_000, (1 << 20) - 1, BYTES - (1 << 20), BYTES - 1] {
        let Some(disk) = Loop::new(BYTES) else { return skip("there are no loop devices") };
        common::overwrite(disk.path(), at, b"x");
        let before = disk.bytes();
        let error = refusal(Options::new().create_new(true).open(disk.path()));
        assert!(matches!(error, Error::NotAStore { .. }), "byte {at}: {error}");
        assert!(disk.bytes() == before, "byte {at}: the device was touched");
    }
}

#[test]
fn a_mounted_device() {
    let Some(mount) = common::Mount::new("ext4", BYTES) else {
        return skip("nothing can be mounted");
    };
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let here = mount.path().to_str().unwrap();
    let line = mounts.lines().find(|line| line.contains(here)).unwrap();
    let device = line.split(' ').next().unwrap();
    let error = refusal(Options::new().create_new(true).open(device));
    assert!(matches!(error, Error::Locked { .. }), "{error}");
}
