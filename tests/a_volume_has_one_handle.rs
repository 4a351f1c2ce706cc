//! A volume that is in use is refused, saying by which process, and is free again at once when
//! that one closes it or dies.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Loop, again, assert_holds, disk_dir, fill, refusal, role, skip};
use extentdb::{Db, Error, Options};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

#[track_caller]
fn assert_locked_by(error: &Error, holder: u32) {
    let Error::Locked { pid, .. } = error else { panic!("{error}") };
    assert_eq!(*pid, Some(holder));
    let text = error.to_string();
    assert!(text.contains(&holder.to_string()) && text.contains("close it"), "{text}");
}

#[test]
fn in_this_process() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let alias = dir.path().join("alias");
    std::os::unix::fs::symlink(&path, &alias).unwrap();
    let db = Db::open(&path).unwrap();
    let pairs = fill(&db, 10, 1000);
    for options in [Options::new(), Options::new().create_new(true)] {
        for path in [&path, &alias] {
            assert_locked_by(&refusal(options.open(path)), std::process::id());
        }
    }
    assert_holds(&db, &pairs);
    let clone = db.clone();
    drop(db);
    assert_locked_by(&refusal(Db::open(&path)), std::process::id());
    drop(clone);
    let db = Db::open(&path).unwrap();
    assert_holds(&db, &pairs);
    let snapshot = db.snapshot();
    db.close().unwrap();
    let db = Db::open(&path).expect("closing frees it, whoever holds snapshots");
    assert!(matches!(snapshot.get("key00000"), Err(Error::Closed)));
    drop(db);
}

#[test]
fn of_many_openers_at_once_one_wins() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    for _ in 0..10 {
        let begin = Barrier::new(8);
        let done = Barrier::new(8);
        let open = || {
            begin.wait();
            let outcome = Db::open(&path);
            done.wait();
            outcome.map(drop)
        };
        let outcomes: Vec<_> = thread::scope(|scope| {
            let openers: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            openers.into_iter().map(|opener| opener.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        for error in outcomes.into_iter().filter_map(Result::err) {
            assert_locked_by(&error, std::process::id());
        }
    }
}

/// Opens the volume that the role names, says so, and stays.
#[test]
fn holder() {
    let Some(path) = role() else { return };
    let db = Db::open(path).unwrap();
    db.put("held", "yes").unwrap();
    println!("HELD");
    thread::sleep(Duration::from_secs(60));
    drop(db);
}

fn start_holder(path: &Path) -> Child {
    let mut command = again("holder", path.to_str().unwrap());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let held = lines.map_while(Result::ok).any(|line| line.contains("HELD"));
    assert!(held, "the other process has the volume");
    child
}

fn check_other_process(path: &Path) {
    let mut child = start_holder(path);
    let error = refusal(Options::new().open(path));
    let text = error.to_string();
    if path.starts_with("/dev") {
        // A claim on a device has no name in the kernel's list.
        assert!(matches!(error, Error::Locked { .. }), "{text}");
    } else {
        assert_locked_by(&error, child.id());
    }
    child.kill().unwrap();
    let db = Options::new().open(path).expect("a killed process's volume is free");
    child.wait().unwrap();
    assert_eq!(db.get("held").unwrap().as_deref(), Some(&b"yes"[..]));
}

#[test]
fn by_another_process() {
    let dir = disk_dir();
    check_other_process(&dir.path().join("data.vol"));
}

#[test]
fn by_another_process_on_a_device() {
    let Some(disk) = Loop::new(64 << 20) else { return skip("there are no loop devices") };
    drop(Options::new().create_new(true).open(disk.path()).unwrap());
    check_other_process(disk.path());
}
