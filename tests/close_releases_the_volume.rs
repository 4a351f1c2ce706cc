//! A volume is open once at a time, until it is closed or nobody holds it any more; what a close
//! leaves behind says so.

mod support;

use extentdb::{Db, Error, Health, WriteBatch};
use std::io::Read;
use std::sync::Barrier;
use std::thread;
use support::{Model, assert_same, bytes, fresh, shared};

/// Makes something that keeps a volume open.
type Holder = fn(&Db) -> Box<dyn Send>;

fn is_closed<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Closed))
}

#[test]
fn and_another_open_meets_the_lock_before() {
    let (dir, db) = fresh();
    let path = dir.path().join("data.vol");
    match Db::open(&path) {
        Err(Error::Locked { .. }) => {}
        other => panic!("the volume is open: {other:?}"),
    }
    db.put("k", "v").expect("a put, after somebody tried the lock");
    db.close().expect("a close");
    let db = Db::open(&path).expect("the volume is free");
    assert_eq!(db.get("k").expect("a get").as_deref(), Some(&b"v"[..]));
}

#[test]
fn so_does_dropping_the_last_of_what_holds_it() {
    let (dir, db) = fresh();
    let path = dir.path().join("data.vol");
    db.put("small", "v").expect("a put");
    db.put("large", bytes(1, 3_000_000)).expect("a put");
    let holders: [Holder; 6] = [
        |db| Box::new(db.clone()),
        |db| Box::new(db.snapshot()),
        |db| Box::new(db.iter()),
        |db| Box::new(db.iter().keys()),
        |db| Box::new(db.iter().next()),
        |db| Box::new(db.get_reader("large")),
    ];
    let mut db = db;
    for holder in holders {
        let held = holder(&db);
        drop(db);
        assert!(matches!(Db::open(&path), Err(Error::Locked { .. })), "it is held");
        drop(held);
        db = Db::open(&path).expect("nobody holds it");
    }
}

#[test]
fn an_iterator_works_after_the_handles_are_gone() {
    let (_dir, db) = fresh();
    let mut model = Model::new();
    for i in 0..100u8 {
        let value = bytes(u64::from(i), usize::from(i) * 700);
        db.put([i], &value).expect("a put");
        model.insert(shared([i]), shared(value));
    }
    let iter = db.iter();
    let snapshot = db.snapshot();
    drop(db);
    support::assert_entries(iter, model.iter());
    support::assert_entries(snapshot.iter(), model.iter());
}

#[test]
fn everything_else_returns_closed() {
    let (dir, db) = fresh();
    db.put("k", "v").expect("a put");
    db.put("large", bytes(1, 3_000_000)).expect("a put");
    let snapshot = db.snapshot();
    let mut before = snapshot.iter();
    let mut iter = db.iter();
    let entry = iter.next().expect("is there").expect("an entry");
    let mut reader = db.get_reader("large").expect("a reader").expect("is there");
    assert!(matches!(db.health(), Health::Healthy));
    db.clone().close().expect("a close");

    assert!(is_closed(db.get("k")));
    assert!(is_closed(db.get("absent")));
    assert!(is_closed(db.get_range("k", 0, 1)));
    assert!(is_closed(db.get_reader("k")));
    assert!(is_closed(db.contains_key("k")));
    assert!(is_closed(db.value_len("k")));
    assert!(db.multi_get(&["k", "absent"]).into_iter().all(is_closed));
    assert!(is_closed(db.put("k", "v")));
    assert!(is_closed(db.put("large", bytes(1, 100_000))));
    assert!(is_closed(db.put_reader("k", 1, &b"v"[..])));
    assert!(is_closed(db.delete("k")));
    assert!(is_closed(db.delete("absent")));
    assert!(is_closed(db.write(&WriteBatch::new())));
    assert!(is_closed(db.put_if_absent("k", "v")));
    assert!(is_closed(db.compare_and_swap("k", None, None)));
    assert!(is_closed(db.sync()));
    assert!(is_closed(db.check()));
    assert!(is_closed(snapshot.get("k")));
    assert!(is_closed(snapshot.get_range("k", 0, 1)));
    assert!(is_closed(snapshot.contains_key("absent")));
    assert!(is_closed(snapshot.value_len("k")));
    assert!(snapshot.multi_get(&["k"]).into_iter().all(is_closed));
    assert!(is_closed(entry.value()));
    for iter in [&mut iter, &mut before, &mut db.iter(), &mut snapshot.range("a"..)] {
        assert!(iter.next().is_some_and(is_closed), "says so once");
        assert!(iter.next().is_none() && iter.next_back().is_none(), "and ends");
    }
    assert!(reader.read_to_end(&mut Vec::new()).is_err());
    assert!(matches!(db.health(), Health::Closed));
    assert!(!db.health().is_healthy());
    let _ = (db.metrics(), db.info(), db.open_report(), db.len(), snapshot.len());
    assert!(is_closed(db.clone().close()), "it was closed before");

    // What is left of the closed handle is in nobody's way.
    let again = Db::open(dir.path().join("data.vol")).expect("the volume is free");
    assert_eq!(again.get("k").expect("a get").as_deref(), Some(&b"v"[..]));
    drop((db, snapshot, iter, before, entry, reader));
    again.put("k", "still open").expect("a put");
}

