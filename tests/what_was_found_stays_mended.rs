//! Defects that were found once, each by the way in which it showed.

mod support;

use extentdb::{Db, DirectIo, Durability, Options, SyncWindow};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// A writer that waited for room in the window kept the lock that making room takes.
#[test]
fn writers_get_past_a_full_sync_window() {
    let dir = support::directory();
    let window = SyncWindow { bytes: 64 << 10, time: Duration::from_millis(50) };
    let options = Options::new().sync_window(window).max_bytes(2 << 30);
    let db = options.open(dir.path().join("volume")).expect("a volume");
    support::without_hanging("six writers", || {
        let begun = Instant::now();
        thread::scope(|scope| {
            for writer in 0..6u32 {
                let weak = [Durability::Buffered, Durability::Written][writer as usize % 2];
                let db = db.with_durability(weak);
                scope.spawn(move || {
                    for number in 0u32.. {
                        if begun.elapsed() > Duration::from_secs(3) {
                            break;
                        }
                        let key = ((writer << 24) | (number % 5000)).to_be_bytes();
                        db.put(key, [1; 900]).expect("a put");
                    }
                });
            }
        });
    });
}

/// A `Written` delete of a key that a `Buffered` one had removed answered from memory.
#[test]
fn a_written_delete_of_an_absent_key_is_written() {
    let dir = support::directory();
    let (path, copy) = (dir.path().join("volume"), dir.path().join("copy"));
    let window = SyncWindow { bytes: 8 << 20, time: Duration::from_secs(60) };
    let options = Options::new().sync_window(window).direct_io(DirectIo::Off);
    let db = options.open(&path).expect("a volume");
    db.put("k", "v").expect("a put");
    db.with_durability(Durability::Buffered).delete("k").expect("a delete");
    db.with_durability(Durability::Written).delete("k").expect("a delete");
    // What a process killed now would leave.
    fs::copy(&path, &copy).expect("a copy");
    let after = Options::new().open(&copy).expect("a volume");
    assert!(after.get("k").expect("a get").is_none(), "a deleted key is back");
}

/// Opens took the last extents of a full volume one by one, until it did not open.
#[test]
fn a_full_volume_opens_for_ever_and_takes_puts_again_when_it_may_grow() {
    let dir = support::directory();
    let path = dir.path().join("volume");
    let options = Options::new().extent_bytes(16 << 10);
    let small = options.clone().max_bytes(16 * (16 << 10));
    let mut stored = 0u32;
    for round in 0..40 {
        let db = small.open(&path).unwrap_or_else(|error| panic!("open {round}: {error}"));
        while db.put(stored.to_be_bytes(), [1; 1500]).is_ok() {
            stored += 1;
        }
        assert_eq!(db.len(), u64::from(stored), "open {round}");
    }
    let db = options.max_bytes(1 << 20).open(&path).expect("a volume");
    for _ in 0..20 {
        db.put(stored.to_be_bytes(), [1; 1500]).expect("a put, now that there is room");
        stored += 1;
    }
    assert_eq!(db.len(), u64::from(stored));
}

/// A put from a destructor, while its thread unwound from a panic of its own, poisoned the store.
#[test]
fn a_panic_of_the_callers_does_not_poison_the_store() {
    struct PutsOnDrop(Db);
    impl Drop for PutsOnDrop {
        fn drop(&mut self) {
            self.0.put("last words", "put while unwinding").expect("a put");
        }
    }
    let dir = support::directory();
    let db = Db::open(dir.path().join("volume")).expect("a volume");
    let last_words = PutsOnDrop(db.clone());
    let caller = thread::spawn(move || {
        let _last_words = last_words;
        panic!("a panic of the caller's");
    });
    assert!(caller.join().is_err());
    assert!(db.health().is_healthy());
    db.put("k", "v").expect("a put");
    assert_eq!(db.len(), 2);
}
