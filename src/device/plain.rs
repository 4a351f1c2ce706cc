//! Reads that are issued together, by threads: what io_uring does, where it cannot be had.

use super::{READS_IN_FLIGHT, ReadDone, ReadRequest};
use crate::sync::{Mutex, for_each_on};
use std::io;

/// Threads that read at once, the calling one included.
const THREADS: usize = 8;

/// Fewer reads than this are over before threads for them have started.
const WORTH_THREADS: usize = 4;

/// Does all `requests` by `read`.
pub(super) fn read_many(
    requests: &mut dyn Iterator<Item = ReadRequest>,
    done: &mut ReadDone<'_, io::Error>,
    read: impl Fn(&mut ReadRequest) -> io::Result<()> + Sync,
) {
    loop {
        let mut some: Vec<_> = requests.take(READS_IN_FLIGHT).collect();
        if some.is_empty() {
            return;
        }
        if some.len() < WORTH_THREADS {
            for mut request in some {
                let outcome = read(&mut request);
                done(request, outcome);
            }
            continue;
        }
        let threads = THREADS.min(some.len() / 2);
        let outcomes = Mutex::new(Vec::with_capacity(some.len()));
        // They are taken from the end.
        some.reverse();
        for_each_on(threads, some, |mut request| {
            let outcome = read(&mut request);
            outcomes.lock().push((request, outcome));
        });
        let outcomes = std::mem::take(&mut *outcomes.lock());
        outcomes.into_iter().for_each(|(request, outcome)| done(request, outcome));
    }
}
