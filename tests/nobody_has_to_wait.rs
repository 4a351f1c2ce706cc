//! Operations that return before they are done: tasks are woken once they are, however they end.

#![allow(clippy::unwrap_used)]

mod common;

use common::{disk_dir, noise, role, small_extents};
use extentdb::{AlignedBuf, Db, Durability, Error, Options, Pending, SyncWindow, WriteBatch};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const MODES: [Durability; 3] = [Durability::Synced, Durability::Written, Durability::Buffered];

/// An executor of one task: polls only when it was woken.
#[derive(Default)]
struct Bell {
    woken: Mutex<bool>,
    changed: Condvar,
    count: AtomicUsize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.count.fetch_add(1, Ordering::SeqCst);
        *self.woken.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        let woken = bell.woken.lock().unwrap();
        let patience = Duration::from_secs(60);
        let (mut woken, timeout) =
            bell.changed.wait_timeout_while(woken, patience, |woken| !*woken).unwrap();
        assert!(!timeout.timed_out(), "nobody woke the task");
        *woken = false;
    }
}

/// Executors move tasks between threads.
#[test]
fn a_pending_operation_can_be_sent() {
    fn moves<T: Send + Unpin + 'static>(_: T) {}
    let dir = disk_dir();
    let db = Db::open(dir.path().join("data.vol")).unwrap();
    moves(db.put_async("k", "v"));
    moves(db.get_async("k"));
}

fn is_over<T>(pending: &mut Pending<T>) -> bool {
    Pin::new(pending).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn every_operation_means_what_its_blocking_twin_means() {
    let dir = disk_dir();
    let db = Db::open(dir.path().join("data.vol")).unwrap();
    for (n, durability) in MODES.into_iter().enumerate() {
        let db = db.with_durability(durability);
        let (small, large) = (format!("small {n}"), format!("large {n}"));
        let long = noise(n as u64, 100_000);
        block_on(async {
            db.put_async(&small, "value").await.unwrap();
            db.put_async(&large, &long).await.unwrap();
            assert_eq!(db.get_async(&small).await.unwrap().unwrap(), *b"value");
            assert_eq!(db.get_async(&large).await.unwrap().unwrap(), long);
            assert_eq!(db.get_async("absent").await.unwrap(), None);
            let part = db.get_range_async(&large, 50_000, 100).await.unwrap().unwrap();
            assert_eq!(part[..], long[50_000..50_100]);
            assert!(!db.put_if_absent_async(&small, "other").await.unwrap());
            let swapped = db.compare_and_swap_async(&small, Some(b"value"), Some(b"new"));
            assert_eq!(swapped.await.unwrap(), Ok(()));
            let lost = db.compare_and_swap_async(&small, Some(b"value"), None).await.unwrap();
            assert_eq!(lost.unwrap_err().current.unwrap(), *b"new");
            let values = db.multi_get_async(&[&small, "absent"]).await.unwrap();
            assert!(matches!(&values[..], [Ok(Some(value)), Ok(None)] if *value == *b"new"));
            let mut batch = WriteBatch::new();
            batch.put(&small, "newest");
            batch.delete(&large);
            batch.put(format!("aligned {n}"), &long);
            db.write_async(&batch).await.unwrap();
            let aligned = AlignedBuf::from_slice(&long).unwrap();
            db.put_aligned_async(&large, aligned).await.unwrap();
            db.delete_async(&large).await.unwrap();
            db.delete_async(&large).await.unwrap();
            db.write_async(&WriteBatch::new()).await.unwrap();
            db.sync_async().await.unwrap();
        });
        assert_eq!(db.get(&small).unwrap().unwrap(), *b"newest");
        assert_eq!(db.get(&large).unwrap(), None);
    }
    assert_eq!(db.len(), 6);
    db.check().unwrap();
}

#[test]
fn arguments_are_refused_as_elsewhere() {
    let dir = disk_dir();
    let db = small_extents().open(dir.path().join("data.vol")).unwrap();
    assert!(matches!(db.put_async("", "v").wait(), Err(Error::EmptyKey)));
    assert!(matches!(db.delete_async("").wait(), Err(Error::EmptyKey)));
    let too_long = db.put_async(vec![1; 65_536], "v").wait();
    assert!(matches!(too_long, Err(Error::KeyTooLong { len: 65_536 })));
    let mut batch = WriteBatch::new();
    (0..100u32).for_each(|n| batch.put(n.to_be_bytes(), vec![1; 1000]));
    assert!(matches!(db.write_async(&batch).wait(), Err(Error::BatchTooLarge { .. })));
    assert!(db.is_empty());
}

#[test]
fn a_thousand_puts_of_one_thread_share_their_flushes() {
    let dir = disk_dir();
    let db = Db::open(dir.path().join("data.vol")).unwrap();
    let before = db.metrics().barriers;
    let puts: Vec<_> = (0..1000u32).map(|n| db.put_async(n.to_be_bytes(), [7; 100])).collect();
    for put in puts {
        block_on(put).unwrap();
    }
    assert_eq!(db.len(), 1000);
    let flushes = db.metrics().barriers - before;
    assert!(flushes < 300, "{flushes} flushes");
    assert_eq!(db.metrics().puts, 1000);
}

#[test]
fn dropping_takes_nothing_back() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = Db::open(&path).unwrap();
    for n in 0..100u32 {
        let len = if n % 10 == 0 { 100_000 } else { 50 };
        drop(db.put_async(n.to_be_bytes(), noise(n.into(), len)));
    }
    db.close().unwrap();
    assert_eq!(Db::open(&path).unwrap().len(), 100);
}

