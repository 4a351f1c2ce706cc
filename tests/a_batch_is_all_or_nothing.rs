//! A batch takes effect as a whole, for readers, for snapshots and for the log.

mod support;

use extentdb::{Db, Durability, Error, Options, Snapshot, WriteBatch};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::{MODES, Model, Rng, assert_clean, assert_same, bytes, directory, fresh, shared};

const ACCOUNTS: usize = 12;
const WRITERS: usize = 3;
const TOKENS: u64 = 1000;

fn account(writer: usize, number: usize) -> [u8; 2] {
    [writer as u8, number as u8]
}

fn balance(value: &[u8]) -> u64 {
    u64::from_le_bytes(value[..8].try_into().expect("eight bytes"))
}

fn amount(tokens: u64, len: usize) -> Vec<u8> {
    let mut value = tokens.to_le_bytes().to_vec();
    value.resize(len, 0);
    value
}

fn total(snapshot: &Snapshot) -> u64 {
    snapshot.iter().map(|entry| balance(&entry.expect("an entry").value().expect("a value"))).sum()
}

/// Writers move tokens between accounts of their own, an empty account being none, while readers
/// count all of them.
fn tokens_stay(modes: &'static [Durability], moves: usize, len: usize) {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let db = Db::open(&path).expect("a new volume");
    for writer in 0..WRITERS {
        db.put(account(writer, 0), amount(TOKENS, len)).expect("a put");
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| watch(&db, &done));
        }
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let db = &db;
                scope.spawn(move || move_tokens(db, writer, modes, moves, len))
            })
            .collect();
        let ended: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::SeqCst);
        assert!(ended.iter().all(Result::is_ok), "no writer panics");
    });
    assert_eq!(total(&db.snapshot()), TOKENS * WRITERS as u64);
    drop(db);
    let db = Db::open(&path).expect("the same volume");
    assert_eq!(total(&db.snapshot()), TOKENS * WRITERS as u64, "after reopening");
    assert_clean(&db);
}

fn move_tokens(db: &Db, writer: usize, modes: &[Durability], moves: usize, len: usize) {
    let mut rng = Rng::new(writer as u64);
    let mut balances = [0; ACCOUNTS];
    balances[0] = TOKENS;
    let mut batch = WriteBatch::new();
    for _ in 0..moves {
        let (from, to) = (rng.below(ACCOUNTS), rng.below(ACCOUNTS));
        let moved = balances[from].min(rng.next() % 300);
        balances[from] -= moved;
        balances[to] += moved;
        batch.clear();
        for number in [from, to] {
            match balances[number] {
                0 => batch.delete(account(writer, number)),
                tokens => batch.put(account(writer, number), amount(tokens, len)),
            }
        }
        db.with_durability(*rng.pick(modes)).write(&batch).expect("a batch");
    }
}

fn watch(db: &Db, done: &AtomicBool) {
    let keys: Vec<_> = (0..WRITERS)
        .flat_map(|writer| (0..ACCOUNTS).map(move |number| account(writer, number)))
        .collect();
    while !done.load(Ordering::SeqCst) {
        assert_eq!(total(&db.snapshot()), TOKENS * WRITERS as u64, "in a snapshot");
        let found = db.multi_get(&keys).into_iter().map(|value| value.expect("a get"));
        let sum: u64 = found.flatten().map(|value| balance(&value)).sum();
        assert_eq!(sum, TOKENS * WRITERS as u64, "in a multi_get");
    }
}

#[test]
fn tokens_stay_the_same_when_synced() {
    tokens_stay(&[Durability::Synced], 400, 8);
}

#[test]
fn tokens_stay_the_same_when_written() {
    tokens_stay(&[Durability::Written], 400, 8);
}

#[test]
fn tokens_stay_the_same_when_buffered() {
    tokens_stay(&[Durability::Buffered], 1500, 8);
}

#[test]
fn tokens_stay_the_same_when_modes_are_mixed() {
    tokens_stay(&MODES, 500, 3000);
}

#[test]
fn tokens_stay_the_same_in_large_values() {
    tokens_stay(&MODES, 60, 40_000);
}

#[test]
fn the_last_change_of_a_key_counts() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let db = Db::open(&path).expect("a new volume");
    let large = bytes(1, 70_000);
    let mut batch = WriteBatch::new();
    batch.put("put twice", &large);
    batch.put("put twice", "small");
    batch.put("large last", "small");
    batch.put("large last", bytes(2, 80_000));
    batch.put("large last", &large);
    batch.put("deleted", &large);
    batch.delete("deleted");
    batch.delete("put again");
    batch.put("put again", "");
    assert_eq!(batch.len(), 9);
    db.write(&batch).expect("a batch");
    let model = Model::from([
        (shared("put twice"), shared("small")),
        (shared("large last"), shared(large)),
        (shared("put again"), shared("")),
    ]);
    assert_same(&db, &model);
    db.close().expect("a close");
    assert_same(&Db::open(&path).expect("the same volume"), &model);
}

#[test]
fn an_empty_one_is_fine() {
    let (_dir, db) = fresh();
    let mut batch = WriteBatch::new();
    assert!(batch.is_empty());
    for mode in MODES {
        db.with_durability(mode).write(&batch).expect("an empty batch");
    }
    batch.put("k", "v");
    batch.clear();
    assert!(batch.is_empty());
    assert_eq!(batch.len(), 0);
    db.write(&batch).expect("an empty batch");
    assert!(db.is_empty());
}

#[test]
fn one_that_is_too_large_stores_nothing() {
    let dir = directory();
    let options = Options::new().extent_bytes(64 << 10).max_bytes(64 << 20);
    let db = options.open(dir.path().join("data.vol")).expect("a new volume");
    db.put("k000", "old").expect("a put");
    let mut batch = WriteBatch::new();
    batch.put("large", bytes(1, 100_000));
    for i in 0..100 {
        batch.put(format!("k{i:03}"), bytes(i, 400));
    }
    for mode in MODES {
        match db.with_durability(mode).write(&batch) {
            Err(Error::BatchTooLarge { bytes, limit }) => assert!(bytes > limit),
            other => panic!("40 KB in a quarter of 64 KiB: {other:?}"),
        }
    }
    let model = Model::from([(shared("k000"), shared("old"))]);
    assert_same(&db, &model);
    assert!(db.health().is_healthy());
    // In halves of halves it fits.
    for part in (0..100).collect::<Vec<u64>>().chunks(25) {
        batch.clear();
        part.iter().for_each(|&i| batch.put(format!("k{i:03}"), bytes(i, 400)));
        db.write(&batch).expect("10 KB in a quarter of 64 KiB");
    }
    assert_eq!(db.len(), 100);
}

#[test]
fn many_large_values_do_not_count_against_its_size() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let options = Options::new().extent_bytes(256 << 10).max_bytes(64 << 20);
    let db = options.open(&path).expect("a new volume");
    let mut batch = WriteBatch::new();
    let mut model = Model::new();
    for i in 0..100u8 {
        let value = bytes(u64::from(i), 50_000 + usize::from(i));
        batch.put([i], &value);
        model.insert(shared([i]), shared(value));
    }
    db.write(&batch).expect("5 MB of large values, few bytes of log");
    assert_same(&db, &model);
    drop(db);
    assert_same(&options.open(&path).expect("the same volume"), &model);
}
