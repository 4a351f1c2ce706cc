//! What `Buffered` and `Written` acknowledge is visible to everyone at once, wherever its bytes
//! are, and is all there after a close.

mod support;

use extentdb::{Db, Durability, Options, SyncWindow, WriteBatch};
use std::thread;
use std::time::Duration;
use support::{MODES, Model, assert_bytes, assert_same, bytes, directory, fresh, shared};

#[test]
fn at_once_and_from_other_threads() {
    let (_dir, db) = fresh();
    for (round, len) in [0, 1, 3000, 5000, 32_768, 32_769, 200_000].into_iter().enumerate() {
        for mode in MODES {
            let value = bytes(round as u64, len);
            db.with_durability(mode).put("k", &value).expect("a put");
            let other = db.clone();
            let found = thread::spawn(move || other.get("k")).join().expect("no panic");
            let found = found.expect("a get");
            assert_bytes(found.as_deref(), Some(&value), "seen by another thread");
            let part = db.get_range("k", 1, 100).expect("a get").expect("is there");
            assert_eq!(part, value[len.min(1)..len.min(101)]);
            let entry = db.iter().next_back().expect("is there").expect("an entry");
            assert_bytes(Some(&entry.value().expect("a value")), Some(&value), "scanned");
            db.with_durability(mode).delete("k").expect("a delete");
            assert!(db.get("k").expect("a get").is_none());
        }
    }
}

#[test]
fn and_keep_the_order_in_which_they_wrote() {
    let (_dir, db) = fresh();
    for i in 0..600u64 {
        let view = db.with_durability(MODES[(i % 3) as usize]);
        view.put("k", i.to_le_bytes()).expect("a put");
        let mut batch = WriteBatch::new();
        batch.put("first", i.to_le_bytes());
        batch.put("second", i.to_le_bytes());
        view.write(&batch).expect("a batch");
        assert_eq!(db.get("k").expect("a get").as_deref(), Some(&i.to_le_bytes()[..]));
        assert_eq!(db.get("second").expect("a get").as_deref(), Some(&i.to_le_bytes()[..]));
    }
}

/// A window of `window_bytes`: writers wait for it again and again, and always get on.
fn with_window(window_bytes: u64, writes: u32) {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let window = SyncWindow { bytes: window_bytes, time: Duration::from_millis(1) };
    let options = Options::new().sync_window(window);
    let db = options.open(&path).expect("a new volume");
    thread::scope(|scope| {
        for thread in 0..4u32 {
            let db = db.with_durability(MODES[(thread % 2) as usize]);
            scope.spawn(move || {
                for i in 0..writes {
                    let len = (i * 37 % 900) as usize;
                    let key = (thread * writes + i).to_be_bytes();
                    db.put(key, bytes(u64::from(i), len)).expect("a put");
                    assert_eq!(db.value_len(key).expect("a lookup"), Some(len as u64));
                }
            });
        }
    });
    drop(db);
    let mut model = Model::new();
    for key in 0..4 * writes {
        let i = key % writes;
        let value = bytes(u64::from(i), (i * 37 % 900) as usize);
        model.insert(shared(key.to_be_bytes()), shared(value));
    }
    assert_same(&options.open(&path).expect("the same volume"), &model);
}

#[test]
fn however_small_the_window() {
    for (window_bytes, writes) in [(1, 400), (4096, 600), (64 << 10, 600)] {
        let what = format!("a window of {window_bytes} bytes");
        support::without_hanging(&what, || with_window(window_bytes, writes));
    }
}

#[test]
fn and_find_them_after_a_close_or_a_drop() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let mut model = Model::new();
    for round in 0..12u64 {
        let db = Db::open(&path).expect("the volume");
        let fast = db.with_durability(Durability::Buffered);
        for i in 0..50u64 {
            let value = bytes(i, (i * i * 20) as usize);
            fast.put([round as u8, i as u8], &value).expect("a put");
            model.insert(shared([round as u8, i as u8]), shared(value));
        }
        match round % 3 {
            0 => db.close().expect("a close"),
            1 => drop((db, fast)),
            _ => {
                db.sync().expect("a sync");
                drop((db, fast));
            }
        }
    }
    assert_same(&Db::open(&path).expect("the volume"), &model);
}
