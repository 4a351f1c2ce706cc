//! A reader that fails or ends before its announced length is an error of its own: nothing is
//! stored, the old value stays, and the space that was set aside is free again.

#![allow(clippy::unwrap_used)]

mod common;

use common::{assert_holds, disk_dir, fill, noise};
use extentdb::{Db, Error, Options};
use std::io::{self, ErrorKind, Read};

/// Gives `left` bytes, then fails.
struct Failing {
    left: usize,
}

impl Read for Failing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::new(ErrorKind::ConnectionReset, "the peer is gone"));
        }
        let len = buf.len().min(self.left).min(7000);
        buf[..len].fill(b'x');
        self.left -= len;
        Ok(len)
    }
}

#[track_caller]
fn assert_source(outcome: Result<(), Error>, kind: ErrorKind) {
    let Err(error @ Error::Source { source, .. }) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(source.kind(), kind);
    assert!(error.to_string().contains("reader"), "{error}");
}

#[test]
fn whatever_the_length_and_wherever_it_fails() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = Options::new().max_bytes(64 << 20).open(&path).unwrap();
    let mut pairs = fill(&db, 5, 100);
    for len in [1, 4096, 32 << 10, (32 << 10) + 1, 300_000, 3 << 20] {
        for given in [0, 1, len / 2, len - 1] {
            if given == len {
                continue;
            }
            for key in ["key00001", "absent"] {
                let early = io::repeat(7).take(given as u64);
                assert_source(db.put_reader(key, len as u64, early), ErrorKind::UnexpectedEof);
                let failing = Failing { left: given };
                assert_source(db.put_reader(key, len as u64, failing), ErrorKind::ConnectionReset);
            }
        }
    }
    assert!(db.health().is_healthy());
    assert_holds(&db, &pairs);
    let value = noise(5, 3 << 20);
    db.put_reader("good", value.len() as u64, &value[..]).unwrap();
    pairs.push((b"good".to_vec(), value));
    assert_holds(&db, &pairs);
    db.close().unwrap();
    assert_holds(&Db::open(&path).unwrap(), &pairs);
}

#[test]
fn and_its_space_is_used_again() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = Options::new().volume_bytes(16 << 20).open(&path).unwrap();
    let mut pairs = fill(&db, 5, 100);
    // In all a hundred times what the volume has room for.
    for _ in 0..200 {
        let early = io::repeat(7).take(7 << 20);
        assert_source(db.put_reader("key00001", 8 << 20, early), ErrorKind::UnexpectedEof);
    }
    let value = noise(5, 8 << 20);
    db.put_reader("good", value.len() as u64, &value[..]).unwrap();
    pairs.push((b"good".to_vec(), value));
    assert_holds(&db, &pairs);
    db.close().unwrap();
    assert_holds(&Db::open(&path).unwrap(), &pairs);
}
