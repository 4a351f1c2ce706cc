//! A large value is refused only where there is hardly any room, however that is divided.

#![allow(clippy::unwrap_used)]

mod common;

use common::{PAGE, Random, disk_dir};
use extentdb::{Db, Durability, Error, Options};
use std::collections::BTreeMap;

const EXTENT: usize = 64 * PAGE;
const EXTENTS: usize = 128;
const SHORTEST: usize = 33 << 10;
/// What puts of large values leave: two extents for an image, four for the log, two for what is moved.
const RESERVE: usize = 8 * 64;
/// The part of the pages of large values that may be in holes shorter than the values around them.
const HOLES: usize = 12;

/// A store, and the lengths of its values.
struct Store {
    db: Db,
    model: BTreeMap<u32, usize>,
    next: u32,
}

/// Pages of a large value.
fn pages(len: usize) -> usize {
    1 + len.div_ceil(PAGE)
}

impl Store {
    /// Puts a value of `len` bytes. Whether there was room for it.
    fn put(&mut self, len: usize) -> bool {
        let key = self.next;
        self.next += 1;
        match self.db.put(key.to_be_bytes(), vec![key as u8; len]) {
            Ok(()) => {
                self.model.insert(key, len);
                true
            }
            Err(Error::Full { .. }) => {
                self.check_refusal(len);
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// There were hardly more pages than that.
    fn check_refusal(&self, len: usize) {
        let metrics = self.db.metrics();
        let [free, large] = [metrics.free_bytes, metrics.large_bytes].map(|n| n as usize / PAGE);
        let live: usize = self.model.values().map(|&len| pages(len)).sum();
        let unused = free + large - live;
        let most = pages(len) + RESERVE + large / HOLES;
        assert!(unused <= most, "{} pages refused, {unused} are unused: {metrics}", pages(len));
    }

    fn fill(&mut self, random: &mut Random, longest: usize) {
        let mut refused = 0;
        while refused < 4 {
            let len = SHORTEST + random.below((longest - SHORTEST) as u64) as usize;
            refused += u64::from(!self.put(len));
        }
    }

    fn delete_every_other(&mut self) {
        let keys: Vec<u32> = self.model.keys().copied().collect();
        for key in keys.into_iter().step_by(2) {
            self.db.delete(key.to_be_bytes()).unwrap();
            self.model.remove(&key);
        }
    }
}

/// Fills a volume with values of random lengths, deletes every other one, fills it with longer or
/// shorter ones, and so on.
fn whatever_comes_after_what(seed: u64) {
    let dir = disk_dir();
    let options =
        Options::new().extent_bytes(EXTENT as u64).volume_bytes((EXTENTS * EXTENT) as u64);
    let db = options.open(dir.path().join("x.vol")).unwrap();
    let db = db.with_durability(Durability::Buffered);
    let mut random = Random::new(seed);
    let mut store = Store { db, model: BTreeMap::new(), next: 0 };
    for round in 0..5 {
        let longest = [2 * EXTENT, EXTENT, EXTENT / 2, EXTENT / 4][(round + seed as usize) % 4];
        store.fill(&mut random, longest);
        store.delete_every_other();
    }
    assert!(store.db.metrics().moved_large_bytes > 0);
    for (key, &len) in &store.model {
        let value = store.db.get(key.to_be_bytes()).unwrap().unwrap();
        assert!(value.len() == len && value.iter().all(|&byte| byte == *key as u8));
    }
    assert!(store.db.check().unwrap().is_clean());
}

#[test]
fn from_long_to_short() {
    whatever_comes_after_what(0);
}

#[test]
fn from_medium_to_long() {
    whatever_comes_after_what(1);
}

#[test]
fn from_short_to_long() {
    whatever_comes_after_what(3);
}

/// Extents of the log lie between those of large values, and small values in them are live.
#[test]
fn between_small_values() {
    let dir = disk_dir();
    let options =
        Options::new().extent_bytes(EXTENT as u64).volume_bytes((EXTENTS * EXTENT) as u64);
    let db = options.open(dir.path().join("x.vol")).unwrap();
    let db = db.with_durability(Durability::Buffered);
    let large = |n: u32| vec![n as u8; EXTENT * 7 / 10];
    let small = |n: u32| vec![n as u8; 1000];
    let (mut larges, mut smalls) = (0..70_u32, 0..7000_u32);
    for n in larges.clone() {
        db.put(format!("large {n}"), large(n)).unwrap();
        for n in n * 100..(n + 1) * 100 {
            db.put(format!("small {n}"), small(n)).unwrap();
        }
    }
    for n in larges.clone().filter(|n| n % 3 > 0) {
        db.delete(format!("large {n}")).unwrap();
    }
    for n in smalls.clone().filter(|n| n % 3 > 0) {
        db.delete(format!("small {n}")).unwrap();
    }
    db.checkpoint().unwrap();
    db.checkpoint().unwrap();
    // Of 128 extents, 27 hold what is live; so 22 values of 4 extents would leave 13 to the rest.
    let huge = |n: usize| vec![n as u8; 4 * EXTENT - PAGE];
    let fitted = (0..).take_while(|&n| db.put(format!("huge {n}"), huge(n)).is_ok()).count();
    assert!(fitted >= 20, "{fitted} fitted: {}", db.metrics());
    let metrics = db.metrics();
    assert!(metrics.moved_large_bytes > 0);
    assert!(metrics.written.collected > metrics.moved_large_bytes, "small ones were moved as well");
    let has =
        |key: String, value: Vec<u8>| assert!(db.get(&key).unwrap().unwrap() == value, "{key}");
    larges.by_ref().step_by(3).for_each(|n| has(format!("large {n}"), large(n)));
    smalls.by_ref().step_by(3).for_each(|n| has(format!("small {n}"), small(n)));
    (0..fitted).for_each(|n| has(format!("huge {n}"), huge(n)));
}
