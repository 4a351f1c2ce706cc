//! `put_if_absent` and `compare_and_swap` have one winner, however many threads try at once and
//! however durable they want it to be.

mod support;

use extentdb::{Db, Durability};
use std::sync::Barrier;
use std::thread;
use support::{MODES, assert_clean, bytes, directory, fresh};

/// 16 threads put each key; exactly one of them is told that it did, and it is its value.
fn one_winner(durability: Durability, keys: u32, len: usize) {
    let (_dir, db) = fresh();
    let start = Barrier::new(16);
    let wins: Vec<Vec<u32>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..16u64)
            .map(|thread| {
                let (db, start) = (db.with_durability(durability), &start);
                scope.spawn(move || {
                    let value = bytes(thread, len);
                    start.wait();
                    let won =
                        |key: &u32| db.put_if_absent(key.to_be_bytes(), &value).expect("an answer");
                    (0..keys).filter(won).collect()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    for key in 0..keys {
        let winners: Vec<_> = (0..16).filter(|&thread| wins[thread].contains(&key)).collect();
        assert_eq!(winners.len(), 1, "winners of key {key}: {winners:?}");
        let found = db.get(key.to_be_bytes()).expect("a get").expect("somebody won");
        assert_eq!(found, bytes(winners[0] as u64, len), "the winner's value");
    }
    assert_eq!(db.len(), u64::from(keys));
    assert_clean(&db);
}

#[test]
fn put_if_absent_has_one_winner_when_synced() {
    one_winner(Durability::Synced, 200, 20);
}

#[test]
fn put_if_absent_has_one_winner_when_written() {
    one_winner(Durability::Written, 200, 20);
}

#[test]
fn put_if_absent_has_one_winner_when_buffered() {
    one_winner(Durability::Buffered, 200, 20);
}

#[test]
fn put_if_absent_has_one_winner_for_large_values() {
    for durability in MODES {
        one_winner(durability, 20, 50_000);
    }
}

fn number(value: &[u8]) -> u64 {
    u64::from_le_bytes(value[..8].try_into().expect("eight bytes"))
}

/// Adds one by `compare_and_swap`, until nobody is in between.
fn increment(db: &Db, key: &[u8], len: usize) {
    let mut current = db.get(key).expect("a get").map(|value| value.to_vec());
    loop {
        let count = current.as_deref().map_or(0, number);
        let mut new = (count + 1).to_le_bytes().to_vec();
        new.resize(len, count as u8);
        match db.compare_and_swap(key, current.as_deref(), Some(&new)).expect("an answer") {
            Ok(()) => return,
            Err(mismatch) => current = mismatch.current.map(|value| value.to_vec()),
        }
    }
}

fn counts(modes: &'static [Durability], threads: usize, each: usize, len: usize) {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let db = Db::open(&path).expect("a new volume");
    thread::scope(|scope| {
        for thread in 0..threads {
            let db = db.clone();
            scope.spawn(move || {
                for i in 0..each {
                    let view = db.with_durability(modes[(thread + i) % modes.len()]);
                    increment(&view, &[(i % 3) as u8], len);
                }
            });
        }
    });
    let sum = |db: &Db| {
        let values = db.iter().map(|entry| entry.expect("an entry").value().expect("a value"));
        values.map(|value| number(&value)).sum::<u64>()
    };
    assert_eq!(sum(&db), (threads * each) as u64);
    drop(db);
    let db = Db::open(&path).expect("the same volume");
    assert_eq!(sum(&db), (threads * each) as u64, "after reopening");
    assert_clean(&db);
}

#[test]
fn counters_lose_no_increment_when_synced() {
    counts(&[Durability::Synced], 8, 90, 8);
}

#[test]
fn counters_lose_no_increment_when_written() {
    counts(&[Durability::Written], 8, 90, 8);
}

#[test]
fn counters_lose_no_increment_when_buffered() {
    counts(&[Durability::Buffered], 8, 300, 8);
}

#[test]
fn counters_lose_no_increment_when_modes_are_mixed() {
    counts(&MODES, 8, 90, 5000);
}

#[test]
fn counters_lose_no_increment_in_large_values() {
    counts(&MODES, 4, 24, 40_000);
}

#[test]
fn a_swap_sees_all_ways_in_which_a_value_can_be_there_or_not() {
    for durability in MODES {
        let (_dir, db) = fresh();
        let db = db.with_durability(durability);
        let swap = |expected: Option<&str>, new: Option<&str>| {
            db.compare_and_swap("k", expected.map(str::as_bytes), new.map(str::as_bytes))
                .expect("an answer")
                .map_err(|mismatch| mismatch.current.map(|value| value.to_vec()))
        };
        let is = |value: Option<&str>| {
            let found = db.get("k").expect("a get");
            assert_eq!(found.as_deref(), value.map(str::as_bytes));
        };
        assert_eq!(swap(None, None), Ok(()), "absent stays absent");
        is(None);
        assert_eq!(swap(Some(""), Some("a")), Err(None), "absent is not empty");
        assert_eq!(swap(Some("a"), None), Err(None));
        is(None);
        assert_eq!(swap(None, Some("")), Ok(()), "absent to empty");
        is(Some(""));
        assert_eq!(swap(None, Some("a")), Err(Some(vec![])), "empty is not absent");
        assert_eq!(swap(None, None), Err(Some(vec![])));
        assert_eq!(swap(Some(""), Some("a")), Ok(()));
        is(Some("a"));
        assert_eq!(swap(Some("b"), Some("c")), Err(Some(b"a".to_vec())));
        assert_eq!(swap(Some("b"), None), Err(Some(b"a".to_vec())));
        is(Some("a"));
        assert_eq!(swap(Some("a"), Some("a")), Ok(()), "to itself");
        is(Some("a"));
        assert_eq!(swap(Some("a"), None), Ok(()), "to absent");
        is(None);
        assert!(db.is_empty());
    }
}
