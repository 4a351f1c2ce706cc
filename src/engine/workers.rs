//! Threads for what a task asks for and that takes waiting: reads of the device, and writes that are more
//! than a record. They are started as they are needed.

use crate::error::{Error, Result};
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, Thread};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Something to do, or to refuse: it answers either way.
pub(super) type Job = Box<dyn FnOnce(Result<()>) + Send>;

/// At most so many threads that do one job after the other.
pub(super) struct Workers {
    name: &'static str,
    most: usize,
    path: Arc<PathBuf>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: Vec<Thread>,
    idle: usize,
    closing: bool,
}

impl Workers {
    /// At most `most` threads, named `name`; with none, whoever brings a job does it.
    pub(super) fn new(name: &'static str, most: usize, path: &Arc<PathBuf>) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Arc::new(Self { name, most, path: Arc::clone(path), state, changed })
    }

    /// Has `job` done.
    pub(super) fn hand(self: &Arc<Self>, job: Job) {
        match self.see_to_thread() {
            Ok(Some(mut state)) => {
                state.jobs.push_back(job);
                self.changed.notify_one();
            }
            Ok(None) => job(Ok(())),
            Err(error) => job(Err(error)),
        }
    }

    /// Starts another thread if all are at work; where there are to be none, says so.
    fn see_to_thread(self: &Arc<Self>) -> Result<Option<MutexGuard<'_, State>>> {
        if self.most == 0 {
            return Ok(None);
        }
        let mut state = self.state.lock();
        if state.closing {
            return Err(Error::Closed);
        }
        if state.jobs.len() >= state.idle && state.threads.len() < self.most {
            let workers = Arc::clone(self);
            match Thread::start(self.name, move || workers.run()) {
                Ok(thread) => state.threads.push(thread),
                Err(source) if state.threads.is_empty() => {
                    return Err(Error::no_thread(&self.path, source));
                }
                Err(_) => {}
            }
        }
        Ok(Some(state))
    }

    /// Takes no more jobs, and waits for those there are.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closing = true;
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        self.changed.notify_all();
        threads.into_iter().for_each(Thread::join);
    }

    fn run(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                // A panic of the engine's own is answered by what the job drops.
                drop(catch_unwind(AssertUnwindSafe(|| job(Ok(())))));
                state = self.state.lock();
            } else if state.closing {
                return;
            } else {
                state.idle += 1;
                state = self.changed.wait(state);
                state.idle -= 1;
            }
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("name", &self.name).finish_non_exhaustive()
    }
}
