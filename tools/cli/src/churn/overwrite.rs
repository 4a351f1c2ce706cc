//! Durable puts to keys that exist, in a closed loop, while somebody looks.

use super::choice::Choice;
use super::churned::Churned;
use super::client::Client;
use super::noted::Noted;
use super::store::Store;
use super::watch::Watch;
use crate::measure::drive::{Limit, drive};
use crate::measure::sample::Sample;
use crate::progress::Progress;
use anyhow::Result;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any of it takes.
const EVER: Duration = Duration::from_secs(1 << 20);

/// Overwrites keys of `choice` until `bytes` of records have been written. Each `seed` makes other
/// choices. Where a put fails, how far it came is shown all the same.
pub(super) fn overwrite(
    store: &Store,
    choice: &Choice,
    bytes: u64,
    seed: u64,
) -> (Churned, Result<Sample>) {
    let progress = Progress::bytes("churning,", bytes);
    let threads = usize::from(store.plan.writers);
    let noted = &Noted::new(threads);
    let limit = Limit { time: EVER, ops: bytes.div_ceil(store.record_bytes()) };
    let disk_before = store.disk.written_bytes();
    let (puts, intervals) = thread::scope(|scope| {
        let (end, over) = mpsc::channel();
        let watch = Watch::new(&store.db, noted);
        let watcher =
            scope.spawn(|| watch.run(over, |interval| progress.set(interval.total.records)));
        let puts = drive(threads, limit, |thread| {
            let mut client = Client::new(store, choice, seed << 32 | thread as u64);
            Ok(move |_| {
                let begun = Instant::now();
                client.put()?;
                noted.note(thread, begun.elapsed());
                Ok(())
            })
        });
        drop::<mpsc::Sender<()>>(end);
        (puts, watcher.join().expect("a look does not panic"))
    });
    progress.finish();
    let disk_bytes = store.disk.written_bytes() - disk_before;
    (Churned { intervals, disk_bytes }, puts)
}
