//! A checkpoint of some size is read by threads of its own while the log after it is: what comes of both is what
//! was put, and damage to either is noticed.

#![allow(clippy::unwrap_used)]

mod common;

use common::{PAGE, disk_dir, overwrite, read_page};
use extentdb::{Db, Durability, OpenProgress, Options, WriteBatch};
use std::path::Path;
use std::sync::{Arc, Mutex};

const KEYS: u32 = 250_000;
const ROOT_AT: usize = 80;

fn key(number: u32) -> [u8; 16] {
    let mut key = [7; 16];
    key[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
    key[4..8].copy_from_slice(&number.to_be_bytes());
    key
}

fn value(number: u32) -> Option<&'static [u8]> {
    match number % 10 {
        0 => None,
        1..5 => Some(b"new"),
        _ => Some(b"old!"),
    }
}

/// All keys, two checkpoints of them, and a log that deletes some and overwrites others.
fn fill(path: &Path) {
    let db = Options::new().garbage_ratio(100.0).open(path).unwrap();
    let quick = db.with_durability(Durability::Buffered);
    let write = |numbers: Vec<u32>, value: &dyn Fn(u32) -> Option<&'static [u8]>| {
        for numbers in numbers.chunks(1000) {
            let mut batch = WriteBatch::new();
            for &number in numbers {
                match value(number) {
                    Some(value) => batch.put(key(number), value),
                    None => batch.delete(key(number)),
                }
            }
            quick.write(&batch).unwrap();
        }
    };
    write((0..KEYS).collect(), &|_| Some(b"old!"));
    db.checkpoint().unwrap();
    db.checkpoint().unwrap();
    write((0..KEYS).filter(|number| number % 10 < 5).collect(), &value);
    db.close().unwrap();
}

fn assert_all_there(db: &Db) {
    assert_eq!(db.len(), u64::from(KEYS - KEYS / 10));
    for number in 0..KEYS {
        let len = db.value_len(key(number)).unwrap();
        assert_eq!(len, value(number).map(|value| value.len() as u64));
        if number % 1009 == 0 {
            assert_eq!(db.get(key(number)).unwrap().as_deref(), value(number));
        }
    }
}

#[test]
fn and_all_is_there() {
    let dir = disk_dir();
    let path = dir.path().join("x.vol");
    fill(&path);
    let shown = Arc::new(Mutex::new(Vec::<OpenProgress>::new()));
    let shows = Arc::clone(&shown);
    let db = Options::new()
        .on_open_progress(move |so_far| shows.lock().unwrap().push(*so_far))
        .open(&path)
        .unwrap();
    assert_all_there(&db);
    let shown = shown.lock().unwrap();
    let last = shown.last().unwrap();
    assert!(last.image_bytes > 4 << 20, "so small an image is read after the log: {last:?}");
    assert_eq!((last.loaded_bytes, last.batch), (last.image_bytes, last.batch.max(1)));
    let ascends = |a: &OpenProgress, b: &OpenProgress| {
        a.batch <= b.batch && a.log_extents <= b.log_extents && a.loaded_bytes <= b.loaded_bytes
    };
    assert!(shown.is_sorted_by(ascends));
}

#[test]
fn and_the_one_before_serves_where_it_is_damaged() {
    let dir = disk_dir();
    let path = dir.path().join("x.vol");
    fill(&path);
    let second = Db::open(&path).unwrap().info().extent_bytes / PAGE as u64 - 1;
    let copies = [read_page(&path, 0), read_page(&path, second)];
    let number = |copy: &[u8], at: usize| u64::from_le_bytes(copy[at..at + 8].try_into().unwrap());
    let newest = copies.iter().max_by_key(|copy| number(copy, 24)).unwrap();
    // The last page before the root is of the last slice.
    let page = number(newest, ROOT_AT) - 1;
    overwrite(&path, page * PAGE as u64, &[0x5a; PAGE]);
    let db = Db::open(&path).unwrap();
    let repaired = &db.open_report().repaired;
    let says_so = |what: &String| what.contains("newest checkpoint") && what.contains("slice");
    assert!(repaired.iter().any(says_so), "{repaired:?}");
    assert_all_there(&db);
}
