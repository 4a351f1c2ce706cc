//! A value comes back byte for byte, whatever its length and whatever lies at its edges: pages,
//! the bound between small and large, blocks, chunks.

mod support;

use extentdb::{AlignedBuf, Db, Options};
use std::io::{Cursor, Read};
use support::{MODES, Model, PAYLOAD, assert_bytes, assert_same, bytes, directory, shared};

/// `at` and its neighbours.
fn around(at: usize, reach: usize) -> impl Iterator<Item = usize> {
    at.saturating_sub(reach)..=at + reach
}

fn edges() -> Vec<usize> {
    let mut lens: Vec<usize> = (0..10).collect();
    for pages in 1..=3 {
        // A record's header and key go before the value, so the edge lies below.
        lens.extend(pages * PAYLOAD - 70..pages * PAYLOAD + 3);
        lens.extend(around(pages * 4096, 1));
    }
    for at in [8 * PAYLOAD, 32 << 10, 64 << 10, 128 << 10, 192 << 10, 512 << 10] {
        lens.extend(around(at, 1));
    }
    for at in [1 << 20, 2 << 20, 3 << 20] {
        lens.extend(around(at, 1));
    }
    lens
}

fn key(len: usize) -> String {
    format!("{len:08}")
}

fn survive(options: &Options, store: impl Fn(&Db, &str, &[u8])) {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let db = options.open(&path).expect("a new volume");
    let mut model = Model::new();
    for len in edges() {
        let value = bytes(len as u64, len);
        store(&db, &key(len), &value);
        let found = db.get(key(len)).expect("a get");
        assert_bytes(found.as_deref(), Some(&value), "right after it was stored");
        assert_eq!(db.value_len(key(len)).expect("a lookup"), Some(len as u64));
        model.insert(shared(key(len)), shared(value));
    }
    assert_same(&db, &model);
    db.close().expect("a close");
    assert_same(&options.open(&path).expect("the same volume"), &model);
}

#[test]
fn put_as_slices_in_every_durability() {
    survive(&Options::new(), |db, key, value| {
        let mode = MODES[value.len() % 3];
        db.with_durability(mode).put(key, value).expect("a put");
    });
}

#[test]
fn put_from_aligned_buffers() {
    survive(&Options::new(), |db, key, value| {
        let value = AlignedBuf::from_slice(value).expect("memory");
        db.put_aligned(key, value).expect("a put");
    });
}

#[test]
fn put_from_readers_that_return_little_at_a_time() {
    struct Drip<R>(R);
    impl<R: Read> Read for Drip<R> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let len = buf.len().min(1013);
            self.0.read(&mut buf[..len])
        }
    }
    survive(&Options::new(), |db, key, value| {
        // The reader has more than the value, which is left alone.
        let mut reader = Cursor::new([value, b"rest"].concat());
        db.put_reader(key, value.len() as u64, Drip(&mut reader)).expect("a put");
        assert_eq!(reader.position(), value.len() as u64);
    });
}

#[test]
fn with_no_value_but_the_empty_one_in_the_log() {
    survive(&Options::new().large_min(0), |db, key, value| db.put(key, value).expect("a put"));
}

#[test]
fn with_values_of_up_to_a_mebibyte_in_the_log() {
    survive(&Options::new().large_min(1 << 20), |db, key, value| {
        db.put(key, value).expect("a put");
    });
}

#[test]
fn in_extents_smaller_than_the_values() {
    let options = Options::new().extent_bytes(128 << 10).max_bytes(256 << 20);
    survive(&options, |db, key, value| db.put(key, value).expect("a put"));
}

#[test]
fn larger_than_a_chunk_and_an_extent_at_once() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let db = Db::open(&path).expect("a new volume");
    // 16 MiB and more is made durable before its record.
    let lens = [(16 << 20) - 1, 16 << 20, (16 << 20) + 1, 20_000_000];
    for len in lens {
        db.put(key(len), bytes(len as u64, len)).expect("a put");
    }
    drop(db);
    let db = Db::open(&path).expect("the same volume");
    for len in lens {
        let found = db.get(key(len)).expect("a get");
        assert_bytes(found.as_deref(), Some(&bytes(len as u64, len)), "a huge value");
    }
    support::assert_clean(&db);
}
