//! `get_range` and `get_reader` return the bytes that were asked for, wherever they lie.

mod support;

use extentdb::{Db, Options};
use std::io::Read;
use support::{PAYLOAD, assert_bytes, bytes, fresh};

const LENS: [usize; 9] =
    [0, 1, 100, PAYLOAD + 50, 32 << 10, (32 << 10) + 1, 65_536, 200_001, 2_500_000];

fn offsets(len: usize) -> Vec<usize> {
    let mut offsets = vec![0, 1, 511, 512, 4095, 4096, 4097, len / 2, len, len + 1, len + 70_000];
    for at in (65_536..len).step_by(65_536).take(3) {
        offsets.extend([at - 1, at, at + 1]);
    }
    offsets.extend([len.saturating_sub(1), len.saturating_sub(4097)]);
    offsets
}

#[test]
fn from_any_offset_to_any_other() {
    let (_dir, db) = fresh();
    for len in LENS {
        let value = bytes(len as u64, len);
        db.put("k", &value).expect("a put");
        let snapshot = db.snapshot();
        let offsets = offsets(len);
        for &start in &offsets {
            for &end in offsets.iter().filter(|&&end| end >= start) {
                let (offset, wanted) = (start as u64, (end - start) as u64);
                let expected = &value[start.min(len)..end.min(len)];
                let what = format!("{start}..{end} of {len}");
                let found = db.get_range("k", offset, wanted).expect("a get");
                assert_bytes(found.as_deref(), Some(expected), &what);
                let found = snapshot.get_range("k", offset, wanted).expect("a get");
                assert_bytes(found.as_deref(), Some(expected), &what);
            }
        }
    }
}

#[test]
fn past_all_numbers() {
    let (_dir, db) = fresh();
    for len in LENS {
        let value = bytes(len as u64, len);
        db.put("k", &value).expect("a put");
        let range = |offset, wanted| db.get_range("k", offset, wanted).expect("a get");
        assert_bytes(range(0, u64::MAX).as_deref(), Some(&value), "all");
        assert_bytes(range(1, u64::MAX).as_deref(), Some(&value[len.min(1)..]), "all but one");
        assert_bytes(range(u64::MAX, u64::MAX).as_deref(), Some(&[]), "nothing");
        assert_bytes(range(u64::MAX, 0).as_deref(), Some(&[]), "nothing");
    }
    assert!(db.get_range("absent", 0, 1).expect("a get").is_none());
    assert!(db.get_reader("absent").expect("a get").is_none());
}

#[test]
fn of_a_large_value_without_reading_all_of_it() {
    let (_dir, db) = fresh();
    db.put("k", bytes(1, 8 << 20)).expect("a put");
    let before = db.metrics().read_bytes;
    db.get_range("k", 5_000_000, 1000).expect("a get").expect("is there");
    let read = db.metrics().read_bytes - before;
    assert!(read <= 256 << 10, "{read} bytes were read for 1000");
}

fn stream(db: &Db, len: usize, step: usize) {
    let mut reader = db.get_reader("k").expect("a reader").expect("is there");
    assert_eq!(reader.len(), len as u64);
    assert_eq!(reader.is_empty(), len == 0);
    let mut found = vec![0; len];
    for chunk in found.chunks_mut(step) {
        reader.read_exact(chunk).expect("a read");
    }
    assert_eq!(reader.read(&mut [0; 16]).expect("a read"), 0, "the end");
    assert_bytes(Some(&found), Some(&bytes(len as u64, len)), "streamed");
}

#[test]
fn as_a_stream_in_steps_of_any_size() {
    for options in [Options::new(), Options::new().large_min(1000)] {
        let dir = support::directory();
        let db = options.open(dir.path().join("data.vol")).expect("a new volume");
        for len in LENS {
            db.put("k", bytes(len as u64, len)).expect("a put");
            for step in [1013, 4096, 65_537, 1 << 20, 10_000_000] {
                stream(&db, len, step);
            }
        }
    }
}