#[test]
fn what_is_under_way_at_close_is_done_first() {
    for round in 0..10 {
        let dir = disk_dir();
        let path = dir.path().join("data.vol");
        let db = small_extents().open(&path).unwrap();
        let len = [100, 10_000, 60_000][round % 3];
        let puts: Vec<_> =
            (0..200u32).map(|n| db.put_async(n.to_be_bytes(), noise(n.into(), len))).collect();
        let gets: Vec<_> = (0..10u32).map(|n| db.get_async(n.to_be_bytes())).collect();
        let other = db.clone();
        db.close().unwrap();
        puts.into_iter().for_each(|put| block_on(put).unwrap());
        gets.into_iter().for_each(|get| drop(block_on(get).unwrap()));
        assert!(matches!(block_on(other.put_async("k", "v")), Err(Error::Closed)));
        assert!(matches!(block_on(other.get_async("k")), Err(Error::Closed)));
        drop(other);
        let db = small_extents().open(&path).unwrap();
        for n in 0..200u32 {
            assert_eq!(db.get(n.to_be_bytes()).unwrap().unwrap(), noise(n.into(), len));
        }
    }
}

#[test]
fn the_last_handle_may_go_while_they_are_under_way() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = Db::open(&path).unwrap();
    let puts: Vec<_> = (0..100u32).map(|n| db.put_async(n.to_be_bytes(), [1; 10])).collect();
    drop(db);
    for put in puts {
        block_on(put).unwrap();
    }
    assert_eq!(Db::open(&path).unwrap().len(), 100);
}

