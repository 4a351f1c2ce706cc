//! What garbage collection does not do, and says so: why nothing ran, and extents that are set aside as
//! records in them cannot be read.

use super::canonical::SMALL;
use super::device::SimDevice;
use super::trace::Pages;
use super::workload::{Shape, open};
use crate::db::Db;
use crate::engine::{Background, Engine};
use crate::error::Error;
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::metrics::Collection;
use crate::sync::Arc;

/// Values of which twelve fill an extent.
const VALUE_BYTES: usize = 3000;

fn store(device: &SimDevice, shape: Shape) -> (Arc<Engine>, Db) {
    let engine = open(device, shape, Background::Manual).unwrap();
    let db = Db::new(Arc::clone(&engine));
    (engine, db)
}

fn put(db: &Db, keys: std::ops::Range<u8>) {
    keys.for_each(|key| db.put([key], vec![key; VALUE_BYTES]).unwrap());
}

fn delete(db: &Db, keys: impl Iterator<Item = u8>) {
    keys.for_each(|key| db.delete([key]).unwrap());
}

/// The log up to now is not kept by any checkpoint.
fn renew(db: &Db) {
    (0..2).for_each(|_| db.checkpoint().unwrap());
}

#[test]
fn at_ease_while_the_contract_holds() {
    let (engine, db) = store(&SimDevice::new(Pages::zeros(0)), SMALL);
    put(&db, 0..3);
    engine.collector_step().unwrap();
    assert_eq!(db.metrics().collection, Collection::AtEase);
}

#[test]
fn nothing_to_gain_where_all_is_live() {
    let (_engine, db) = store(&SimDevice::new(Pages::zeros(0)), SMALL);
    put(&db, 0..60);
    renew(&db);
    db.collect_garbage().unwrap();
    assert_eq!(db.metrics().collection, Collection::NothingToGain);
    assert_eq!(db.len(), 60);
}

#[test]
fn held_by_pins_while_a_snapshot_shows_it() {
    let (_engine, db) = store(&SimDevice::new(Pages::zeros(0)), SMALL);
    put(&db, 0..60);
    let snapshot = db.snapshot();
    delete(&db, 0..60);
    renew(&db);
    db.collect_garbage().unwrap();
    assert_eq!(db.metrics().collection, Collection::HeldByPins);
    assert!(db.metrics().held_bytes > 0);
    drop(snapshot);
    db.collect_garbage().unwrap();
    assert_ne!(db.metrics().collection, Collection::HeldByPins);
    assert_eq!(db.metrics().held_bytes, 0);
}

#[test]
fn awaits_a_checkpoint_where_only_that_keeps_the_garbage() {
    let (engine, db) = store(&SimDevice::new(Pages::zeros(0)), SMALL);
    for _ in 0..20 {
        put(&db, 0..12);
    }
    engine.collector_step().unwrap();
    assert_eq!(db.metrics().collection, Collection::AwaitsCheckpoint);
}

/// A page that cannot be read costs the records in it, and nothing else.
#[test]
fn an_extent_with_a_record_that_cannot_be_read_is_set_aside() {
    let device = SimDevice::new(Pages::zeros(0));
    let (engine, db) = store(&device, SMALL);
    put(&db, 0..60);
    let place = |key: u8| engine.locate(&[key]).unwrap().unwrap().page();
    let extent = |page: PageNo| page.0 / SMALL.extent_pages;
    let bad = place(30);
    let beside = (20..40).find(|&key| key != 30 && extent(place(key)) == extent(bad)).unwrap();
    let left = [10, beside, 30, 50];
    delete(&db, (0..60).filter(|key| !left.contains(key)));
    renew(&db);

    device.set_unreadable(Some(bad.0));
    db.collect_garbage().unwrap();
    let assert_set_aside = || {
        assert_eq!(db.metrics().collection, Collection::SetAside);
        assert_eq!(db.metrics().set_aside_bytes, SMALL.extent_pages * PAGE_BYTES as u64);
        assert_eq!(place(30), bad);
        assert!(matches!(db.get([30]), Err(Error::Io { op: "read", .. })));
    };
    assert_set_aside();
    for key in [10, beside, 50] {
        assert_ne!(extent(place(key)), extent(bad), "the others moved");
        assert_eq!(db.get([key]).unwrap().unwrap(), vec![key; VALUE_BYTES]);
    }
    // It is not tried again.
    let read = db.metrics().collection_read_bytes;
    engine.collector_step().unwrap();
    db.collect_garbage().unwrap();
    assert_eq!(db.metrics().collection_read_bytes, read);
    assert_set_aside();

    // Nothing is lost: what can be read again is there, and the next open moves it.
    device.set_unreadable(None);
    assert_eq!(db.get([30]).unwrap().unwrap(), vec![30; VALUE_BYTES]);
    db.close().unwrap();
    device.reconnect();
    let (engine, db) = store(&device, SMALL);
    db.collect_garbage().unwrap();
    assert_ne!(engine.locate(&[30]).unwrap().unwrap().page(), bad);
    assert_eq!(db.get([30]).unwrap().unwrap(), vec![30; VALUE_BYTES]);
    assert_eq!(db.metrics().set_aside_bytes, 0);
}
