//! Operations that nobody waits for yet.

use crate::device::ForkGuard;
use crate::error::{Error, Result};
use crate::seeded::{Bug, seeded};
use crate::sync::{Arc, Condvar, Mutex};
use crate::wal::Ticket;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

/// An operation under way: a future of its result, for any executor, or none.
///
/// The operation began with the call that returned this, whether it is polled or not. Dropping it takes
/// nothing back: a write that was begun takes effect all the same, and only its answer is lost. Two
/// operations that are under way at the same time may take effect in either order, as those of two
/// threads may.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// // A hundred durable puts that share a few flushes, from one thread.
/// let puts: Vec<_> = (0..100).map(|n| db.put_async(format!("key {n}"), "value")).collect();
/// for put in puts {
///     put.wait()?; // Or `put.await?`.
/// }
/// assert_eq!(db.len(), 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "whether it succeeded is only seen by whoever awaits it"]
pub struct Pending<T> {
    state: State<T>,
    fork: ForkGuard,
}

enum State<T> {
    /// Over. `None` once that was told.
    Over(Option<Result<T>>),
    /// A write whose records are in a batch, and what it answers when they are durable.
    InBatch(Ticket, Option<T>),
    /// In the hands of a thread of the engine's.
    Handed(Arc<Shared<T>>),
}

/// Where a thread of the engine's leaves its answer (L3). Dropped without one, it says that there will
/// be none.
pub(crate) struct Slot<T>(Option<Arc<Shared<T>>>);

struct Shared<T>(Mutex<Answer<T>>);

struct Answer<T> {
    answer: Option<State<T>>,
    waker: Option<Waker>,
}

/// Wakes a thread.
#[derive(Default)]
struct Alarm {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl<T> Pending<T> {
    /// One that is over.
    pub(crate) fn over(fork: ForkGuard, result: Result<T>) -> Self {
        Self { state: State::Over(Some(result)), fork }
    }

    /// A write whose records are in a batch.
    pub(crate) fn in_batch(fork: ForkGuard, ticket: Ticket, answer: T) -> Self {
        Self { state: State::InBatch(ticket, Some(answer)), fork }
    }

    /// One that somebody else is to answer for.
    pub(crate) fn handed(fork: ForkGuard) -> (Self, Slot<T>) {
        let shared = Arc::new(Shared(Mutex::new(Answer { answer: None, waker: None })));
        let slot = Slot(Some(Arc::clone(&shared)));
        (Self { state: State::Handed(shared), fork }, slot)
    }

    /// Waits for the result on this thread.
    ///
    /// # Errors
    ///
    /// Those of the operation.
    ///
    /// # Panics
    ///
    /// If it was polled to its end before.
    pub fn wait(self) -> Result<T> {
        if let State::InBatch(ticket, _) = &self.state
            && !self.fork.is_child()
        {
            // It is polled below.
            let _ = ticket.wait();
        }
        self.park()
    }

    /// Waits as an executor would.
    pub(crate) fn park(mut self) -> Result<T> {
        let alarm = Arc::new(Alarm::default());
        let waker = Waker::from(Arc::clone(&alarm));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(result) = Pin::new(&mut self).poll(&mut context) {
                return result;
            }
            alarm.wait();
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;

    /// # Panics
    ///
    /// If it was polled to its end before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if self.fork.is_child() {
            return Poll::Ready(Err(Error::Forked));
        }
        loop {
            let next = match &mut self.state {
                State::Over(result) => {
                    return Poll::Ready(result.take().expect("a future is polled once it is over"));
                }
                State::InBatch(ticket, answer) => match ticket.poll(context.waker()) {
                    None => return Poll::Pending,
                    Some(Ok(())) => State::Over(answer.take().map(Ok)),
                    Some(Err(error)) => State::Over(Some(Err(error))),
                },
                State::Handed(shared) => match shared.poll(context.waker()) {
                    None => return Poll::Pending,
                    Some(answer) => answer,
                },
            };
            self.state = next;
        }
    }
}

// What it answers is never pinned.
impl<T> Unpin for Pending<T> {}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Over(_) => "over",
            State::InBatch(..) => "in a batch",
            State::Handed(_) => "handed over",
        };
        f.debug_struct("Pending").field("state", &state).finish_non_exhaustive()
    }
}

impl<T> Slot<T> {
    /// Answers. The caller holds no lock, as a waker may be called.
    pub(crate) fn fill(mut self, result: Result<T>) {
        self.answer(State::Over(Some(result)));
    }

    /// The records are in a batch now.
    pub(crate) fn enter(mut self, ticket: Ticket, answer: T) {
        self.answer(State::InBatch(ticket, Some(answer)));
    }

    fn answer(&mut self, answer: State<T>) {
        if let Some(shared) = self.0.take() {
            shared.answer(answer);
        }
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        self.answer(State::Over(Some(Err(Error::Panicked))));
    }
}

impl<T> Shared<T> {
    fn answer(&self, mut answer: State<T>) {
        let mut shared = self.0.lock();
        if let (State::InBatch(ticket, _), Some(waker)) = (&mut answer, &shared.waker)
            && ticket.poll(waker).is_none()
        {
            // The batch will wake the task; there is nothing to do for it before.
            shared.waker = None;
        }
        shared.answer = Some(answer);
        let waker = shared.waker.take().filter(|_| !seeded(Bug::TaskNotWoken));
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The answer; `None` if there is none, and `waker` will be woken when there is.
    fn poll(&self, waker: &Waker) -> Option<State<T>> {
        let mut shared = self.0.lock();
        let answer = shared.answer.take();
        if answer.is_none() {
            shared.waker = Some(waker.clone());
        }
        answer
    }
}

impl Alarm {
    /// Waits until it rings.
    fn wait(&self) {
        let mut rung = self.rung.lock();
        while !*rung {
            rung = self.changed.wait(rung);
        }
        *rung = false;
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        *self.rung.lock() = true;
        self.changed.notify_one();
    }
}
