//! Threads that write keys of their own, in whatever durability, do not disturb each other; and
//! a reader sees a value whole, never older than the one it saw before.

mod support;

use extentdb::{Db, Durability, Options, WriteBatch};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::{MODES, Model, Rng, assert_bytes, assert_same, directory, shared};

/// Random operations on the keys that begin with `thread`; what they leave.
fn work(db: &Db, thread: u8, modes: &[Durability], ops: usize, longest: usize) -> Model {
    let mut rng = Rng::new(u64::from(thread) + 100);
    let mut model = Model::new();
    for _ in 0..ops {
        let view = db.with_durability(*rng.pick(modes));
        let key = [thread, rng.below(60) as u8];
        let len = if rng.one_in(10) { rng.below(longest) } else { rng.below(300) };
        let value = rng.bytes(len);
        match rng.below(10) {
            0..4 => {
                view.put(key, &value).expect("a put");
                model.insert(shared(key), shared(value));
            }
            4 => {
                view.delete(key).expect("a delete");
                model.remove(&key[..]);
            }
            5 => {
                let mut batch = WriteBatch::new();
                // Five of them fit a batch in the smallest extents that are tried.
                let value = &value[..len.min(1000)];
                for number in 0..5 {
                    batch.put([thread, number], value);
                    model.insert(shared([thread, number]), shared(value));
                }
                batch.delete(key);
                model.remove(&key[..]);
                view.write(&batch).expect("a batch");
            }
            6 => {
                let stored = view.put_if_absent(key, &value).expect("an answer");
                assert_eq!(stored, !model.contains_key(&key[..]));
                if stored {
                    model.insert(shared(key), shared(value));
                }
            }
            7 => {
                let current = model.get(&key[..]).map(|value| &value[..]);
                let swapped = view.compare_and_swap(key, current, Some(&value));
                swapped.expect("an answer").expect("nobody else writes this key");
                model.insert(shared(key), shared(value));
            }
            _ => {
                let expected = model.get(&key[..]).map(|value| &value[..]);
                assert_bytes(db.get(key).expect("a get").as_deref(), expected, "own key");
                let own = db.prefix([thread]).count();
                assert_eq!(own, model.len(), "own keys");
            }
        }
    }
    model
}

fn share(options: &Options, modes: &'static [Durability], ops: usize, longest: usize) {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let db = options.open(&path).expect("a new volume");
    let model: Model = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let db = &db;
                scope.spawn(move || work(db, thread, modes, ops, longest))
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_same(&db, &model);
    drop(db);
    assert_same(&options.open(&path).expect("the same volume"), &model);
}

#[test]
fn each_in_its_own_keys_when_synced() {
    share(&Options::new(), &[Durability::Synced], 200, 80_000);
}

#[test]
fn each_in_its_own_keys_when_written() {
    share(&Options::new(), &[Durability::Written], 200, 80_000);
}

#[test]
fn each_in_its_own_keys_when_buffered() {
    share(&Options::new(), &[Durability::Buffered], 500, 80_000);
}

#[test]
fn each_in_its_own_keys_when_modes_are_mixed() {
    for depth in [1, 2, 8] {
        share(&Options::new().pipeline_depth(depth), &MODES, 250, 80_000);
    }
}

#[test]
fn each_in_its_own_keys_in_small_extents() {
    let options = Options::new().extent_bytes(32 << 10).max_bytes(256 << 20);
    share(&options, &MODES, 300, 30_000);
}

/// A value that says what it must be: its version, and bytes that follow from it.
fn described(version: u64, longest: usize) -> Vec<u8> {
    let mut rng = Rng::new(version);
    let len = 8 + rng.below(longest);
    let mut value = rng.bytes(len);
    value[..8].copy_from_slice(&version.to_le_bytes());
    value
}

fn assert_whole(value: &[u8], longest: usize) -> u64 {
    let version = u64::from_le_bytes(value[..8].try_into().expect("eight bytes"));
    assert_bytes(Some(value), Some(&described(version, longest)), "a value, whole");
    version
}

fn watched(writes: u64, longest: usize) {
    let dir = directory();
    let db = Db::open(dir.path().join("data.vol")).expect("a new volume");
    for key in 0..4u8 {
        db.put([key], described(0, longest)).expect("a put");
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..4u8)
            .map(|key| {
                let db = &db;
                scope.spawn(move || {
                    for version in 1..=writes {
                        let mode = MODES[(version % 3) as usize];
                        let value = described(version, longest);
                        db.with_durability(mode).put([key], value).expect("a put");
                    }
                })
            })
            .collect();
        for reader in 0..3 {
            let (db, done) = (&db, &done);
            scope.spawn(move || {
                let mut seen = [0; 4];
                while !done.load(Ordering::SeqCst) {
                    let values: Vec<_> = match reader {
                        0 => (0..4u8).map(|key| db.get([key])).collect(),
                        1 => db.multi_get(&[[0u8], [1], [2], [3]]),
                        _ => db
                            .iter()
                            .map(|entry| entry.and_then(|entry| entry.value()).map(Some))
                            .collect(),
                    };
                    for (seen, value) in seen.iter_mut().zip(values) {
                        let value = value.expect("a get").expect("always there");
                        let version = assert_whole(&value, longest);
                        assert!(version >= *seen, "{version} after {seen}");
                        *seen = version;
                    }
                }
            });
        }
        let ended: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::SeqCst);
        assert!(ended.iter().all(Result::is_ok), "no writer panics");
    });
    for key in 0..4u8 {
        let value = db.get([key]).expect("a get").expect("always there");
        assert_eq!(assert_whole(&value, longest), writes);
    }
}

#[test]
fn readers_see_small_values_whole() {
    watched(600, 6000);
}

#[test]
fn readers_see_large_values_whole() {
    watched(80, 150_000);
}

/// What is written after a check began is neither missed nor taken for damage.
#[test]
fn a_check_beside_a_writer_finds_nothing() {
    const ROUNDS: u32 = 500;
    let dir = directory();
    let options = Options::new().extent_bytes(16 << 10).max_bytes(64 << 20);
    let db = options.open(dir.path().join("data.vol")).expect("it opens");
    let begin = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                begin.wait();
                for key in 0..12_u8 {
                    db.put([key], round.to_le_bytes().repeat(100)).expect("a put");
                }
                begin.wait();
            }
        });
        for round in 0..ROUNDS {
            // Nothing comes after it yet.
            db.checkpoint().expect("a checkpoint");
            begin.wait();
            let report = db.check();
            begin.wait();
            let report = report.expect("a check");
            assert!(report.is_clean(), "round {round}: {report:?}");
        }
    });
}
