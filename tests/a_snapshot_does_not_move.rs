//! Snapshots, iterators and entries show what was there when they were made, whatever is
//! written later.

mod support;

use extentdb::{Db, Snapshot};
use std::io::Read;
use support::{
    MODES, Model, Rng, assert_bytes, assert_entries, assert_entry, bytes, for_seeds, fresh, shared,
};

fn assert_frozen(snapshot: &Snapshot, model: &Model) {
    assert_eq!(snapshot.len(), model.len() as u64);
    assert_eq!(snapshot.is_empty(), model.is_empty());
    assert_entries(snapshot.iter(), model.iter());
    assert_entries(snapshot.iter().rev(), model.iter().rev());
    let keys: Vec<_> = (0..=255u8).map(|i| [i]).collect();
    for (key, found) in keys.iter().zip(snapshot.multi_get(&keys)) {
        let expected = model.get(&key[..]).map(|value| &value[..]);
        assert_bytes(found.expect("a get").as_deref(), expected, "one of many");
        assert_eq!(snapshot.contains_key(key).expect("a lookup"), expected.is_some());
        let len = expected.map(|value| value.len() as u64);
        assert_eq!(snapshot.value_len(key).expect("a lookup"), len);
        let part = snapshot.get_range(key, 1, 2).expect("a get");
        let clamp = |value: &[u8]| value[value.len().min(1)..value.len().min(3)].to_vec();
        assert_bytes(part.as_deref(), expected.map(clamp).as_deref(), "a part");
    }
}

/// Values of up to `longest` bytes change under many snapshots.
fn changes(seed: u64, longest: usize) {
    let (_dir, db) = fresh();
    let mut rng = Rng::new(seed);
    let mut model = Model::new();
    let mut held: Vec<(Snapshot, Model)> = vec![(db.snapshot(), model.clone())];
    for round in 0..600 {
        let view = db.with_durability(*rng.pick(&MODES));
        let key = [rng.below(256) as u8];
        if rng.one_in(3) {
            view.delete(key).expect("a delete");
            model.remove(&key[..]);
        } else {
            let len = rng.below(longest);
            let value = rng.bytes(len);
            view.put(key, &value).expect("a put");
            model.insert(shared(key), shared(value));
        }
        if round % 60 == 0 {
            held.push((db.snapshot(), model.clone()));
        }
    }
    // In no particular order, each while the others are still held.
    while !held.is_empty() {
        let (snapshot, model) = held.swap_remove(rng.below(held.len()));
        assert_frozen(&snapshot, &model);
    }
}

#[test]
fn while_small_values_change() {
    for_seeds(0..3, |seed| changes(seed, 3000));
}

#[test]
fn while_large_values_change() {
    for_seeds(10..12, |seed| changes(seed, 100_000));
}

/// The whole of it: what is held, after what it shows was overwritten and deleted.
fn held_over_a_change(len: usize) {
    let (_dir, db) = fresh();
    let old = bytes(1, len);
    db.put("changed", &old).expect("a put");
    db.put("deleted", &old).expect("a put");
    let snapshot = db.snapshot();
    let iter = db.iter();
    let entries: Vec<_> = db.iter().map(|entry| entry.expect("an entry")).collect();
    let mut reader = db.get_reader("changed").expect("a reader").expect("is there");
    db.put("changed", bytes(2, len)).expect("a put");
    db.delete("deleted").expect("a delete");
    db.put("added", "new").expect("a put");

    assert_eq!(db.len(), 2);
    assert_eq!(snapshot.len(), 2);
    for key in ["changed", "deleted"] {
        let found = snapshot.get(key).expect("what a snapshot shows stays readable");
        assert_bytes(found.as_deref(), Some(&old), key);
    }
    assert!(snapshot.get("added").expect("a get").is_none());
    let both = Model::from([(shared("changed"), shared(&old)), (shared("deleted"), shared(&old))]);
    assert_entries(iter, both.iter());
    for (entry, (key, value)) in entries.iter().zip(&both) {
        assert_entry(entry, key, value, true);
    }
    let mut found = Vec::new();
    reader.read_to_end(&mut found).expect("a read");
    assert_bytes(Some(&found), Some(&old), "a reader that was there before");
}

#[test]
fn when_a_small_value_is_replaced() {
    held_over_a_change(1000);
}

#[test]
fn when_a_large_value_is_replaced() {
    held_over_a_change(100_000);
}

#[test]
fn when_a_value_of_several_chunks_is_replaced() {
    held_over_a_change(3_000_000);
}

#[test]
fn and_outlives_the_handle_it_came_from() {
    let (dir, db) = fresh();
    db.put("k", "v").expect("a put");
    let snapshot = db.snapshot();
    let copy = snapshot.clone();
    drop(db);
    assert_eq!(snapshot.get("k").expect("a get").as_deref(), Some(&b"v"[..]));
    drop(snapshot);
    assert_eq!(copy.iter().count(), 1);
    drop(copy);
    Db::open(dir.path().join("data.vol")).expect("nobody holds the volume any more");
}

/// The metrics say what snapshots and iterators hold, and that it is let go with them.
#[test]
fn metrics_show_what_is_pinned() {
    let (_dir, db) = fresh();
    for key in 0..100u8 {
        db.put([key], [key; 1000]).expect("a put");
    }
    assert_eq!((db.metrics().pins, db.metrics().oldest_pin_age), (0, None));
    let snapshot = db.snapshot();
    let unpinned = db.metrics();
    for key in 0..100u8 {
        db.put([key], b"new").expect("a put");
    }
    let pinned = db.metrics();
    assert_eq!(pinned.pins, 1);
    assert!(pinned.oldest_pin_age.is_some());
    assert_eq!((unpinned.pinned_bytes, pinned.pinned_bytes), (0, 100 * 1001));
    assert!(pinned.index_bytes > unpinned.index_bytes);
    drop(snapshot);
    let after = db.metrics();
    assert_eq!((after.pins, after.pinned_bytes), (0, 0));
    assert!(after.index_bytes <= unpinned.index_bytes);
}
