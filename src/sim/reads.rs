//! Values that are read together, and values that are cached, on a device that fails or lies.

use super::device::{Fault, Injection, SimDevice};
use super::trace::Pages;
use crate::db::Db;
use crate::device::{AlignedBuf, BufferPool, Device, DeviceInfo};
use crate::engine::{Background, Engine, Medium};
use crate::error::Error;
use crate::format::ids::PAGE_BYTES;
use crate::options::Options;
use crate::sync::Arc;
use crate::value::Value;

const KEYS: u8 = 40;

fn open(device: &SimDevice, options: &Options) -> (Arc<Engine>, Db) {
    let medium = Medium {
        device: Arc::new(device.clone()),
        info: DeviceInfo::simulated(false),
        len_bytes: device.len_pages() * PAGE_BYTES as u64,
        pool: BufferPool::new(4 << 20),
    };
    let engine = Engine::open_on(medium, options, Background::Manual).unwrap();
    (Arc::clone(&engine), Db::new(engine))
}

/// A store with a page of log for each key.
fn filled(options: &Options) -> (SimDevice, Arc<Engine>, Db) {
    let device = SimDevice::new(Pages::zeros(0));
    let (engine, db) = open(&device, options);
    for key in 0..KEYS {
        db.put([key], [key; 1000]).unwrap();
    }
    (device, engine, db)
}

fn uncached() -> Options {
    Options::new().extent_bytes(64 << 10).max_bytes(4 << 20).cache_bytes(0)
}

type Found = Vec<(u8, Result<Value, Error>)>;

/// Reads all keys, in each way that reads them together.
fn each_way(db: &Db, mut test: impl FnMut(&dyn Fn() -> Found)) {
    let keys: Vec<_> = (0..KEYS).map(|key| [key]).collect();
    test(&|| {
        let found = db.multi_get(&keys).into_iter();
        (0..).zip(found.map(|found| found.map(|value| value.unwrap()))).collect()
    });
    let entry = |entry: Result<crate::iter::Entry, Error>| {
        let entry = entry.unwrap();
        (entry.key()[0], entry.value())
    };
    test(&|| db.iter().map(entry).collect());
    test(&|| {
        let mut found: Found = db.iter().rev().map(entry).collect();
        found.reverse();
        found
    });
}

fn assert_sound(key: u8, found: &Result<Value, Error>) {
    assert_eq!(*found.as_ref().unwrap(), [key; 1000]);
}

#[test]
fn a_read_that_fails_among_many_is_an_error_of_its_key() {
    let (device, _engine, db) = filled(&uncached());
    for at in 0..u64::from(KEYS) {
        each_way(&db, |read| {
            let at = device.operations() + at;
            device.inject(Injection { at, fault: Fault::Fails, sticky: false });
            let mut failed = 0;
            for (key, found) in read() {
                match found {
                    Err(Error::Io { op: "read", .. }) => failed += 1,
                    found => assert_sound(key, &found),
                }
            }
            assert_eq!(failed, 1, "of one read that failed");
            read().iter().for_each(|(key, found)| assert_sound(*key, found));
        });
    }
}

#[test]
fn reads_that_go_on_failing_are_errors_of_the_keys_that_are_left() {
    let (device, _engine, db) = filled(&uncached());
    each_way(&db, |read| {
        let at = device.operations() + 17;
        device.inject(Injection { at, fault: Fault::Fails, sticky: true });
        let failed = read().iter().filter(|(_, found)| found.is_err()).count();
        assert_eq!(failed, usize::from(KEYS) - 17);
        device.inject(Injection { at: u64::MAX, fault: Fault::Fails, sticky: false });
        read().iter().for_each(|(key, found)| assert_sound(*key, found));
    });
}

#[test]
fn what_fails_its_verification_among_many_is_read_once_more() {
    let (device, engine, db) = filled(&uncached());
    let bad = 23;
    let page = engine.locate(&[bad]).unwrap().unwrap().page();
    let whole = device.pages().get(page.0).unwrap();
    each_way(&db, |read| {
        let mut torn = *whole;
        torn[700] ^= 4;
        device.write(page, &AlignedBuf::from_slice(&torn).unwrap()).unwrap();
        let before = device.operations();
        for (key, found) in read() {
            match found {
                Err(Error::Corrupt { page: at, key: Some(name), .. }) => {
                    assert_eq!((key, at, &name[..]), (bad, page.0, &[bad][..]));
                }
                found => assert!(key != bad && *found.unwrap() == [key; 1000]),
            }
        }
        assert_eq!(device.operations() - before, u64::from(KEYS) + 1);
        device.write(page, &AlignedBuf::from_slice(&whole[..]).unwrap()).unwrap();
        read().iter().for_each(|(key, found)| assert_sound(*key, found));
    });
}

