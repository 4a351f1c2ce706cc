//! Power cuts while several threads commit through the pipe.

use super::device::SimDevice;
use super::image::for_each_image;
use super::random::Random;
use super::trace::{Event, Pages, Trace};
use super::workload::{Model, Shape, open};
use crate::db::Db;
use crate::durability::Durability;
use crate::engine::Background;
use crate::sync::Duration;

const SHAPE: Shape = Shape { extent_pages: 32, max_pages: 4096, fixed: false, large_min: 6000 };
const THREADS: usize = 4;
const OPS: usize = 40;
const KEYS: u64 = 5;
/// Moments of each trace that are opened.
const MOMENTS: usize = 60;
/// Images of each moment that are opened.
const IMAGES: usize = 12;

/// What thread `thread` does as its `at`-th operation: a key of its own, and the value, if any.
fn operation(thread: usize, at: usize, seed: u64) -> (Vec<u8>, Option<Vec<u8>>, Durability) {
    let mut random = Random::new(seed << 32 | (thread * OPS + at) as u64);
    let key = format!("{thread}-{}", random.below(KEYS)).into_bytes();
    let len = [20, 900, 5000, 9000][random.below(4) as usize];
    let value = (random.below(5) > 0).then(|| {
        let mut value = vec![random.next() as u8; len];
        value[..8].copy_from_slice(&((thread * OPS + at) as u64).to_le_bytes());
        value
    });
    let durability = match (seed % 3, random.below(3)) {
        (1, 0) => Durability::Written,
        (2, 0) => Durability::Buffered,
        _ => Durability::Synced,
    };
    (key, value, durability)
}

fn run_threads(device: &SimDevice, seed: u64) {
    let engine = open(device, SHAPE, Background::Threads).unwrap();
    let db = Db::new(engine);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let db = db.clone();
            scope.spawn(move || {
                for at in 0..OPS {
                    let (key, value, durability) = operation(thread, at, seed);
                    let view = db.with_durability(durability);
                    device.note_issue(thread * OPS + at);
                    match value {
                        Some(value) => view.put(key, value).unwrap(),
                        None => view.delete(key).unwrap(),
                    }
                    device.note_ack(thread * OPS + at, durability == Durability::Synced);
                }
            });
        }
    });
    db.close().unwrap();
}

/// Where operation `op` was issued and acked.
fn position(trace: &Trace, wanted: impl Fn(&Event) -> bool) -> Option<usize> {
    trace.events.iter().position(wanted)
}

/// The number of operations of each thread that `found` reflects, or what is wrong with it.
fn prefixes(
    found: &Model,
    trace: &Trace,
    cut: usize,
    seed: u64,
) -> Result<Vec<std::ops::RangeInclusive<usize>>, String> {
    (0..THREADS)
        .map(|thread| {
            let mut least = 0;
            let mut most = 0;
            for event in &trace.events[..cut] {
                match *event {
                    Event::Issue(op) if op / OPS == thread => most = op % OPS + 1,
                    Event::Ack { op, durable: true } if op / OPS == thread => least = op % OPS + 1,
                    _ => {}
                }
            }
            let own = format!("{thread}-").into_bytes();
            let shown: Model = found
                .iter()
                .filter(|(key, _)| key.starts_with(&own))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let mut model = Model::new();
            let mut matches = Vec::new();
            for count in 0..=most {
                if count >= least && model == shown {
                    matches.push(count);
                }
                if count < most {
                    match operation(thread, count, seed) {
                        (key, Some(value), _) => model.insert(key, value),
                        (key, None, _) => model.remove(&key),
                    };
                }
            }
            match (matches.first(), matches.last()) {
                (Some(&first), Some(&last)) => Ok(first..=last),
                _ => Err(format!("thread {thread} shows no state from {least} to {most}")),
            }
        })
        .collect()
}

/// P2 across threads: what was acked before a recovered operation was issued is recovered too.
fn check_no_holes(
    prefixes: &[std::ops::RangeInclusive<usize>],
    trace: &Trace,
) -> Result<(), String> {
    for (thread, prefix) in prefixes.iter().enumerate() {
        // The last operation that must be there, whichever prefix it is.
        let Some(last) = prefix.start().checked_sub(1) else { continue };
        let op = thread * OPS + last;
        let issued = position(trace, |event| *event == Event::Issue(op)).unwrap_or(0);
        for (other, limit) in prefixes.iter().enumerate() {
            let acked = trace.events[..issued].iter().filter_map(|event| match *event {
                Event::Ack { op, .. } if op / OPS == other => Some(op % OPS + 1),
                _ => None,
            });
            let acked = acked.max().unwrap_or(0);
            if acked > *limit.end() {
                return Err(format!(
                    "operation {last} of thread {thread} is there, {} of thread {other}, acked \
                     before it was issued, is not",
                    acked - 1
                ));
            }
        }
    }
    Ok(())
}

fn verify(image: Pages, trace: &Trace, cut: usize, seed: u64) -> Result<(), String> {
    let device = SimDevice::new(image);
    let engine =
        open(&device, SHAPE, Background::Manual).map_err(|e| format!("does not open: {e}"))?;
    let db = Db::new(engine);
    let mut found = Model::new();
    for entry in db.iter() {
        let entry = entry.map_err(|e| e.to_string())?;
        let value = entry.value().map_err(|e| e.to_string())?;
        found.insert(entry.key().to_vec(), value.into_vec());
    }
    crate::device::Device::close(&device);
    check_no_holes(&prefixes(&found, trace, cut, seed)?, trace)
}

#[test]
fn power_cuts_between_threads_keep_every_acknowledged_write() {
    let mut images = 0;
    for seed in 0..12 {
        let device = SimDevice::new(Pages::zeros(0)).with_latency(Duration::from_micros(30));
        run_threads(&device, seed);
        let trace = device.trace();
        let mut random = Random::new(seed);
        for _ in 0..MOMENTS {
            let cut = random.below(trace.events.len() as u64 + 1) as usize;
            let moment = trace.moment(cut);
            let mut all = Vec::new();
            for_each_image(&moment, &mut random, &mut |image| all.push(image));
            let step = all.len().div_ceil(IMAGES);
            for image in all.into_iter().step_by(step) {
                images += 1;
                if let Err(what) = verify(image, &trace, cut, seed) {
                    panic!("seed {seed}, cut after event {cut} of {}: {what}", trace.events.len());
                }
            }
        }
    }
    println!("{images} images");
}
