//! Keys of 1 to 65,535 bytes are stored, found and ordered by their bytes, whatever they share.

mod support;

use extentdb::{Db, Error, WriteBatch};
use support::{LONGEST_KEY, Model, assert_same, bytes, directory, fresh, shared};

#[test]
fn of_all_lengths_that_matter() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let db = Db::open(&path).expect("a new volume");
    let mut model = Model::new();
    let lens = [
        1,
        2,
        7,
        8,
        9,
        255,
        256,
        257,
        3900,
        4000,
        4032,
        4017,
        8032,
        32_767,
        32_768,
        65_500,
        LONGEST_KEY - 1,
        LONGEST_KEY,
    ];
    for (i, len) in lens.into_iter().enumerate() {
        for value_len in [0, 10, 5000, 32 << 10, (32 << 10) + 1, 100_000] {
            let mut key = bytes(i as u64, len);
            key[len / 2] = (value_len % 251) as u8;
            let value = bytes(value_len as u64, value_len);
            db.put(&key, &value).expect("a put");
            model.insert(shared(key), shared(value));
        }
    }
    assert_same(&db, &model);
    drop(db);
    assert_same(&Db::open(&path).expect("the same volume"), &model);
}

#[test]
fn long_ones_that_differ_only_in_their_last_byte() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let db = Db::open(&path).expect("a new volume");
    let mut model = Model::new();
    let mut key = vec![7; LONGEST_KEY];
    for last in (0..=255).rev() {
        key[LONGEST_KEY - 1] = last;
        db.with_durability(extentdb::Durability::Buffered).put(&key, [last]).expect("a put");
        model.insert(shared(&key), shared([last]));
    }
    key.truncate(LONGEST_KEY - 1);
    db.put(&key, "their prefix").expect("a put");
    model.insert(shared(&key), shared("their prefix"));
    assert_same(&db, &model);
    for last in (0..=255).step_by(2) {
        key.resize(LONGEST_KEY, last);
        db.delete(&key).expect("a delete");
        model.remove(&key[..]);
        key.truncate(LONGEST_KEY - 1);
    }
    assert_same(&db, &model);
    db.close().expect("a close");
    assert_same(&Db::open(&path).expect("the same volume"), &model);
}

#[test]
fn zeros_are_bytes_like_others() {
    let (_dir, db) = fresh();
    let mut model = Model::new();
    for len in 1..40 {
        for last in [0, 1, 255] {
            let mut key = vec![0; len];
            key[len - 1] = last;
            db.put(&key, [len as u8, last]).expect("a put");
            model.insert(shared(key), shared([len as u8, last]));
        }
    }
    assert_same(&db, &model);
}

#[test]
fn one_that_cannot_exist_reads_as_absent() {
    let (_dir, db) = fresh();
    db.put("k", "v").expect("a put");
    let snapshot = db.snapshot();
    for key in [vec![], vec![1; LONGEST_KEY + 1], vec![1; 1 << 20]] {
        assert!(db.get(&key).expect("a get").is_none());
        assert!(!db.contains_key(&key).expect("a lookup"));
        assert!(db.value_len(&key).expect("a lookup").is_none());
        assert!(db.get_range(&key, 0, 10).expect("a get").is_none());
        assert!(db.get_reader(&key).expect("a get").is_none());
        assert!(matches!(&db.multi_get(&[&key])[..], [Ok(None)]));
        assert!(snapshot.get(&key).expect("a get").is_none());
        assert!(!snapshot.contains_key(&key).expect("a lookup"));
        assert!(snapshot.value_len(&key).expect("a lookup").is_none());
    }
}

#[test]
fn one_that_cannot_exist_is_not_stored() {
    let (_dir, db) = fresh();
    let long = vec![1; LONGEST_KEY + 1];
    let refused = |error: Error| match error {
        Error::KeyTooLong { len } => assert_eq!(len, LONGEST_KEY + 1),
        other => panic!("{other}"),
    };
    refused(db.put(&long, "v").expect_err("too long"));
    refused(db.put(&long, vec![0; 100_000]).expect_err("too long"));
    refused(db.delete(&long).expect_err("too long"));
    refused(db.put_if_absent(&long, "v").expect_err("too long"));
    refused(db.compare_and_swap(&long, None, Some(b"v")).expect_err("too long"));
    refused(db.put_reader(&long, 1, &b"v"[..]).expect_err("too long"));
    let is_empty = |error| assert!(matches!(error, Error::EmptyKey), "{error}");
    is_empty(db.put("", "v").expect_err("empty"));
    is_empty(db.delete("").expect_err("empty"));
    is_empty(db.put_if_absent("", "v").expect_err("empty"));
    is_empty(db.compare_and_swap("", None, None).expect_err("empty"));
    is_empty(db.put_reader("", 1, &b"v"[..]).expect_err("empty"));
    let mut batch = WriteBatch::new();
    batch.put("fine", "v");
    batch.put(&long, "v");
    refused(db.write(&batch).expect_err("too long"));
    batch.clear();
    batch.put("fine", "v");
    batch.delete("");
    is_empty(db.write(&batch).expect_err("empty"));
    assert!(db.is_empty(), "nothing of all that was stored");
    assert!(db.health().is_healthy());
}

#[test]
fn ranges_may_be_bounded_by_keys_that_cannot_exist() {
    let (_dir, db) = fresh();
    for key in ["a", "b", "c"] {
        db.put(key, key).expect("a put");
    }
    let long = vec![b'b'; LONGEST_KEY + 1];
    assert_eq!(db.range::<Vec<u8>, _>(long.clone()..).count(), 1);
    assert_eq!(db.range::<Vec<u8>, _>(..long.clone()).count(), 2);
    assert_eq!(db.range::<Vec<u8>, _>(Vec::new()..).count(), 3);
    assert_eq!(db.range::<Vec<u8>, _>(..Vec::new()).count(), 0);
    assert_eq!(db.range::<Vec<u8>, _>(..=Vec::new()).count(), 0);
    assert_eq!(db.prefix(&long).count(), 0);
    assert_eq!(db.prefix("").count(), 3);
}
