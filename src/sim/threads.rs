//! Power cuts while several threads commit through the pipe.

use super::device::SimDevice;
use super::history::{Changes, History, check_no_holes, op_number, own_key};
use super::image::for_each_image;
use super::random::Random;
use super::tell;
use super::trace::{Pages, Trace};
use super::workload::{Model, Shape, open};
use crate::db::Db;
use crate::durability::Durability;
use crate::engine::Background;
use crate::sync::Duration;

const SHAPE: Shape =
    Shape { extent_pages: 32, max_pages: 4096, fixed: false, large_min: 6000, discards: false };
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
    let key = own_key(thread, random.below(KEYS));
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
                    device.note_issue(op_number(thread, at));
                    match (value, at % 3) {
                        (Some(value), 0) => view.put_async(key, value).park().unwrap(),
                        (None, 0) => view.delete_async(key).park().unwrap(),
                        (Some(value), _) => view.put(key, value).unwrap(),
                        (None, _) => view.delete(key).unwrap(),
                    }
                    device.note_ack(op_number(thread, at), durability == Durability::Synced);
                }
            });
        }
    });
    db.close().unwrap();
}

fn history(seed: u64) -> History {
    let changes = |thread, at| -> Changes {
        let (key, value, _) = operation(thread, at, seed);
        vec![(key, value)]
    };
    let threads = (0..THREADS).map(|thread| (0..OPS).map(|at| changes(thread, at)).collect());
    History::new(&threads.collect::<Vec<_>>())
}

fn verify(image: Pages, trace: &Trace, cut: usize, history: &History) -> Result<(), String> {
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
    let allowed = history.after_power_cut(&trace.events[..cut]);
    check_no_holes(&history.matching(&found, None, &allowed)?, &trace.events)
}

#[test]
fn power_cuts_between_threads_keep_every_acknowledged_write() {
    let mut images = 0;
    for seed in 0..12 {
        let device = SimDevice::new(Pages::zeros(0)).with_latency(Duration::from_micros(30));
        run_threads(&device, seed);
        let history = history(seed);
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
                if let Err(what) = verify(image, &trace, cut, &history) {
                    panic!("seed {seed}, cut after event {cut} of {}: {what}", trace.events.len());
                }
            }
        }
    }
    tell(&format!("power cuts between threads: {images} images"));
}
