//! The whole engine under a controlled scheduler: random schedules, and those of PCT (Burckhardt et
//! al, 2010), which change over between threads at few points. See `scripts/schedules`.
//!
//! One seed is one plan of what each thread does, run in [`RUNS`] schedules. After every other
//! one, power is cut at some moments of it.

mod check;
mod keys;
mod plan;
mod run;

use self::plan::Plan;
use self::run::Run;
use super::device::SimDevice;
use super::random::Random;
use super::tell;
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

const SHAPE: Shape =
    Shape { extent_pages: 8, max_pages: 512, fixed: false, large_min: 2000, discards: false };

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

/// A store that was just created, with large values in the way of each other or nothing in it.
fn fresh_store(with_residents: bool) -> Pages {
    static PAGES: [OnceLock<Pages>; 2] = [OnceLock::new(), OnceLock::new()];
    let create = move || {
        let device = SimDevice::new(Pages::zeros(0));
        let pool = BufferPool::new(1 << 20);
        let engine = open_with(&device, &pool, SHAPE.options(), Background::Manual);
        let db = Db::new(engine.unwrap());
        if with_residents {
            plan::put_residents(&db);
        }
        db.close().unwrap();
        device.pages()
    };
    PAGES[usize::from(with_residents)].get_or_init(|| alone(create)).clone()
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

/// Runs `body` in the schedules of `scheduler`; returns what it made in each.
fn run_schedules<R: Send + 'static>(
    scheduler: impl Scheduler + 'static,
    body: impl Fn() -> R + Send + Sync + 'static,
) -> Vec<R> {
    let runs = Arc::new(Mutex::new(Vec::new()));
    let done = Arc::clone(&runs);
    Runner::new(scheduler, config()).run(move || {
        sync::reset_clock();
        let run = body();
        done.lock().unwrap().push(run);
    });
    let runs = std::mem::take(&mut *runs.lock().unwrap());
    runs
}

/// Checks all that was made, where locks work. Returns how many runs, and images that were opened.
fn check_all<R: Send + Sync + 'static>(
    seed: u64,
    runs: Vec<R>,
    check: impl Fn(usize, &R, &BufferPool, &mut Random) -> std::result::Result<u64, String>
    + Send
    + Sync
    + 'static,
) -> (usize, u64) {
    let count = runs.len();
    let images = alone(move || {
        let mut random = Random::new(seed);
        let pool = BufferPool::new(4 << 20);
        let mut check = |(at, run)| check(at, run, &pool, &mut random);
        let counts: std::result::Result<Vec<_>, _> =
            runs.iter().enumerate().map(&mut check).collect();
        counts.unwrap_or_else(|what| panic!("{what}")).iter().sum()
    });
    (count, images)
}

/// Runs the plan of `seed` in the schedules of `scheduler`, and checks what they showed.
fn run_seed(seed: u64, scheduler: impl Scheduler + 'static) -> Counts {
    let plan = Arc::new(Plan::new(seed));
    let (planned, store) = (Arc::clone(&plan), fresh_store(plan.moves));
    let runs: Vec<Run> = run_schedules(scheduler, move || run::run(&planned, store.clone()));
    let moved = runs.iter().filter(|run| run.moved_large).count();
    for run in &runs {
        check::check_run(&plan, run).unwrap_or_else(|what| panic!("{what}"));
    }
    let (schedules, images) = check_all(seed, runs, move |at, run, pool, random| {
        check::check_images(&plan, run, at % 2 == 1, pool, random)
    });
    Counts { schedules, images, moved }
}

/// The same for threads that share keys.
fn run_shared(seed: u64, scheduler: impl Scheduler + 'static) -> Counts {
    let plan = Arc::new(keys::Plan::new(seed));
    let (planned, store) = (Arc::clone(&plan), keys::store_with_garbage());
    let runs = run_schedules(scheduler, move || keys::run(&planned, store.clone()));
    let moved = runs.iter().filter(|run| run.moved_large).count();
    let (schedules, images) =
        check_all(seed, runs, move |_, run, pool, random| keys::check(&plan, run, pool, random));
    Counts { schedules, images, moved }
}

/// The seeds that the environment asks for, or those of so many schedules.
fn seeds(share: u64) -> std::ops::Range<u64> {
    let schedules = std::env::var("EXTENTDB_SCHEDULES").ok().map(|text| text.parse::<u64>());
    let schedules = schedules.map_or(400, |number| number.expect("a number"));
    super::random::seeds(schedules.div_ceil(share * RUNS as u64))
}

/// What the schedules of a seed came to.
#[derive(Debug, Default)]
struct Counts {
    schedules: usize,
    /// Images that were opened.
    images: u64,
    /// Schedules in which large values were moved.
    moved: usize,
}

fn run_all(name: &str, run_seed: impl Fn(u64) -> Counts) {
    let begun = std::time::Instant::now();
    let mut all = Counts::default();
    for seed in seeds(2) {
        match catch_unwind(AssertUnwindSafe(|| run_seed(seed))) {
            Ok(more) => {
                all.schedules += more.schedules;
                all.images += more.images;
                all.moved += more.moved;
            }
            Err(panic) => {
                eprintln!("\nrepeat it with: EXTENTDB_SEED={seed} scripts/schedules 1 {name}\n");
                resume_unwind(panic);
            }
        }
    }
    let time = begun.elapsed();
    let Counts { schedules, images, moved } = all;
    tell(&format!(
        "schedules {name}: {schedules}, {images} crash images, large values moved in {moved}, {time:.1?}"
    ));
}

fn random_scheduler(seed: u64) -> RandomScheduler {
    RandomScheduler::new_from_seed(seed, RUNS)
}

fn pct_scheduler(seed: u64) -> PctScheduler {
    PctScheduler::new_from_seed(seed, DEPTH, RUNS)
}

#[test]
fn random() {
    run_all("random", |seed| run_seed(seed, random_scheduler(seed)));
}

#[test]
fn pct() {
    run_all("pct", |seed| run_seed(seed, pct_scheduler(seed)));
}

#[test]
fn shared_keys_random() {
    run_all("shared_keys_random", |seed| run_shared(seed, random_scheduler(seed)));
}

#[test]
fn shared_keys_pct() {
    run_all("shared_keys_pct", |seed| run_shared(seed, pct_scheduler(seed)));
}

#[test]
fn every_seeded_bug_is_killed() {
    super::catalogue::kill_all_in_schedules();
}