#[test]
fn a_full_volume_refuses_tasks_and_lets_them_delete() {
    let dir = disk_dir();
    let options = Options::new().extent_bytes(64 << 10).volume_bytes(2 << 20);
    let db = options.open(dir.path().join("data.vol")).unwrap();
    let put = |n: u32| db.put_async(n.to_be_bytes(), noise(n.into(), 500));
    let outcomes: Vec<_> = (0..8000u32).map(put).collect();
    let outcomes: Vec<_> = outcomes.into_iter().map(block_on).collect();
    let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(stored > 100, "{stored} stored");
    assert_eq!(db.len(), stored as u64);
    for (n, outcome) in outcomes.iter().enumerate() {
        let value = db.get((n as u32).to_be_bytes()).unwrap();
        match outcome {
            Ok(()) => assert_eq!(value.unwrap(), noise(n as u64, 500)),
            Err(Error::Full { .. }) => assert_eq!(value, None),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(stored < 8000, "it never filled");
    let deletes: Vec<_> = (0..8000u32).map(|n| db.delete_async(n.to_be_bytes())).collect();
    deletes.into_iter().for_each(|delete| block_on(delete).unwrap());
    assert!(db.is_empty());
    block_on(put(1)).unwrap();
}

#[test]
fn a_full_window_keeps_the_task_waiting_and_not_its_thread() {
    let dir = disk_dir();
    let window = SyncWindow { bytes: 20_000, time: Duration::from_secs(3600) };
    let db = Options::new().sync_window(window).open(dir.path().join("data.vol")).unwrap();
    let fast = db.with_durability(Durability::Buffered);
    fast.put_async("first", "v").wait().unwrap();
    // Far more than the window: each that does not fit waits for a flush.
    let mut puts: Vec<_> =
        (0..200u32).map(|n| fast.put_async(n.to_be_bytes(), [7; 1000])).collect();
    assert!(is_over(&mut puts[0]), "acknowledged from memory");
    for put in puts.into_iter().skip(1) {
        block_on(put).unwrap();
    }
    assert_eq!(db.len(), 201);
}

/// What a waker may do: anything. It uses the store, which holds no lock meanwhile.
struct Meddler {
    db: Db,
    done: AtomicBool,
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        self.db.put_async("by the waker", "v").wait().unwrap();
        self.db.get("by the waker").unwrap().unwrap();
        self.done.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_waker_may_use_the_store() {
    let dir = disk_dir();
    let db = Db::open(dir.path().join("data.vol")).unwrap();
    let meddler = Arc::new(Meddler { db: db.clone(), done: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&meddler));
    // By a thread that waits in the same batch, or by one of the engine's: the first that leads it.
    let mut put = db.with_durability(Durability::Buffered).put_async("k", noise(1, 1 << 20));
    let polled = Pin::new(&mut put).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending() || is_over(&mut db.get_async("k")));
    let mut put = db.put_async("k", "v");
    if Pin::new(&mut put).poll(&mut Context::from_waker(&waker)).is_pending() {
        for _ in 0..6000 {
            if meddler.done.load(Ordering::SeqCst) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(meddler.done.load(Ordering::SeqCst), "the waker is stuck");
    }
    assert!(is_over(&mut put));
}

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

#[test]
fn a_waker_that_panics_harms_nobody_else() {
    let dir = disk_dir();
    let db = Db::open(dir.path().join("data.vol")).unwrap();
    let waker = Waker::from(Arc::new(Panicking));
    let bell = Arc::new(Bell::default());
    let mut puts: Vec<_> = (0..50u32).map(|n| db.put_async(n.to_be_bytes(), [7; 100])).collect();
    for (n, put) in puts.iter_mut().enumerate() {
        let waker = if n % 2 == 0 { waker.clone() } else { Waker::from(Arc::clone(&bell)) };
        let _ = Pin::new(put).poll(&mut Context::from_waker(&waker));
    }
    db.put("other", "v").unwrap();
    assert!(puts.iter_mut().all(|put| block_on(put).is_ok()), "they are done");
    db.get_async(0u32.to_be_bytes()).wait().unwrap().unwrap();
    assert!(db.health().is_healthy());
}

/// A task that is polled again with another waker is woken by the last.
#[test]
fn the_last_waker_counts() {
    let dir = disk_dir();
    let db = Db::open(dir.path().join("data.vol")).unwrap();
    for n in 0..200u32 {
        let bells: [_; 3] = std::array::from_fn(|_| Arc::new(Bell::default()));
        let mut put = db.put_async(n.to_be_bytes(), [7; 100]);
        // It is not polled again once it is over.
        let is_pending = bells.iter().all(|bell| {
            let waker = Waker::from(Arc::clone(bell));
            Pin::new(&mut put).poll(&mut Context::from_waker(&waker)).is_pending()
        });
        if is_pending {
            let last = bells[2].woken.lock().unwrap();
            let patience = Duration::from_secs(60);
            let (woken, _) =
                bells[2].changed.wait_timeout_while(last, patience, |woken| !*woken).unwrap();
            assert!(*woken, "the last was not woken");
            assert!(is_over(&mut put));
        }
    }
}

/// Many tasks of two threads beside writers that wait: all that was acknowledged is there.
#[test]
fn tasks_and_threads_share_batches() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = small_extents().open(&path).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let db = db.clone();
            scope.spawn(move || {
                let key = |n: u32| (thread << 16 | n).to_be_bytes();
                if thread < 2 {
                    (0..300).for_each(|n| db.put(key(n), noise(n.into(), 700)).unwrap());
                    return;
                }
                let puts: Vec<_> =
                    (0..1500).map(|n| db.put_async(key(n), noise(n.into(), 700))).collect();
                puts.into_iter().for_each(|put| block_on(put).unwrap());
            });
        }
    });
    assert_eq!(db.len(), 3600);
    db.check().unwrap();
    db.close().unwrap();
    assert_eq!(Db::open(&path).unwrap().len(), 3600);
}

/// A child that inherits a task is told so, though the threads that would answer are not there.
#[test]
fn a_forked_child_is_told_of_its_tasks() {
    let Some(path) = role() else {
        let dir = disk_dir();
        let path = dir.path().join("data.vol");
        let status = common::again("a_forked_child_is_told_of_its_tasks", path.to_str().unwrap())
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
        return;
    };
    let db = Db::open(path).unwrap();
    let put = db.put_async("large", vec![1; 4 << 20]);
    let small = db.put_async("small", "v");
    // SAFETY: the child only polls what it has and ends.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let told =
            matches!(put.wait(), Err(Error::Forked)) && matches!(small.wait(), Err(Error::Forked));
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(i32::from(!told)) };
    }
    let mut status = 0;
    // SAFETY: `status` is a live local.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0);
    put.wait().unwrap();
    small.wait().unwrap();
}
