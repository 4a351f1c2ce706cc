//! Durable puts to keys that exist, in a closed loop, while somebody looks.

use super::choice::Choice;
use super::churned::Churned;
use super::noted::Noted;
use super::store::{Memory, Store};
use super::watch::Watch;
use crate::measure::drive::{Limit, drive};
use crate::measure::random::Random;
use crate::measure::sample::Sample;
use crate::progress::Progress;
use anyhow::Result;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any of it takes.
const EVER: Duration = Duration::from_secs(1 << 20);

/// Overwrites keys of `choice` until `bytes` of records have been written. Each `seed` makes other
/// choices. Shows how far it came
/// even where a put fails.
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
            let mut random = Random::new(seed << 32 | thread as u64);
            let mut memory = Memory::default();
            Ok(move |_| {
                let begun = Instant::now();
                store.put(choice, &mut random, &mut memory)?;
                noted.note(thread, begun.elapsed());
                Ok(())
            })
        });
        drop::<mpsc::Sender<()>>(end);
        (puts, watcher.join().expect("a look does not panic"))
    });
    progress.finish();
    let disk_bytes = store.disk.written_bytes().zip(disk_before).map(|(now, then)| now - then);
    (Churned { intervals, disk_bytes }, puts)
}
