//! Puts that arrive at a given rate while one thread gets keys.

use crate::churn::choice::Choice;
use crate::churn::client::Client;
use crate::churn::counters::Counters;
use crate::churn::store::Store;
use crate::measure::drive::{Limit, drive};
use crate::measure::open_loop::{self, Arrivals};
use crate::measure::sample::{Sample, Summary};
use anyhow::{Error, Result};
use extentdb::Metrics;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

/// Part of the time that goes before: while it had no turn, the store has got ahead of its garbage.
const WARM_PART: u32 = 4;
/// How often a slice is measured at most.
const ATTEMPTS: usize = 5;

/// What a slice has shown.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) get: Summary,
    pub(super) put: Summary,
    pub(super) written: Counters,
    /// What the store did.
    pub(super) metrics: Metrics,
}

/// As [`measure`]; again where nothing was collected, as that shows nothing.
pub(super) fn measure_collecting(
    store: &Store,
    choice: &Choice,
    arrivals: Arrivals,
) -> Result<Slice> {
    let mut slice = measure(store, choice, arrivals)?;
    for _ in 1..ATTEMPTS {
        if slice.written.collected > 0 {
            break;
        }
        slice = measure(store, choice, arrivals)?;
    }
    Ok(slice)
}

/// Measures for as long as puts arrive.
pub(super) fn measure(store: &Store, choice: &Choice, arrivals: Arrivals) -> Result<Slice> {
    run(store, choice, Arrivals { time: arrivals.time / WARM_PART, ..arrivals })?;
    let before = store.db.metrics();
    let (get, put) = run(store, choice, arrivals)?;
    let metrics = store.db.metrics().since(&before);
    let written = Counters::of(&metrics);
    let bytes = store.plan.value_bytes;
    Ok(Slice { get: get.summary(bytes), put: put.summary(bytes), written, metrics })
}

/// Gets and puts.
fn run(store: &Store, choice: &Choice, arrivals: Arrivals) -> Result<(Sample, Sample)> {
    beside_gets(store, choice, (arrivals.seed, arrivals.time), || {
        let always = AtomicBool::new(false);
        let puts =
            open_loop::run(open_loop::threads(store.plan.writers), arrivals, &always, |thread| {
                let mut client = Client::new(store, choice, arrivals.seed << 32 | thread as u64);
                move || client.put()
            });
        Ok(puts?.quiet)
    })
}

/// What `puts` gives, and one thread's gets beside it: of a seed, for some time.
pub(super) fn beside_gets(
    store: &Store,
    choice: &Choice,
    (seed, time): (u64, Duration),
    puts: impl FnOnce() -> Result<Sample>,
) -> Result<(Sample, Sample)> {
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            drive(1, Limit::time(time), |_| {
                let mut client = Client::new(store, choice, seed << 32 | u64::from(u32::MAX));
                Ok(move |_| client.get())
            })
        });
        let puts = puts();
        let gets = reader.join().unwrap_or_else(|_| Err(Error::msg("a thread panicked")));
        Ok((gets?, puts?))
    })
}
