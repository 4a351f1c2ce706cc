//! The index beside the standard library's map: inserts as a batch is applied, and gets.

mod common;

use common::{key, short};
use criterion::{Criterion, Throughput};
use extentdb::internals::Index;
use std::collections::BTreeMap;

const KEYS: u64 = 1_000_000;
/// Keys of a batch.
const BATCH: u64 = 64;

fn main() {
    let mut criterion = short();
    let (index, mut map) = (Index::default(), BTreeMap::new());
    for first in (0..KEYS).step_by(BATCH as usize) {
        let keys: Vec<_> = (first..first + BATCH).map(key).collect();
        index.insert(&keys, first);
        map.extend(keys.into_iter().map(|key| (key, first)));
    }
    get(&mut criterion, &index, &map);
    insert(&mut criterion, &index, &mut map);
    criterion.final_summary();
}

fn get(criterion: &mut Criterion, index: &Index, map: &BTreeMap<[u8; 16], u64>) {
    let mut group = criterion.benchmark_group("index get of 10^6 keys");
    let (mut one, mut other) = (0, 0);
    // Numbers in order are keys in no order.
    group.bench_function("index", |bencher| {
        bencher.iter(|| {
            one = (one + 1) % KEYS;
            index.contains(&key(one))
        });
    });
    group.bench_function("BTreeMap", |bencher| {
        bencher.iter(|| {
            other = (other + 1) % KEYS;
            map.get(&key(other)).copied()
        });
    });
    group.finish();
}

fn insert(criterion: &mut Criterion, index: &Index, map: &mut BTreeMap<[u8; 16], u64>) {
    let mut group = criterion.benchmark_group("index insert of 64 into 10^6 keys");
    group.throughput(Throughput::Elements(BATCH));
    let (mut one, mut other) = (KEYS, KEYS);
    group.bench_function("index", |bencher| {
        bencher.iter(|| {
            let keys: [_; BATCH as usize] = std::array::from_fn(|n| key(one + n as u64));
            one += BATCH;
            index.insert(&keys, one);
        });
    });
    group.bench_function("BTreeMap", |bencher| {
        bencher.iter(|| {
            let keys: [_; BATCH as usize] = std::array::from_fn(|n| key(other + n as u64));
            other += BATCH;
            map.extend(keys.into_iter().map(|key| (key, other)));
        });
    });
    group.finish();
}
