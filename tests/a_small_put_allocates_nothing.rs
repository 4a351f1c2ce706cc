//! A durable put of a small value, in steady state: no memory is allocated by its thread.

#![allow(clippy::unwrap_used)]

use extentdb::Db;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what each thread allocates.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, layout) }
    }
}

fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1; 100]))), 1);
}

#[test]
fn a_durable_put_allocates_nothing() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let db = Db::open(dir.path().join("data.vol")).unwrap();
    let value = [7; 1024];
    let put = |n: u32| db.put((n % 100).to_be_bytes(), value).unwrap();
    (0..300).for_each(put);
    // A histogram that meets a longer latency than ever before grows; nothing else does.
    let counts: Vec<u64> = (0..400).map(|n| allocations(|| put(n))).collect();
    let allocating = counts.iter().filter(|&&count| count > 0).count();
    assert!(allocating <= 8, "{allocating} of 400 puts allocate: {:?}", &counts[..20]);
}
