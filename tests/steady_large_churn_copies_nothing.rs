//! Large values are written once as long as what dies makes room for what comes.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Random, disk_dir};
use extentdb::{Durability, Options};

const VALUE: usize = 1 << 20;
const EXTENT: u64 = 2 << 20;
const VOLUME: u64 = 128 * EXTENT;

/// 85 % of the volume is live, and values of 1 MiB are overwritten at random.
#[test]
fn at_85_percent_of_the_volume() {
    let dir = disk_dir();
    let options = Options::new().extent_bytes(EXTENT).volume_bytes(VOLUME);
    let db = options.open(dir.path().join("x.vol")).unwrap();
    let db = db.with_durability(Durability::Written);
    let keys = VOLUME * 85 / 100 / (VALUE as u64 + 4096);
    for key in 0..keys {
        db.put(key.to_be_bytes(), vec![key as u8; VALUE]).unwrap();
    }
    let before = db.metrics();
    let mut random = Random::new(1);
    let mut rounds = vec![0; keys as usize];
    for round in 1..=2 * keys as u32 {
        let key = random.below(keys);
        db.put(key.to_be_bytes(), vec![round as u8; VALUE]).unwrap();
        rounds[key as usize] = round as u8;
    }
    let after = db.metrics();
    assert_eq!(after.moved_large_bytes, 0);
    assert_eq!(after.written.collected, 0);
    let written =
        after.written.log + after.written.large - before.written.log - before.written.large;
    let amplification = written as f64 / (after.record_bytes - before.record_bytes) as f64;
    assert!(amplification <= 1.03, "{amplification}");
    for (key, &round) in (0..keys).zip(&rounds).filter(|(_, round)| **round > 0) {
        let value = db.get(key.to_be_bytes()).unwrap().unwrap();
        assert!(value.iter().all(|&byte| byte == round), "{key}");
    }
}
