//! Work that is spread over threads for the time of a call.

use super::{AtomicUsize, Mutex, Ordering};
use std::num::NonZero;
use std::sync::mpsc;
use std::thread::ScopedJoinHandle;

/// Processor cores that threads may use. Asked for once, as the system reads files to tell.
pub(crate) fn cores() -> usize {
    static CORES: AtomicUsize = AtomicUsize::new(0);
    if CORES.load(Ordering::Relaxed) == 0 {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        CORES.store(cores, Ordering::Relaxed);
    }
    CORES.load(Ordering::Relaxed)
}

/// Runs `work` on this thread and on as many others as there are cores besides, and items, to
/// take items from a list. Fewer threads than that are no failure.
pub(crate) fn for_each_parallel<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    for_each_on(cores(), items, work);
}

/// Runs `work` on this thread and on others, `threads` in all or as many as there are items, to
/// take items from a list. Fewer threads than that are no failure.
pub(crate) fn for_each_on<T: Send>(threads: usize, items: Vec<T>, work: impl Fn(T) + Sync) {
    let others = items.len().min(threads).saturating_sub(1);
    let items = Mutex::new(items);
    let take_all = || {
        loop {
            let item = items.lock().pop();
            match item {
                Some(item) => work(item),
                None => return,
            }
        }
    };
    std::thread::scope(|scope| {
        let start = |_| std::thread::Builder::new().spawn_scoped(scope, take_all).ok();
        let others: Vec<_> = (0..others).filter_map(start).collect();
        take_all();
        others.into_iter().for_each(end);
    });
}

/// Waits for a thread, which the scope would do as well, but not so that the thread sanitizer sees it.
fn end<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What both make, at the same time where there is a thread for it.
pub(crate) fn both<A: Send, B>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B,
) -> (A, B) {
    let first = Mutex::new(Some(first));
    let run = || {
        let first = first.lock().take();
        first.map(|first| first())
    };
    std::thread::scope(|scope| {
        let started = std::thread::Builder::new().spawn_scoped(scope, run);
        let made = second();
        let first = started.map_or_else(|_| run(), end);
        (first.expect("one of the two ran it"), made)
    })
}

/// Walks `items`, made up to `ahead` of them ahead where there is a thread for it.
fn for_each_ahead<T: Send, E>(
    items: impl Iterator<Item = T> + Send,
    ahead: usize,
    mut each: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let items = Mutex::new(items);
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(ahead);
        // Ends early once nobody takes items any more.
        let maker = || {
            let sender = sender;
            let mut items = items.lock();
            items.by_ref().map(|item| sender.send(item)).all(|sent| sent.is_ok())
        };
        let maker = std::thread::Builder::new().spawn_scoped(scope, maker);
        let walked = receiver.into_iter().try_for_each(&mut each);
        maker.ok().map(end);
        walked
    })?;
    // Whatever is left, where no thread was to be had.
    let mut items = items.lock();
    items.by_ref().try_for_each(each)
}

/// Walks `items` in order, made up to `ahead` of them ahead, each after `prepare`, which as many threads as
/// there are cores do for `ahead` of them at a time.
pub(crate) fn for_each_prepared<T: Send, P: Send, E>(
    items: impl Iterator<Item = T> + Send,
    ahead: usize,
    prepare: impl Fn(T) -> P + Sync,
    mut each: impl FnMut(P) -> Result<(), E>,
) -> Result<(), E> {
    let mut window = Vec::with_capacity(ahead);
    let mut all = |window: &mut Vec<T>| {
        let prepared: Vec<_> = window.iter().map(|_| Mutex::new(None)).collect();
        let places = window.drain(..).zip(&prepared).collect();
        for_each_parallel(places, |(item, place): (T, &Mutex<Option<P>>)| {
            *place.lock() = Some(prepare(item));
        });
        let mut prepared = prepared.into_iter().filter_map(|place| place.lock().take());
        prepared.try_for_each(&mut each)
    };
    for_each_ahead(items, ahead, |item| {
        window.push(item);
        if window.len() < ahead { Ok(()) } else { all(&mut window) }
    })?;
    all(&mut window)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_prepared_by_many_comes_in_order() {
        for count in [0, 1, 15, 16, 17, 1000] {
            let mut met = Vec::new();
            let walked = for_each_prepared(
                0..count,
                16,
                |item| item * 2,
                |item| {
                    met.push(item);
                    Ok::<_, ()>(())
                },
            );
            assert_eq!(walked, Ok(()));
            assert!(met.iter().copied().eq((0..count).map(|item| item * 2)), "{met:?}");
        }
    }

    #[test]
    fn nothing_comes_after_an_error() {
        let mut met = 0;
        let walked = for_each_prepared(
            0..1000,
            16,
            |item| item,
            |item| {
                met += 1;
                if item == 100 { Err(item) } else { Ok(()) }
            },
        );
        assert_eq!((walked, met), (Err(100), 101));
    }

    #[test]
    #[should_panic(expected = "of an item")]
    fn a_panic_is_passed_on() {
        let prepare = |item| assert_ne!(item, 500, "of an item");
        let _ = for_each_prepared(0..1000, 16, prepare, Ok::<_, ()>);
    }
}
