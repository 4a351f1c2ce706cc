//! A block device that fails for real: writes, where the memory under it is full, and reads, where the
//! file under it is cut short. What was acknowledged is there when the device works again.
//!
//! It takes loop devices, and so root; without them nothing is shown.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Loop, Mount, assert_holds, noise, run, skip, tell};
use extentdb::{Db, Error, Options};
use std::fs::{self, File};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn options() -> Options {
    Options::new().extent_bytes(256 << 10)
}

fn pair(i: usize) -> (Vec<u8>, Vec<u8>) {
    (format!("key{i:05}").into_bytes(), noise(i as u64, [900, 20_000, 70_000][i % 3]))
}

#[test]
fn failed_writes_are_not_acknowledged() {
    let Some(memory) = Mount::new("tmpfs", 24 << 20) else { return skip("nothing can be mounted") };
    let Some(device) = Loop::on(memory.path(), 96 << 20) else { return skip("no loop devices") };
    let db = options().create_new(true).open(device.path()).unwrap();
    let mut pairs = Pairs::new();
    // One page each: of a longer write Linux's loop device reports success where only its first pages
    // had room, which no store can know (E2).
    let pair = |i: usize| (pair(i).0, noise(i as u64, 1000 + i % 2000));
    let error = loop {
        let (key, value) = pair(pairs.len());
        match db.put(&key, &value) {
            Ok(()) => pairs.push((key, value)),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, Error::Indeterminate { .. } | Error::Poisoned { .. } | Error::Io { .. }),
        "{error:?} after {} puts",
        pairs.len()
    );
    assert!(!db.health().is_healthy(), "the handle says so");
    assert!(matches!(db.put("later", "value"), Err(Error::Poisoned { .. })));
    // Reads go on.
    for (key, value) in &pairs {
        assert!(
            db.get(key).unwrap().unwrap() == **value,
            "{} has another value",
            key.escape_ascii()
        );
    }
    drop(db);
    let Some(_) = run("mount", &["-o", "remount,size=128m", memory.path().to_str().unwrap()])
    else {
        return skip("a mount cannot grow");
    };
    let db = options().open(device.path()).unwrap();
    // The put that failed may be there.
    let (key, value) = pair(pairs.len());
    if let Some(found) = db.get(&key).unwrap() {
        assert!(found == value);
        pairs.push((key, value));
    }
    assert_holds(&db, &pairs);
    tell(&format!("a write failed after {} puts, all of which are there", pairs.len()));
    db.put("later", "value").unwrap();
    drop(db);
    drop(device);
}

#[test]
fn failed_reads_are_errors_and_never_absence() {
    let Some(device) = Loop::new(64 << 20) else { return skip("no loop devices") };
    let db = options().create_new(true).open(device.path()).unwrap();
    let pairs: Pairs = (0..300).map(pair).collect();
    for (i, (key, value)) in pairs.iter().enumerate() {
        db.put(key, value).unwrap();
        if i == 200 {
            db.checkpoint().unwrap();
        }
    }
    db.close().unwrap();
    let whole = fs::read(device.backing()).unwrap();
    let used = whole.chunks(4096).rposition(|page| page.iter().any(|&byte| byte != 0)).unwrap();
    let (mut refused, mut unread) = (0, 0);
    for part in 1..16 {
        let file = File::options().write(true).open(device.backing()).unwrap();
        file.set_len((used * 4096 * part / 16 / 4096 * 4096) as u64).unwrap();
        match options().open(device.path()) {
            Err(Error::Io { op: "read", .. }) => refused += 1,
            Err(error) => panic!("{part} sixteenths: {error}"),
            Ok(db) => unread += read_what_is_there(&db, &pairs),
        }
        fs::write(device.backing(), &whole).unwrap();
        assert_holds(&options().open(device.path()).unwrap(), &pairs);
        fs::write(device.backing(), &whole).unwrap();
    }
    tell(&format!("{refused} opens refused, {unread} values not read"));
    assert!(refused + unread > 0, "something has failed");
}

/// How many values cannot be read; all others are right.
fn read_what_is_there(db: &Db, pairs: &Pairs) -> usize {
    let mut unread = 0;
    for (key, value) in pairs {
        match db.get(key) {
            Ok(Some(found)) => assert!(found == *value),
            Ok(None) => panic!("{} is absent", key.escape_ascii()),
            Err(Error::Io { op: "read", .. }) => unread += 1,
            Err(error) => panic!("{}: {error}", key.escape_ascii()),
        }
    }
    unread
}
