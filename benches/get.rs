//! Gets of 1 KiB by one reader, from the device and from the cache, beside raw reads of a page.

#![allow(clippy::unwrap_used, reason = "benchmarks fail by panicking")]

mod common;

use common::{PAGE, Random, Raw, key, loaded, short};
use criterion::{Criterion, Throughput};
use extentdb::Options;

const KEYS: u64 = 20_000;
/// Keys of a multi-get.
const MANY: usize = 32;

fn main() {
    let mut criterion = short();
    one(&mut criterion);
    many(&mut criterion);
    criterion.final_summary();
}

fn one(criterion: &mut Criterion) {
    let (dir, cold) = loaded(Options::new().cache_bytes(0), KEYS);
    let mut raw = Raw::new(&dir, &cold, PAGE);
    let (_hot_dir, hot) = loaded(Options::new(), KEYS);
    // What is read again enters the cache.
    for number in (0..KEYS).chain(0..KEYS) {
        hot.get(key(number)).unwrap().unwrap();
    }
    let mut group = criterion.benchmark_group("get 1 KiB");
    for (name, db) in [("extentdb, cold", &cold), ("extentdb, hot", &hot)] {
        let mut random = Random(6);
        group.bench_function(name, |bencher| {
            bencher.iter(|| db.get(key(random.next() % KEYS)).unwrap().unwrap());
        });
    }
    group.bench_function("raw pread of 4 KiB", |bencher| bencher.iter(|| raw.read()));
    let mut random = Random(7);
    group.bench_function("extentdb, absent", |bencher| {
        bencher.iter(|| hot.get(key(KEYS + random.next() % KEYS)).unwrap());
    });
    group.finish();
}

fn many(criterion: &mut Criterion) {
    let (dir, db) = loaded(Options::new().cache_bytes(0), KEYS);
    let mut raw = Raw::new(&dir, &db, PAGE);
    let mut group = criterion.benchmark_group("multi_get of 32 x 1 KiB, cold");
    group.throughput(Throughput::Elements(MANY as u64));
    let mut random = Random(8);
    group.bench_function("extentdb", |bencher| {
        bencher.iter(|| {
            let keys: [_; MANY] = std::array::from_fn(|_| key(random.next() % KEYS));
            db.multi_get(&keys).into_iter().for_each(|value| drop(value.unwrap().unwrap()));
        });
    });
    group.bench_function("raw preads of 4 KiB, one by one", |bencher| {
        bencher.iter(|| (0..MANY).for_each(|_| raw.read()));
    });
    group.finish();
}
