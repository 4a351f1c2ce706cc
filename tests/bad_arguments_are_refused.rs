//! Keys, values, batches and options that cannot be are refused, and nothing happens.

#![allow(clippy::unwrap_used)]

mod common;

use common::{assert_holds, disk_dir, fill, small_extents};
use extentdb::{AlignedBuf, Db, Error, Options, Result, WriteBatch};
use std::io;

/// Every way to write under `key`.
fn write_every_way(db: &Db, key: &[u8]) -> Vec<Result<()>> {
    let mut batch = WriteBatch::new();
    batch.put("good", "must not be stored");
    batch.put(key, "v");
    let mut deletion = WriteBatch::new();
    deletion.put("good", "must not be stored");
    deletion.delete(key);
    vec![
        db.put(key, "v"),
        db.delete(key),
        db.put_if_absent(key, "v").map(drop),
        db.compare_and_swap(key, None, Some(b"v")).map(drop),
        db.compare_and_swap(key, Some(b"v"), None).map(drop),
        db.put_aligned(key, AlignedBuf::from_slice(b"v").unwrap()),
        db.put_reader(key, 1, &b"v"[..]),
        db.put_reader(key, 1 << 20, io::repeat(1)),
        db.write(&batch),
        db.write(&deletion),
    ]
}

#[test]
fn a_key_that_is_empty_or_too_long() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = Db::open(&path).unwrap();
    let mut pairs = fill(&db, 3, 100);
    for outcome in write_every_way(&db, b"") {
        assert!(matches!(outcome, Err(Error::EmptyKey)), "{outcome:?}");
    }
    let too_long = vec![7; 65_536];
    for outcome in write_every_way(&db, &too_long) {
        assert!(matches!(outcome, Err(Error::KeyTooLong { len: 65_536 })), "{outcome:?}");
    }
    assert_eq!(db.get("").unwrap(), None);
    assert_eq!(db.get(&too_long).unwrap(), None);
    assert!(!db.contains_key(&too_long).unwrap());
    assert_eq!(db.value_len("").unwrap(), None);
    assert!(db.multi_get(&[&b""[..], &too_long]).into_iter().all(|found| found.unwrap().is_none()));
    assert_holds(&db, &pairs);
    let longest = vec![7; 65_535];
    db.put(&longest, "v").unwrap();
    pairs.push((longest, b"v".to_vec()));
    db.close().unwrap();
    assert_holds(&Db::open(&path).unwrap(), &pairs);
}

#[test]
fn a_value_of_four_gibibytes() {
    let dir = disk_dir();
    let db = Db::open(dir.path().join("data.vol")).unwrap();
    let pairs = fill(&db, 3, 100);
    let before = db.info().volume_bytes;
    for len in [1 << 32, (1 << 32) + 5, u64::MAX] {
        let outcome = db.put_reader("key00001", len, io::empty());
        assert!(matches!(outcome, Err(Error::ValueTooLong { len: l }) if l == len), "{outcome:?}");
    }
    assert_eq!(db.info().volume_bytes, before, "no space was taken");
    assert_holds(&db, &pairs);
}

#[test]
fn a_batch_over_a_quarter_of_an_extent() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = small_extents().open(&path).unwrap();
    let mut pairs = fill(&db, 3, 100);
    let mut batch = WriteBatch::new();
    for i in 0..40 {
        batch.put(format!("batch{i}"), vec![1; 1000]);
    }
    batch.put("large", vec![1; 100_000]);
    let outcome = db.write(&batch);
    let Err(Error::BatchTooLarge { bytes, limit }) = outcome else { panic!("{outcome:?}") };
    assert!(limit <= 16 << 10 && bytes > limit, "{bytes} of {limit}");
    assert_holds(&db, &pairs);
    // A key of its own can be too much for small extents.
    let outcome = db.put(vec![7; 60_000], "v");
    assert!(matches!(outcome, Err(Error::BatchTooLarge { .. })), "{outcome:?}");
    let outcome = db.put(vec![7; 60_000], vec![1; 100_000]);
    assert!(matches!(outcome, Err(Error::BatchTooLarge { .. })), "{outcome:?}");
    // Values of their own pages do not count.
    let mut batch = WriteBatch::new();
    for i in 0..10 {
        batch.put(format!("large{i}"), vec![i; 50_000]);
        pairs.push((format!("large{i}").into_bytes(), vec![i; 50_000]));
    }
    db.write(&batch).unwrap();
    assert_holds(&db, &pairs);
    db.close().unwrap();
    assert_holds(&Db::open(&path).unwrap(), &pairs);
}

#[test]
fn an_option_out_of_range() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let cases = [
        ("pipeline_depth", Options::new().pipeline_depth(0)),
        ("pipeline_depth", Options::new().pipeline_depth(9)),
        ("max_bytes", Options::new().max_bytes(0)),
        ("max_bytes", Options::new().max_bytes((256 << 10) - 1)),
        ("max_bytes", Options::new().max_bytes((16 << 40) + 1)),
        ("volume_bytes", Options::new().volume_bytes(4096)),
        ("volume_bytes", Options::new().volume_bytes(u64::MAX)),
        ("extent_bytes", Options::new().extent_bytes(0)),
        ("extent_bytes", Options::new().extent_bytes(8192)),
        ("extent_bytes", Options::new().extent_bytes(3 << 20)),
        ("extent_bytes", Options::new().extent_bytes(2 << 30)),
        ("extent_bytes", Options::new().extent_bytes(16 << 10).volume_bytes(1 << 40)),
    ];
    for (name, options) in cases {
        let outcome = options.open(&path);
        let Err(error @ Error::Options { option, .. }) = &outcome else { panic!("{outcome:?}") };
        assert_eq!(*option, name);
        assert!(error.to_string().contains("must be"), "{error} says what would be right");
        assert!(!path.exists(), "{options:?} left a file");
    }
}

#[test]
fn extents_that_are_too_large_for_the_volume() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let outcome = Options::new().extent_bytes(1 << 20).volume_bytes(8 << 20).open(&path);
    let Err(Error::Options { option: "extent_bytes", .. }) = outcome else { panic!("{outcome:?}") };
    assert!(!path.exists(), "a creation that is refused leaves nothing behind");
}