#[test]
fn what_is_cached_is_read_no_more_and_scans_do_not_fill_the_cache() {
    let (device, _engine, db) = filled(&uncached().cache_bytes(64 << 20));
    let reads = |work: &dyn Fn()| {
        let before = device.operations();
        work();
        device.operations() - before
    };
    let keys: Vec<_> = (0..KEYS).map(|key| [key]).collect();
    let scan = || db.iter().for_each(|entry| drop(entry.unwrap().value().unwrap()));
    let get = || drop(db.get([3]).unwrap());
    let multi_get = || drop(db.multi_get(&keys));
    assert_eq!((reads(&scan), reads(&scan)), (40, 40));
    assert_eq!((db.metrics().cached_bytes, db.metrics().cache_misses), (0, 0));
    // What is read for the second time is kept.
    assert_eq!((reads(&get), reads(&get), reads(&get)), (1, 1, 0));
    assert_eq!((reads(&multi_get), reads(&multi_get), reads(&multi_get)), (39, 39, 0));
    assert_eq!(reads(&scan), 0);
    let metrics = db.metrics();
    assert_eq!((metrics.cache_misses, metrics.cache_hits), (80, 43));
    assert!((40_000..=50_000).contains(&metrics.cached_bytes), "{}", metrics.cached_bytes);
    // What is asked there is what the device holds.
    assert!(reads(&|| assert!(db.check().unwrap().is_clean())) > u64::from(KEYS));
}

#[test]
fn a_cached_value_is_not_served_where_another_has_taken_its_place() {
    // Every record has a page of its own, at the same place in it, and pages are few.
    let options = Options::new().extent_bytes(16 << 10).volume_bytes(256 << 10);
    let options = Options { checkpoint_log_bytes: 0, ..options.cache_bytes(1 << 20) };
    let device = SimDevice::new(Pages::zeros(0));
    let (engine, db) = open(&device, &options);
    let mut locations = std::collections::BTreeSet::new();
    let mut met_again = 0;
    for round in 0..400_u32 {
        let value = round.to_le_bytes().repeat(200);
        db.put("k", &value).unwrap();
        let location = engine.locate(b"k").unwrap().unwrap();
        met_again += u32::from(!locations.insert(location.pack()));
        let snapshot = db.snapshot();
        for _ in 0..3 {
            assert_eq!(db.get("k").unwrap().unwrap(), value);
        }
        if round % 3 == 0 {
            db.delete("k").unwrap();
            assert_eq!(db.get("k").unwrap(), None);
        }
        assert_eq!(snapshot.get("k").unwrap().unwrap(), value);
        drop(snapshot);
        engine.step().unwrap();
        if round % 8 == 7 {
            db.checkpoint().unwrap();
            db.collect_garbage().unwrap();
        }
    }
    assert!(met_again > 100, "{met_again} times the place of an earlier value");
    assert!(db.metrics().cache_hits >= 400);
}

/// Overwrites two values, again and again, while something holds on to what they were.
fn held_over_many_puts<H>(hold: impl FnOnce(&Db) -> H, look: impl FnOnce(H, Vec<u8>, Vec<u8>)) {
    let options = Options::new().extent_bytes(16 << 10).volume_bytes(1 << 20).large_min(3000);
    let device = SimDevice::new(Pages::zeros(0));
    let (engine, db) = open(&device, &Options { checkpoint_log_bytes: 0, ..options });
    let values = |round: u8| (vec![round; 1500], vec![round; 30_000]);
    let put = |round| {
        let (small, large) = values(round);
        db.put("small", small).unwrap();
        db.put("large", large).unwrap();
    };
    put(1);
    let held = hold(&db);
    for round in 2..100 {
        put(round);
        engine.step().unwrap();
        if round % 4 == 0 {
            db.checkpoint().unwrap();
            db.collect_garbage().unwrap();
        }
    }
    let (small, large) = values(1);
    look(held, small, large);
}

/// G3: the iterator is gone, and the entry is not.
#[test]
fn an_entry_keeps_what_it_is_of() {
    let entries = |db: &Db| db.iter().collect::<Result<Vec<_>, _>>().unwrap();
    held_over_many_puts(entries, |entries, small, large| {
        assert!(entries[0].value().unwrap() == large);
        assert!(entries[1].value().unwrap() == small);
    });
}

#[test]
fn a_reader_keeps_what_it_is_of() {
    let reader = |db: &Db| db.get_reader("large").unwrap().unwrap();
    held_over_many_puts(reader, |mut reader, _, large| {
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut read).unwrap();
        assert!(read == large);
    });
}