#[test]
fn a_value_outlives_it() {
    let (dir, db) = fresh();
    let path = dir.path().join("data.vol");
    let lens = [0, 10, 5000, 100_000, 3_000_000];
    for (i, len) in lens.into_iter().enumerate() {
        db.put([i as u8], bytes(i as u64, len)).expect("a put");
    }
    let values: Vec<_> = (0..5u8).map(|i| db.get([i]).expect("a get").expect("is there")).collect();
    let copies = values.clone();
    for (value, copy) in values.iter().zip(&copies) {
        assert_eq!(value.as_ptr(), copy.as_ptr(), "a clone shares the memory");
    }
    let part = db.get_range([4], 1_000_000, 100).expect("a get").expect("is there");
    db.close().expect("a close");
    let db = Db::open(&path).expect("values do not hold the volume");
    db.put([1], "new").expect("a put");
    drop(db);
    for ((i, value), copy) in values.into_iter().enumerate().zip(copies) {
        let expected = bytes(i as u64, lens[i]);
        assert_eq!(value, expected);
        assert_eq!(value.into_vec(), expected, "shared");
        assert_eq!(copy.into_vec(), expected, "no longer shared");
    }
    assert_eq!(part.into_vec(), bytes(4, 3_000_000)[1_000_000..1_000_100]);
}

/// Who was told that a put is durable finds it, though others were in the middle of theirs.
#[test]
fn in_the_midst_of_puts() {
    for round in 0..6 {
        let (dir, db) = fresh();
        let start = Barrier::new(5);
        let stored: Vec<Model> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4u8)
                .map(|thread| {
                    let view =
                        db.with_durability(support::MODES[(round + usize::from(thread)) % 3]);
                    let start = &start;
                    scope.spawn(move || {
                        let mut model = Model::new();
                        start.wait();
                        for i in 0..2000u32 {
                            let key = [&[thread][..], &i.to_be_bytes()].concat();
                            match view.put(&key, "v") {
                                Ok(()) => drop(model.insert(shared(key), shared("v"))),
                                Err(Error::Closed) => break,
                                Err(error) => panic!("{error}"),
                            }
                        }
                        model
                    })
                })
                .collect();
            start.wait();
            while db.len() < 20 * round as u64 {
                thread::yield_now();
            }
            db.clone().close().expect("a close");
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let db = Db::open(dir.path().join("data.vol")).expect("the volume is free");
        let model: Model = stored.into_iter().flatten().collect();
        for key in model.keys() {
            assert!(db.contains_key(key).expect("a lookup"), "an acknowledged put");
        }
        assert!(db.len() <= model.len() as u64 + 4, "one more a thread at most");
        if db.len() == model.len() as u64 {
            assert_same(&db, &model);
        }
    }
}
