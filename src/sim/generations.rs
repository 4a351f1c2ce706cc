//! T1b: random workloads across several crashes: what one recovery showed is where the next
//! workload starts. A crash may come in a recovery, too.

use super::canonical::{FIXED, SMALL, TINY};
use super::device::SimDevice;
use super::image::for_each_image;
use super::oracle::{Promise, verify, verify_progress};
use super::random::{Random, seeds};
use super::tell;
use super::trace::{Pages, Trace};
use super::workload::{Model, Session, Shape, random_ops};
use crate::error::Error;

/// Seeds of an ordinary run, unless `EXTENTDB_SEEDS` asks for another number.
const SEEDS: u64 = 4000;
/// Crashes of each.
const GENERATIONS: usize = 4;
const OPS: usize = 10;

/// What a crash left, and what it may show.
struct Crashed {
    image: Pages,
    states: Vec<Model>,
    promise: Promise,
}

/// Any image of any moment.
fn any_image(trace: &Trace, position: usize, random: &mut Random) -> Pages {
    let moment = trace.moment(position);
    let mut all = Vec::new();
    let mut inner = Random::new(random.next());
    for_each_image(&moment, &mut inner, &mut |image| all.push(image));
    all.swap_remove(random.below(all.len() as u64) as usize)
}

/// Goes on with a store that holds `model`, and crashes.
fn crash(start: Pages, model: &Model, shape: Shape, from: usize, random: &mut Random) -> Crashed {
    let device = SimDevice::new(start);
    let ops = random_ops(random, OPS, 6, 9_000);
    let mut states = vec![model.clone()];
    let mut session = Session::open(&device, shape, model).unwrap();
    for (at, op) in ops.iter().enumerate() {
        device.note_issue(at);
        match session.issue(from + at, op) {
            Ok(durable) => device.note_ack(at, durable),
            // It says so, and nothing has changed.
            Err(Error::Full { .. }) => {}
            Err(error) => panic!("{op:?}: {error}"),
        }
        states.push(session.model.clone());
    }
    let trace = device.trace();
    let position = random.below(trace.events.len() as u64 + 1) as usize;
    let promise = Promise::after(&trace.events[..position], &ops);
    Crashed { image: any_image(&trace, position, random), states, promise }
}

fn run_seed(seed: u64) -> Result<u64, String> {
    let mut random = Random::new(seed);
    let shape = [TINY, SMALL, FIXED][random.below(3) as usize];
    let (mut pages, mut model) = (Pages::zeros(0), Model::new());
    let mut images = 0;
    for generation in 0..GENERATIONS {
        let what = |what| format!("generation {generation}: {what}");
        let Crashed { mut image, states, promise } =
            crash(pages, &model, shape, generation * OPS, &mut random);
        // Some crash again while they recover.
        while random.below(3) == 0 {
            images += 1;
            let (device, found) = verify(image, shape, &states, promise).map_err(what)?;
            let trace = device.trace();
            let position = random.below(trace.events.len() as u64) as usize;
            assert!(found >= promise.least, "P1");
            image = any_image(&trace, position, &mut random);
        }
        images += 1;
        let (device, found) = verify(image, shape, &states, promise).map_err(what)?;
        (pages, model) = (device.pages(), states[found].clone());
    }
    verify_progress(pages, shape, &model)?;
    Ok(images)
}

#[test]
fn random_workloads_survive_one_crash_after_another() {
    let seeds = seeds(SEEDS);
    let mut images = 0;
    for seed in seeds.clone() {
        let repeat = format!("repeat it with: EXTENTDB_SEED={seed} scripts/soak generations");
        images += run_seed(seed).unwrap_or_else(|what| panic!("{what}\n{repeat}"));
    }
    let count = seeds.end - seeds.start;
    tell(&format!("one crash after another: {count} seeds of {GENERATIONS}, {images} images"));
}
