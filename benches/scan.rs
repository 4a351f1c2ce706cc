//! Scans of keys, and of keys with values from the device, beside as many raw reads one by one; and
//! what snapshots cost.

#![allow(clippy::unwrap_used, reason = "benchmarks fail by panicking")]

mod common;

use common::{PAGE, Random, Raw, VALUE, key, loaded, short};
use criterion::{Criterion, Throughput};
use extentdb::{Durability, Options};

const KEYS: u64 = 20_000;
/// Records of a scan.
const RECORDS: usize = 1000;

fn main() {
    let mut criterion = short();
    scan(&mut criterion);
    snapshot(&mut criterion);
    criterion.final_summary();
}

fn scan(criterion: &mut Criterion) {
    let (dir, db) = loaded(Options::new().cache_bytes(0), KEYS);
    let mut raw = Raw::new(&dir, &db, PAGE);
    let mut group = criterion.benchmark_group("scan of 1000");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let mut random = Random(9);
    group.bench_function("keys", |bencher| {
        bencher.iter(|| {
            let first = key(random.next() % KEYS);
            db.range(first..).keys().take(RECORDS).for_each(|key| drop(key.unwrap()));
        });
    });
    group.bench_function("values", |bencher| {
        bencher.iter(|| {
            let first = key(random.next() % KEYS);
            let entries = db.range(first..).take(RECORDS);
            entries.for_each(|entry| drop(entry.unwrap().value().unwrap()));
        });
    });
    group.bench_function("raw preads of 4 KiB, one by one", |bencher| {
        bencher.iter(|| (0..RECORDS).for_each(|_| raw.read()));
    });
    group.finish();
}

fn snapshot(criterion: &mut Criterion) {
    let (_dir, db) = loaded(Options::new(), KEYS);
    let db = db.with_durability(Durability::Buffered);
    let value = Random(10).bytes(VALUE);
    let mut group = criterion.benchmark_group("snapshot");
    group.bench_function("taken and dropped", |bencher| bencher.iter(|| drop(db.snapshot())));
    let mut random = Random(11);
    let mut put = || db.put(key(random.next() % KEYS), &value).unwrap();
    group.bench_function("buffered put while none is held", |bencher| bencher.iter(&mut put));
    let held = db.snapshot();
    group.bench_function("buffered put while one is held", |bencher| bencher.iter(&mut put));
    drop(held);
    group.finish();
}
