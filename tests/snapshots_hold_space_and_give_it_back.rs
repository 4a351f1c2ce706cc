//! What snapshots hold of a full volume is accounted for, puts say that it is they who hold it, and
//! deletes go on; all of it is back when they are dropped.

mod support;

use extentdb::{Db, Error, Options, Snapshot};
use std::collections::BTreeMap;
use support::{bytes, directory};

const EXTENT: u64 = 256 << 10;
const SNAPSHOTS: usize = 7;

type Model = BTreeMap<u32, Vec<u8>>;

fn put(db: &Db, model: &mut Model, key: u32, round: u64) -> Result<(), Error> {
    let value = bytes(round << 32 | u64::from(key), 3000);
    db.put(key.to_be_bytes(), &value)?;
    model.insert(key, value);
    Ok(())
}

/// Puts new keys until there is no room; how many there were.
fn fill(db: &Db, model: &mut Model) -> u32 {
    for key in 1_000_000.. {
        match put(db, model, key, 0) {
            Ok(()) => {}
            Err(Error::Full { pinned_by: None }) => return key - 1_000_000,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("the volume is small")
}

fn assert_shows(snapshot: &Snapshot, model: &Model) {
    let mut expected = model.iter();
    for entry in snapshot.iter() {
        let entry = entry.expect("an entry");
        let (key, value) = expected.next().expect("no more than there was");
        assert_eq!(entry.key(), key.to_be_bytes());
        assert!(entry.value().expect("a value") == value[..]);
    }
    assert!(expected.next().is_none(), "all that there was");
}

#[test]
fn of_a_full_volume() {
    let dir = directory();
    let options = Options::new().extent_bytes(EXTENT).volume_bytes(40 * EXTENT);
    let db = options.open(dir.path().join("data.vol")).expect("a volume");
    let mut model = Model::new();
    let room = fill(&db, &mut model);
    for key in std::mem::take(&mut model).into_keys() {
        db.delete(key.to_be_bytes()).expect("a delete");
    }
    // Each snapshot holds a part of the room.
    let keys = room / (SNAPSHOTS as u32 + 6);
    let mut snapshots = Vec::new();
    for round in 0..SNAPSHOTS as u64 {
        for key in 0..keys {
            put(&db, &mut model, key, round).expect("a put");
        }
        snapshots.push((db.snapshot(), model.clone()));
    }
    let refused = (keys..room).find_map(|key| put(&db, &mut model, key, 0).err());
    let refused = refused.expect("it is full sooner than without snapshots");
    assert!(matches!(refused, Error::Full { pinned_by: Some(_) }), "{refused}");
    let metrics = db.metrics();
    // What the last one shows is what there is.
    let held = (SNAPSHOTS as u64 - 1) * u64::from(keys) * 3000;
    assert_eq!(metrics.pins, SNAPSHOTS as u64);
    assert!(metrics.pinned_bytes >= held, "{metrics}");
    assert!(metrics.held_bytes >= held, "{metrics}");
    for key in model.keys() {
        db.delete(key.to_be_bytes()).expect("a delete, whatever is held");
    }
    snapshots.iter().for_each(|(snapshot, model)| assert_shows(snapshot, model));
    drop(snapshots);
    db.collect_garbage().expect("a collection");
    let metrics = db.metrics();
    assert_eq!((metrics.pins, metrics.pinned_bytes, metrics.held_bytes), (0, 0, 0));
    model.clear();
    let again = fill(&db, &mut model);
    assert!(again * 10 >= room * 9, "{again} values fit now, and {room} did at first");
    assert!(db.check().expect("a check").is_clean());
}
