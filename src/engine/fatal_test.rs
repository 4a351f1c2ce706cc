//! A failure, or a panic, with others waiting: everybody is answered.

#![allow(clippy::unwrap_used)]

use super::{Background, Engine, Medium};
use crate::db::Db;
use crate::device::{BufferPool, DeviceInfo};
use crate::error::Error;
use crate::options::Options;
use crate::sim::{Fault, Injection, Pages, SimDevice};
use crate::sync::{Arc, AtomicU64, Duration, Ordering};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

/// Whoever takes longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(10);

fn open(device: &SimDevice, options: Options, background: Background) -> Arc<Engine> {
    let medium = Medium {
        device: Arc::new(device.clone()),
        info: DeviceInfo::simulated(false),
        len_bytes: 0,
        pool: BufferPool::new(4 << 20),
    };
    let options = options.extent_bytes(64 << 10).volume_bytes(4 << 20);
    Engine::open_on(medium, &options, background).unwrap()
}

/// What `body` makes, in a thread of its own.
fn apart<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(body()));
    receiver
}

fn fail_next(device: &SimDevice, fault: Fault) {
    device.inject(Injection { at: device.operations(), fault, sticky: true });
}

#[test]
fn a_panic_with_a_batch_in_hand_answers_all_who_are_in_it() {
    let device = SimDevice::new(Pages::zeros(0));
    // Where the task is not told, nor is who closes.
    let db = ManuallyDrop::new(Db::new(open(&device, Options::new(), Background::Manual)));
    let task = db.put_async("one", "of them");
    fail_next(&device, Fault::Panics);
    let leads = Db::clone(&db);
    let led = catch_unwind(AssertUnwindSafe(|| leads.put("another", "leads")));
    assert!(led.is_err(), "it panicked");
    let told = apart(move || task.wait()).recv_timeout(PATIENCE).expect("it is told");
    assert!(matches!(told, Err(Error::Indeterminate { .. } | Error::Poisoned { .. })), "{told:?}");
    assert!(!db.health().is_healthy());
    assert!(db.put("a third", "comes too late").is_err());
}

/// Closes the store where it says that it failed, in the midst of `call`, while its own threads want
/// what that call holds.
fn close_in_the_midst(call: impl FnOnce(&Db) -> Result<(), Error> + Send + 'static) {
    let device = SimDevice::new(Pages::zeros(0));
    let store = Arc::new(OnceLock::<Db>::new());
    let inner = Arc::new(Mutex::new(None::<Arc<Engine>>));
    let closed = Arc::new(AtomicU64::new(0));
    let on_fatal = {
        let (store, inner, closed) = (Arc::clone(&store), Arc::clone(&inner), Arc::clone(&closed));
        move |_: &Error| {
            let engine = inner.lock().unwrap().take().unwrap();
            engine.core.bell.ring();
            engine.core.garbage_bell.ring();
            // They come to where they have to wait.
            std::thread::sleep(Duration::from_millis(100));
            assert!(store.get().unwrap().clone().close().is_err(), "what failed is said");
            closed.fetch_add(1, Ordering::SeqCst);
        }
    };
    // It is the call that meets the failure, not the flusher with a page of evidence.
    let quiet = Options { evidence_after: Duration::from_secs(3600), ..Options::new() };
    // Nothing is collected before it is asked for.
    let quiet = quiet.garbage_ratio(10.0);
    let engine = open(&device, quiet.on_fatal(on_fatal), Background::Threads);
    let db = Db::new(Arc::clone(&engine));
    for round in 0..60_u32 {
        db.put((round % 20).to_be_bytes(), [round as u8; 3000]).unwrap();
    }
    assert!(store.set(db.clone()).is_ok());
    *inner.lock().unwrap() = Some(engine);
    // Nor threads that have the next extents ready.
    std::thread::sleep(Duration::from_millis(100));
    fail_next(&device, Fault::Fails);
    let answer = apart(move || call(&db)).recv_timeout(PATIENCE).expect("nobody waits for ever");
    assert!(answer.is_err());
    // It may have been another thread that met the failure first.
    let begun = Instant::now();
    while closed.load(Ordering::SeqCst) == 0 {
        assert!(begun.elapsed() < PATIENCE, "the close ends");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_store_can_be_closed_where_its_checkpoint_failed() {
    close_in_the_midst(|db| db.checkpoint());
}

#[test]
fn a_store_can_be_closed_where_its_collection_failed() {
    close_in_the_midst(|db| db.collect_garbage());
}

#[test]
fn a_store_can_be_closed_where_its_commit_failed() {
    close_in_the_midst(|db| db.put("a", "put"));
}

#[test]
fn a_store_can_be_closed_where_a_task_failed() {
    close_in_the_midst(|db| db.put_async("a", "task").wait());
}
