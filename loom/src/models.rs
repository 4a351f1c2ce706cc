//! What is to be true of each cell.

use crate::completion::{Completion, Stage};
use crate::error::Error;
use crate::image_size::{Contents, ImageSize};
use crate::readers::Readers;
use crate::sync::{AtomicU64, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::task::{Wake, Waker};

/// A place that a reader found in the index is not used again before the reader has left (G3), and all
/// that it did there is done by then.
pub(crate) fn nothing_is_freed_under_a_reader() {
    let shared = Arc::new((Readers::default(), Mutex::new(1), AtomicU64::new(0)));
    let theirs = Arc::clone(&shared);
    let reader = thread::spawn(move || {
        let (readers, index, at_the_place) = &*theirs;
        let reading = readers.enter();
        let place = *index.lock().unwrap();
        assert!(place != 1 || at_the_place.load(Ordering::Relaxed) == 0, "G3: used again");
        if place == 1 {
            at_the_place.store(1, Ordering::Relaxed);
        }
        drop(reading);
        place
    });
    let (readers, index, at_the_place) = &*shared;
    *index.lock().unwrap() = 2;
    let gone = readers.all_gone();
    while !readers.reach(gone) {
        thread::yield_now();
    }
    let seen = at_the_place.load(Ordering::Relaxed);
    at_the_place.store(2, Ordering::Relaxed);
    let place = reader.join().unwrap();
    assert!(place == 2 || seen == 1, "G3: used again before it was read");
}

/// The same where a look into the index takes no lock.
pub(crate) fn nothing_is_freed_under_a_reader_who_takes_no_lock() {
    let shared = Arc::new((Readers::default(), AtomicU64::new(1), AtomicU64::new(0)));
    let theirs = Arc::clone(&shared);
    let reader = thread::spawn(move || {
        let (readers, index, reused) = &*theirs;
        let _reading = readers.enter();
        let place = index.load(Ordering::SeqCst);
        assert!(place != 1 || reused.load(Ordering::Relaxed) == 0, "G3: used again");
    });
    let (readers, index, reused) = &*shared;
    index.store(2, Ordering::SeqCst);
    let gone = readers.all_gone();
    while !readers.reach(gone) {
        thread::yield_now();
    }
    reused.store(1, Ordering::Relaxed);
    reader.join().unwrap();
}

/// However many come, those that were there are gone at some time.
pub(crate) fn later_readers_are_not_waited_for() {
    let readers = Arc::new(Readers::default());
    let first = readers.enter();
    let gone = readers.all_gone();
    readers.reach(gone);
    let theirs = Arc::clone(&readers);
    let later = thread::spawn(move || std::mem::forget(theirs.enter()));
    drop(first);
    readers.reach(gone);
    later.join().unwrap();
    assert!(readers.reach(gone), "nobody is there who was there then");
}

/// What is measured while the index grows is never more than it was then, less what it had grown by.
pub(crate) fn an_image_is_never_less_than_what_was_measured() {
    const SLICE_BYTES: usize = 4096;
    const LONGEST: u64 = 1 << 20;
    let shared = Arc::new((ImageSize::new(SLICE_BYTES), Mutex::new(0)));
    let theirs = Arc::clone(&shared);
    let writer = thread::spawn(move || {
        let (size, index) = &*theirs;
        *index.lock().unwrap() += 5000;
        size.grow(5000);
    });
    let theirs = Arc::clone(&shared);
    let measurer = thread::spawn(move || {
        let (size, index) = &*theirs;
        size.measure(|| {
            let index_bytes = *index.lock().unwrap();
            Contents { keys: 1, index_bytes, extents: 0, large_values: 0 }
        });
    });
    let (size, _) = &*shared;
    assert!(size.now() < LONGEST, "what was measured is taken with an older growth");
    writer.join().unwrap();
    measurer.join().unwrap();
    assert!(size.after(0) >= 2 && size.now() < LONGEST);
}

/// Who is told that a batch is durable sees what whoever led it did before, and its answers.
pub(crate) fn whoever_waits_sees_what_was_done_before() {
    let shared = Arc::new((Completion::new(), AtomicU64::new(0)));
    let theirs = Arc::clone(&shared);
    let leader = thread::spawn(move || {
        let (batch, done) = &*theirs;
        batch.reach(Stage::Written, &[], |_| ());
        done.store(1, Ordering::Relaxed);
        batch.reach(Stage::Durable, &[true], |_| ());
        // A failure that comes later is none of this batch.
        assert!(batch.fail(Error).is_none());
    });
    let (batch, done) = &*shared;
    assert_eq!(batch.wait(Stage::Written), Ok(()));
    assert_eq!(batch.wait(Stage::Durable), Ok(()));
    assert_eq!(done.load(Ordering::Relaxed), 1, "W2: told before it was so");
    assert_eq!(batch.outcomes(Stage::Durable).as_deref(), Ok(&[true][..]));
    leader.join().unwrap();
}

/// Rings once it is woken.
#[derive(Debug, Default)]
struct Alarm(Mutex<bool>, Condvar);

impl Wake for Alarm {
    fn wake(self: std::sync::Arc<Self>) {
        *self.0.lock().unwrap() = true;
        self.1.notify_one();
    }
}

/// A task that is polled when it is woken, and only then, is woken once its batch is done or has failed.
/// Who is not waits for ever, which loom notices.
pub(crate) fn a_task_is_woken() {
    let batch = Arc::new(Completion::new());
    let (led, failed) = (Arc::clone(&batch), Arc::clone(&batch));
    let leader = thread::spawn(move || {
        led.reach(Stage::Written, &[], |_| ());
        led.reach(Stage::Durable, &[], |_| ());
    });
    let failure = thread::spawn(move || {
        for wakers in failed.fail(Error).into_iter().flatten() {
            wakers.wake();
        }
    });
    let alarm = std::sync::Arc::new(Alarm::default());
    let waker = Waker::from(std::sync::Arc::clone(&alarm));
    let mut slot = None;
    let outcome = loop {
        if let Some(outcome) = batch.poll(Stage::Durable, &waker, &mut slot) {
            break outcome;
        }
        let mut rung = alarm.0.lock().unwrap();
        while !*rung {
            rung = alarm.1.wait(rung).unwrap();
        }
        *rung = false;
    };
    leader.join().unwrap();
    failure.join().unwrap();
    assert_eq!(
        batch.wait(Stage::Durable),
        outcome,
        "a failure is final, and so is what came before it"
    );
}
