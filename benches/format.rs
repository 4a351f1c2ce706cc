//! What a put and a get do to bytes: records, pages, checksums.

mod common;

use common::{PAGE, Random, VALUE, key, short};
use criterion::{Criterion, Throughput};
use extentdb::internals;
use std::hint::black_box;

fn main() {
    let mut criterion = short();
    record(&mut criterion);
    page(&mut criterion);
    criterion.final_summary();
}

fn record(criterion: &mut Criterion) {
    let (key, value) = (key(1), Random(12).bytes(VALUE));
    let mut group = criterion.benchmark_group("record of 1 KiB");
    let mut stream = Vec::with_capacity(2 * VALUE);
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            stream.clear();
            internals::encode_put(&key, black_box(&value), &mut stream);
        });
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| internals::decode_put(black_box(&stream)));
    });
    group.finish();
}

fn page(criterion: &mut Criterion) {
    let mut page = Random(13).bytes(PAGE);
    let mut group = criterion.benchmark_group("log page");
    group.throughput(Throughput::Bytes(PAGE as u64));
    group.bench_function("seal", |bencher| bencher.iter(|| internals::seal_page(&mut page)));
    assert!(internals::open_page(&page), "a page that was sealed is open");
    group.bench_function("open", |bencher| {
        bencher.iter(|| internals::open_page(black_box(&page)));
    });
    group.bench_function("checksum alone", |bencher| {
        bencher.iter(|| internals::checksum(black_box(&page)));
    });
    group.finish();
}
