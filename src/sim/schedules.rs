//! The whole engine under a controlled scheduler: random schedules, and those of PCT (Burckhardt et
//! al, 2010), which change over between threads at few points. See `scripts/schedules`.
//!
//! One seed is one plan of what each thread does, run in [`RUNS`] schedules. After every other
//! one, power is cut at some moments of it.

mod check;
mod plan;
mod run;

use self::plan::Plan;
use self::run::Run;
use super::device::SimDevice;
use super::random::Random;
use super::trace::Pages;
use super::workload::Shape;
use crate::db::Db;
use crate::device::{BufferPool, DeviceInfo};
use crate::engine::{Background, Engine, Medium};
use crate::error::Result;
use crate::format::ids::PAGE_BYTES;
use crate::options::Options;
use crate::sync::{self, Arc};
use shuttle::scheduler::{PctScheduler, RandomScheduler, RoundRobinScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, OnceLock};

/// Schedules of each seed. The first of PCT only counts its steps.
const RUNS: usize = 10;
/// Times that PCT changes over, plus one.
const DEPTH: usize = 4;
/// A schedule of more steps is stuck.
const MOST_STEPS: usize = 400_000;

const SHAPE: Shape = Shape { extent_pages: 8, max_pages: 512, fixed: false, large_min: 2000 };

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    config.silence_warnings = true;
    config.ungraceful_shutdown_config.immediately_return_on_panic = true;
    config
}

/// Runs `body` where locks work, with nobody else.
fn alone<T: Send + 'static>(body: impl Fn() -> T + Send + Sync + 'static) -> T {
    let made = Arc::new(Mutex::new(None));
    let out = Arc::clone(&made);
    Runner::new(RoundRobinScheduler::new(1), config()).run(move || {
        *out.lock().unwrap() = Some(body());
    });
    let made = made.lock().unwrap().take();
    made.expect("it ran")
}

/// A store that was just created.
fn empty_store() -> Pages {
    static PAGES: OnceLock<Pages> = OnceLock::new();
    let create = || {
        let device = SimDevice::new(Pages::zeros(0));
        let pool = BufferPool::new(1 << 20);
        let engine = open_with(&device, &pool, SHAPE.options(), Background::Manual);
        Db::new(engine.unwrap()).close().unwrap();
        device.pages()
    };
    PAGES.get_or_init(|| alone(create)).clone()
}

/// Opens the store with a pool that the schedule has to itself.
fn open_with(
    device: &SimDevice,
    pool: &BufferPool,
    options: Options,
    background: Background,
) -> Result<Arc<Engine>> {
    let medium = Medium {
        device: Arc::new(device.clone()),
        info: DeviceInfo::simulated(false),
        len_bytes: crate::device::Device::len_pages(device) * PAGE_BYTES as u64,
        pool: pool.clone(),
    };
    Engine::open_on(medium, &options, background)
}

/// Runs the plan of `seed` in the schedules of `scheduler`, and checks what they showed.
fn run_seed(seed: u64, scheduler: impl Scheduler + 'static) -> (usize, u64) {
    let plan = Arc::new(Plan::new(seed));
    let runs = Arc::new(Mutex::new(Vec::<Run>::new()));
    let (planned, done, store) = (Arc::clone(&plan), Arc::clone(&runs), empty_store());
    Runner::new(scheduler, config()).run(move || {
        sync::reset_clock();
        let run = run::run(&planned, store.clone());
        done.lock().unwrap().push(run);
    });
    let runs = std::mem::take(&mut *runs.lock().unwrap());
    for run in &runs {
        check::check_run(&plan, run).unwrap_or_else(|what| panic!("{what}"));
    }
    let count = runs.len();
    let images = alone(move || {
        let mut random = Random::new(seed);
        let pool = BufferPool::new(4 << 20);
        let check = |(at, run)| check::check_images(&plan, run, at % 2 == 1, &pool, &mut random);
        let counts = runs.iter().enumerate().map(check).collect::<std::result::Result<Vec<_>, _>>();
        counts.unwrap_or_else(|what| panic!("{what}")).iter().sum()
    });
    (count, images)
}

/// The seeds that the environment asks for, one or so many.
fn seeds(share: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    match number("EXTENTDB_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let schedules = number("EXTENTDB_SCHEDULES").unwrap_or(400);
            0..schedules.div_ceil(share * RUNS as u64)
        }
    }
}

fn run_all<S: Scheduler + 'static>(name: &str, scheduler: impl Fn(u64) -> S) {
    let begun = std::time::Instant::now();
    let (mut schedules, mut images) = (0, 0);
    for seed in seeds(2) {
        match catch_unwind(AssertUnwindSafe(|| run_seed(seed, scheduler(seed)))) {
            Ok((more, more_images)) => {
                schedules += more;
                images += more_images;
            }
            Err(panic) => {
                eprintln!("\nrepeat it with: EXTENTDB_SEED={seed} scripts/schedules 1 {name}\n");
                resume_unwind(panic);
            }
        }
    }
    println!("{schedules} {name} schedules, {images} images, {:.1?}", begun.elapsed());
}

#[test]
fn random() {
    run_all("random", |seed| RandomScheduler::new_from_seed(seed, RUNS));
}

#[test]
fn pct() {
    run_all("pct", |seed| PctScheduler::new_from_seed(seed, DEPTH, RUNS));
}
