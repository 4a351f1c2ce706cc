//! A volume that the system does not let be written is refused as such, and stays as it is.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Loop, Mount, assert_holds, disk_dir, fill, refusal, run, skip};
use extentdb::{Db, Error, Options};
use std::path::Path;

#[track_caller]
fn assert_read_only(path: &Path) {
    for options in [Options::new(), Options::new().create(false)] {
        let error = refusal(options.open(path));
        let Error::ReadOnly { path: named, .. } = &error else { panic!("{error:?}") };
        assert_eq!(named.as_path(), path);
        assert!(error.to_string().contains("cannot be opened for writing"), "{error}");
    }
}

#[test]
fn a_file_on_a_read_only_mount() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = Db::open(&path).unwrap();
    let pairs = fill(&db, 10, 1000);
    db.close().unwrap();
    let Some(mount) = Mount::read_only(dir.path()) else { return skip("nothing can be mounted") };
    assert_read_only(&mount.path().join("data.vol"));
    let error = refusal(Db::open(mount.path().join("absent.vol")));
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    drop(mount);
    assert_holds(&Db::open(&path).unwrap(), &pairs);
}

/// Takes the attribute back, or the directory could not be removed.
struct Immutable<'a>(&'a str);

impl Drop for Immutable<'_> {
    fn drop(&mut self) {
        run("chattr", &["-i", self.0]);
    }
}

#[test]
fn an_immutable_file() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = Db::open(&path).unwrap();
    let pairs = fill(&db, 10, 1000);
    db.close().unwrap();
    let name = path.to_str().unwrap();
    if run("chattr", &["+i", name]).is_none() {
        return skip("files cannot be made immutable here");
    }
    let immutable = Immutable(name);
    assert_read_only(&path);
    drop(immutable);
    assert_holds(&Db::open(&path).unwrap(), &pairs);
}

#[test]
fn a_read_only_device() {
    let Some(disk) = Loop::new(16 << 20) else { return skip("there are no loop devices") };
    let db = Options::new().create_new(true).open(disk.path()).unwrap();
    fill(&db, 10, 1000);
    db.close().unwrap();
    let before = disk.bytes();
    let Some(disk) = disk.into_read_only() else { return skip("no read-only loop devices") };
    assert_read_only(disk.path());
    assert!(disk.bytes() == before);
}

#[test]
fn a_program_that_runs() {
    let dir = disk_dir();
    let path = dir.path().join("program");
    std::fs::copy("/bin/sleep", &path).unwrap();
    let Ok(mut child) = std::process::Command::new(&path).arg("20").spawn() else {
        return skip("there is no sleep");
    };
    let outcome = Db::open(&path);
    child.kill().unwrap();
    child.wait().unwrap();
    let error = refusal(outcome);
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
}
