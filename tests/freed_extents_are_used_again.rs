//! Extents in which every large value is dead are free after the next open, and whatever takes
//! them, the log included, is found again by the opens that follow.

mod support;

use extentdb::{Db, Options};
use std::path::Path;
use support::{Model, assert_same, bytes, directory, shared};

const EXTENT_BYTES: u64 = 64 << 10;

fn open(path: &Path) -> Db {
    let options = Options::new().extent_bytes(EXTENT_BYTES).volume_bytes(8 << 20);
    options.open(path).expect("the volume opens whatever its extents held before")
}

/// Fills `extents` extents with log.
fn fill_log(db: &Db, model: &mut Model, extents: u64) {
    let before = db.metrics().written.log;
    while db.metrics().written.log < before + extents * EXTENT_BYTES {
        let value = bytes(db.metrics().written.log, 3000);
        db.put("filler", &value).expect("a put");
        model.insert(shared("filler"), shared(value));
    }
}

#[test]
fn the_log_goes_on_where_large_values_were() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let mut model = Model::new();
    let db = open(&path);
    let value = bytes(1, 700 << 10);
    for i in 0..8 {
        db.put([i], &value).expect("a put");
    }
    for i in 0..8 {
        db.delete([i]).expect("a delete");
    }
    db.close().expect("a close");
    for _ in 0..20 {
        let db = open(&path);
        fill_log(&db, &mut model, 2);
        assert_same(&db, &model);
        db.close().expect("a close");
    }
    assert_same(&open(&path), &model);
}

#[test]
fn large_values_go_where_large_values_were() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let mut model = Model::new();
    // A value of many extents needs them side by side: this one finds them wherever the log is.
    for round in 0..20 {
        let db = open(&path);
        let value = bytes(round, 1 << 20);
        db.put("large", &value).expect("the space of the value before is free");
        model.insert(shared("large"), shared(value));
        assert_same(&db, &model);
        db.delete("large").expect("a delete");
        model.clear();
        assert_same(&db, &model);
        db.close().expect("a close");
    }
    assert_same(&open(&path), &model);
}

#[test]
fn values_that_live_are_in_nobodys_way() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let mut model = Model::new();
    for round in 0..24u64 {
        let db = open(&path);
        for i in 0..6 {
            let value = bytes(round * 10 + i, (40 << 10) + (i as usize) * 9000);
            db.put([i as u8], &value).expect("a put");
            model.insert(shared([i as u8]), shared(value));
        }
        db.delete([(round % 6) as u8]).expect("a delete");
        model.remove(&[(round % 6) as u8][..]);
        fill_log(&db, &mut model, 1);
        assert_same(&db, &model);
    }
    assert_same(&open(&path), &model);
}
