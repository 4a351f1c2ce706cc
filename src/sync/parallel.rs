//! Work that is spread over threads for the time of a call.

use super::Mutex;
use std::sync::{OnceLock, mpsc};

/// Processor cores that threads may use. Asked for once, as the system reads files to tell.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
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
        for _ in 0..others {
            drop(std::thread::Builder::new().spawn_scoped(scope, take_all));
        }
        take_all();
    });
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
        let first = match started.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(first)) => first,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => run(),
        };
        (first.expect("one of the two ran it"), made)
    })
}

/// Walks `items`, made up to `ahead` of them ahead where there is a thread for it.
pub(crate) fn for_each_ahead<T: Send, E>(
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
        drop(std::thread::Builder::new().spawn_scoped(scope, maker));
        receiver.into_iter().try_for_each(&mut each)
    })?;
    // Whatever is left, where no thread was to be had.
    let mut items = items.lock();
    items.by_ref().try_for_each(each)
}
