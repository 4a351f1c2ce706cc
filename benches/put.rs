//! Durable puts by one writer, each group beside raw writes and flushes of the pages that it takes.

#![allow(clippy::unwrap_used, reason = "benchmarks fail by panicking")]

mod common;

use common::{PAGE, Random, Raw, VALUE, key, short, store};
use criterion::{BatchSize, Criterion, Throughput};
use extentdb::{Options, WriteBatch};

/// Keys that are overwritten in turn.
const KEYS: u64 = 10_000;
/// Records of a batch, and the pages that they take.
const BATCH: usize = 64;
const BATCH_PAGES: usize = 17;
const LARGE: usize = 1 << 20;
/// Large values that are overwritten in turn.
const LARGE_KEYS: u64 = 64;

fn main() {
    let mut criterion = short();
    one(&mut criterion);
    batch(&mut criterion);
    large(&mut criterion);
    criterion.final_summary();
}

/// Lone puts: a page each.
fn one(criterion: &mut Criterion) {
    let (dir, db) = store(Options::new());
    let mut raw = Raw::new(&dir, &db, PAGE);
    let value = Random(3).bytes(VALUE);
    let mut group = criterion.benchmark_group("put 1 KiB, synced");
    let mut number = 0;
    group.bench_function("extentdb", |bencher| {
        bencher.iter(|| {
            number += 1;
            db.put(key(number % KEYS), &value).unwrap();
        });
    });
    group.bench_function("raw 4 KiB write + fdatasync", |bencher| bencher.iter(|| raw.write()));
    group.finish();
}

/// Batches of many records.
fn batch(criterion: &mut Criterion) {
    let (dir, db) = store(Options::new());
    let mut raw = Raw::new(&dir, &db, BATCH_PAGES * PAGE);
    let value = Random(4).bytes(VALUE);
    let mut group = criterion.benchmark_group("batch of 64 x 1 KiB, synced");
    group.throughput(Throughput::Elements(BATCH as u64));
    let (mut number, mut records) = (0, WriteBatch::new());
    group.bench_function("extentdb", |bencher| {
        bencher.iter(|| {
            records.clear();
            for _ in 0..BATCH {
                number += 1;
                records.put(key(number % KEYS), &value);
            }
            db.write(&records).unwrap();
        });
    });
    group.bench_function("raw 68 KiB write + fdatasync", |bencher| bencher.iter(|| raw.write()));
    group.finish();
}

/// Large values in memory that the device reads from.
fn large(criterion: &mut Criterion) {
    let (dir, db) = store(Options::new());
    let mut raw = Raw::new(&dir, &db, LARGE);
    let bytes = Random(5).bytes(LARGE);
    let mut group = criterion.benchmark_group("put_aligned 1 MiB, synced");
    group.throughput(Throughput::Bytes(LARGE as u64));
    let mut number = 0;
    let filled = || {
        let mut value = db.aligned_buf(LARGE).unwrap();
        value.copy_from_slice(&bytes);
        value
    };
    group.bench_function("extentdb", |bencher| {
        bencher.iter_batched(
            filled,
            |value| {
                number += 1;
                db.put_aligned(key(number % LARGE_KEYS), value).unwrap();
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("raw 1 MiB write + fdatasync", |bencher| bencher.iter(|| raw.write()));
    group.finish();
}
