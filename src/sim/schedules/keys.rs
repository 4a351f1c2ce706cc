//! Threads that write and read the same few keys while garbage is collected. What each was told
//! must be what some order of all calls on that key gives: it is linearizable. After a power cut, a
//! prefix of that order is there; where all writes are `Synced`, one with everything that anybody
//! was told (L2).

use super::super::device::SimDevice;
use super::super::history::{op_number, position, thread_of};
use super::super::image::for_each_image;
use super::super::linear::{Action, Answer, Call, Seen, cut, is_linear};
use super::super::oracle::check_dropped;
use super::super::random::Random;
use super::super::trace::{Event, Pages, Trace};
use super::super::workload::Shape;
use super::plan::{latency, worth_bytes};
use super::{SHAPE, alone, open_with};
use crate::db::Db;
use crate::device::{BufferPool, Device};
use crate::durability::Durability;
use crate::engine::{Background, Engine};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::sync::{Arc, Duration};
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

/// Threads that write and read; one more collects.
const CLIENTS: usize = 3;
/// The keys, and how long their values are: beside the key, and in two pages of their own.
const KEYS: [(&[u8], usize); 4] = [(b"a", 900), (b"b", 1500), (b"c", 2600), (b"d", 2600)];
/// Values beside a large one that fill its extent.
const BESIDE: u64 = 3;
/// Values of the start have numbers from here on.
const FIRST: u64 = 1000;
/// So much room that little is collected by itself.
const ROOM: Shape = Shape { max_pages: 512, ..SHAPE };

/// Moments of each kind at which power is cut, and images of each that are opened.
const CUTS: usize = 3;
const IMAGES: usize = 4;

/// One step of a thread.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A call on a key.
    Key(usize, Action, Durability),
    Collect,
    CollectStep,
    Checkpoint,
    Slice,
    Beside,
}

/// What all threads do.
#[derive(Debug)]
pub(super) struct Plan {
    threads: Vec<Vec<Step>>,
    /// Slices that are written before they start.
    before: usize,
    background: Background,
    /// Whether all writes are `Synced`.
    strict: bool,
    worth_bytes: usize,
    slice_bytes: usize,
    latency: Duration,
}

/// What happened.
#[derive(Debug)]
pub(super) struct Run {
    trace: Trace,
    answers: BTreeMap<usize, Answer>,
    closed: Pages,
    /// Whether large values were moved.
    pub(super) moved_large: bool,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let background =
            if random.below(6) == 0 { Background::Threads } else { Background::Manual };
        let strict = random.below(2) == 0;
        if random.below(8) == 0 {
            return Self::of_buffered_put();
        }
        let mut threads: Vec<_> = (0..CLIENTS)
            .map(|thread| {
                let count = 2 + random.below(4) as usize;
                (0..count).map(|at| key_step(op_number(thread, at), strict, &mut random)).collect()
            })
            .collect();
        threads.push(collector_steps(background, &mut random));
        let (worth_bytes, latency) = (worth_bytes(&mut random), latency(&mut random));
        let (before, slice_bytes) = (0, ROOM.options().slice_bytes);
        Self { threads, before, background, strict, worth_bytes, slice_bytes, latency }
    }

    /// A put that nobody writes out, while the keys are copied for a checkpoint, all at once.
    fn of_buffered_put() -> Self {
        let put = Step::Key(0, Action::Set(Some(0)), Durability::Buffered);
        Self {
            threads: vec![vec![put], vec![Step::Slice, Step::Slice]],
            before: 2,
            background: Background::Manual,
            strict: false,
            worth_bytes: 1,
            slice_bytes: 4096,
            latency: Duration::ZERO,
        }
    }

    fn step(&self, op: usize) -> &Step {
        let (thread, at) = thread_of(op);
        &self.threads[thread][at]
    }

    fn options(&self) -> Options {
        let &Self { worth_bytes, slice_bytes, .. } = self;
        Options { worth_bytes, slice_bytes, ..options(self.background) }
    }
}

fn key_step(number: usize, strict: bool, random: &mut Random) -> Step {
    let fresh = number as u64;
    // What is expected may be what is there: what was at the start, or a value of some other call.
    let guess = |random: &mut Random, key: usize| match random.below(3) {
        0 => None,
        1 => Some(FIRST + key as u64),
        _ => {
            Some(op_number(random.below(CLIENTS as u64) as usize, random.below(3) as usize) as u64)
        }
    };
    let key = random.below(KEYS.len() as u64) as usize;
    let action = match random.below(16) {
        0..6 => Action::Get,
        6..9 => Action::Set(Some(fresh)),
        9..12 => Action::Set(None),
        12 | 13 => Action::PutIfAbsent(fresh),
        _ => Action::Swap(guess(random, key), (random.below(3) > 0).then_some(fresh)),
    };
    let durability = match random.below(4) {
        0 if !strict => Durability::Buffered,
        1 if !strict => Durability::Written,
        _ => Durability::Synced,
    };
    Step::Key(key, action, durability)
}

fn collector_steps(background: Background, random: &mut Random) -> Vec<Step> {
    // The steps are for one thread: it may be the engine's own.
    let kinds = if background == Background::Manual { 10 } else { 8 };
    let step = |random: &mut Random| match random.below(kinds) {
        0..4 => Step::Collect,
        4 | 5 => Step::Slice,
        6 => Step::Checkpoint,
        7 | 8 => Step::CollectStep,
        _ => Step::Beside,
    };
    (0..2 + random.below(4)).map(|_| step(random)).collect()
}

fn options(background: Background) -> Options {
    let evidence_after = match background {
        Background::Threads => Duration::from_millis(5),
        Background::Manual => Duration::ZERO,
    };
    Options { evidence_after, ..ROOM.options() }
}

fn value(number: u64, len: usize) -> Vec<u8> {
    let mut value = vec![number as u8; len];
    value[..8].copy_from_slice(&number.to_le_bytes());
    value
}

/// The number of a value, which must be whole.
fn number(key: usize, found: &[u8]) -> u64 {
    let number = u64::from_le_bytes(found[..8].try_into().expect("eight bytes"));
    assert!(found == value(number, KEYS[key].1), "a value is whole");
    number
}

/// A store whose log is full of garbage, with the keys' values in it; of the large ones, each is alone
/// in its extent, so that one gains an extent where it moves to the other.
pub(super) fn store_with_garbage() -> Pages {
    static PAGES: OnceLock<Pages> = OnceLock::new();
    let create = || {
        let device = SimDevice::new(Pages::zeros(0));
        let pool = BufferPool::new(1 << 20);
        let options = options(Background::Manual);
        let engine = open_with(&device, &pool, options, Background::Manual).unwrap();
        let db = Db::new(Arc::clone(&engine));
        let mut fillers = Vec::new();
        for (at, &(key, len)) in KEYS.iter().enumerate() {
            for _ in 0..5 {
                db.put("garbage", vec![0; 1800]).unwrap();
            }
            db.put(key, value(FIRST + at as u64, len)).unwrap();
            let beside = if len < 2000 { 0 } else { BESIDE };
            let beside = (0..beside).map(|number| [key, &[number as u8]].concat());
            for key in beside {
                db.put(&key, vec![0; len]).unwrap();
                fillers.push(key);
            }
        }
        fillers.iter().for_each(|key| db.delete(key).unwrap());
        for _ in 0..10 {
            db.put("garbage", vec![0; 1800]).unwrap();
        }
        db.checkpoint().unwrap();
        db.put("garbage", vec![0; 1800]).unwrap();
        db.checkpoint().unwrap();
        db.close().unwrap();
        device.pages()
    };
    PAGES.get_or_init(|| alone(create)).clone()
}

/// A thread.
struct Actor {
    thread: usize,
    db: Db,
    engine: Arc<Engine>,
    device: SimDevice,
}

pub(super) fn run(plan: &Arc<Plan>, store: Pages) -> Run {
    let device = SimDevice::new(store).with_latency(plan.latency);
    let pool = BufferPool::new(1 << 20);
    let engine = open_with(&device, &pool, plan.options(), plan.background).unwrap();
    let db = Db::new(Arc::clone(&engine));
    (0..plan.before).for_each(|_| assert!(engine.checkpoint_step().is_ok()));
    let answers = Arc::new(Mutex::new(BTreeMap::new()));
    let start = |thread| {
        let (plan, answers, device) = (Arc::clone(plan), Arc::clone(&answers), device.clone());
        let actor = Actor { thread, db: db.clone(), engine: Arc::clone(&engine), device };
        shuttle::thread::spawn(move || {
            for (at, &step) in plan.threads[thread].iter().enumerate() {
                let number = op_number(actor.thread, at);
                actor.device.note_issue(number);
                let (answer, durable) = actor.act(step, number);
                actor.device.note_ack(number, durable || plan.strict);
                answers.lock().unwrap().extend(answer.map(|answer| (number, answer)));
            }
        })
    };
    let threads: Vec<_> = (0..plan.threads.len()).map(start).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop(engine);
    let moved_large = db.metrics().moved_large_bytes > 0;
    db.close().unwrap();
    let answers = std::mem::take(&mut *answers.lock().unwrap());
    Run { trace: device.trace(), answers, closed: device.pages(), moved_large }
}

impl Actor {
    fn act(&self, step: Step, op: usize) -> (Option<Answer>, bool) {
        let done = match step {
            Step::Key(key, action, durability) => {
                let answer = self.call(key, action, durability);
                let answer = answer.unwrap_or_else(|error| panic!("call {op}, {step:?}: {error}"));
                return (Some(answer), durability == Durability::Synced && action != Action::Get);
            }
            Step::Collect => self.db.collect_garbage(),
            Step::CollectStep if self.db.health().is_healthy() => {
                self.engine.collector_step().map(drop)
            }
            Step::CollectStep => Ok(()),
            Step::Checkpoint => self.db.checkpoint(),
            Step::Slice => self.engine.checkpoint_step().map(drop),
            Step::Beside => self.engine.step(),
        };
        match done {
            Ok(()) | Err(Error::Full { .. }) => (None, false),
            Err(error) => panic!("call {op}, {step:?}: {error}"),
        }
    }

    fn call(&self, key: usize, action: Action, durability: Durability) -> Result<Answer> {
        let (name, len) = KEYS[key];
        let db = self.db.with_durability(durability);
        Ok(match action {
            Action::Get => Answer::Saw(self.db.get(name)?.map(|found| number(key, &found))),
            Action::Set(Some(fresh)) => {
                db.put(name, value(fresh, len))?;
                Answer::Done(true)
            }
            Action::Set(None) => {
                db.delete(name)?;
                Answer::Done(true)
            }
            Action::PutIfAbsent(fresh) => Answer::Done(db.put_if_absent(name, value(fresh, len))?),
            Action::Swap(expected, new) => {
                let bytes = |seen: Seen| seen.map(|number| value(number, len));
                let (expected, new) = (bytes(expected), bytes(new));
                let swapped = db.compare_and_swap(name, expected.as_deref(), new.as_deref())?;
                Answer::Done(swapped.is_ok())
            }
        })
    }
}

/// The calls on one key.
fn calls(plan: &Plan, run: &Run, key: usize) -> Vec<Call> {
    let events = &run.trace.events;
    let mut calls = Vec::new();
    for (thread, steps) in plan.threads.iter().enumerate() {
        for (at, step) in steps.iter().enumerate() {
            let op = op_number(thread, at);
            let Step::Key(of, action, _) = *step else { continue };
            let Some(from) = position(events, |event| *event == Event::Issue(op)) else { continue };
            let ack = events.iter().enumerate().find_map(|(at, event)| match *event {
                Event::Ack { op: acked, durable } if acked == op => Some((at, durable)),
                _ => None,
            });
            if of == key {
                calls.push(Call {
                    from,
                    until: ack.map(|(at, _)| at),
                    action,
                    answer: run.answers.get(&op).copied(),
                    durable: ack.is_some_and(|(_, durable)| durable),
                });
            }
        }
    }
    calls
}

/// Holds what was answered, and what is there after it is closed or power is cut, against all
/// orders. Returns how many images were opened.
pub(super) fn check(
    plan: &Plan,
    run: &Run,
    pool: &BufferPool,
    random: &mut Random,
) -> std::result::Result<u64, String> {
    let of_keys: Vec<_> = (0..KEYS.len()).map(|key| calls(plan, run, key)).collect();
    for (key, calls) in of_keys.iter().enumerate() {
        let start = Some(FIRST + key as u64);
        if !is_linear(calls, start, None) {
            return Err(format!("key {key} has no order: {calls:?}"));
        }
    }
    let all_durable = |calls: &[Call]| -> Vec<Call> {
        calls.iter().map(|call| Call { durable: true, ..*call }).collect()
    };
    let closed: Vec<_> = of_keys.iter().map(|calls| all_durable(calls)).collect();
    check_image(&closed, run.closed.clone(), pool).map_err(|what| format!("closed, {what}"))?;
    let mut images = 1;
    for at in cuts(plan, &run.trace.events, random) {
        let before: Vec<_> = of_keys.iter().map(|calls| cut(calls, at)).collect();
        let mut all = Vec::new();
        for_each_image(&run.trace.moment(at), random, &mut |image| all.push(image));
        let step = all.len().div_ceil(IMAGES);
        let first = random.below(step as u64) as usize;
        for image in all.into_iter().skip(first).step_by(step) {
            images += 1;
            check_image(&before, image, pool)
                .map_err(|what| format!("power cut after event {at}: {what}"))?;
        }
    }
    Ok(images)
}

/// Moments at which power is cut: any, some at which somebody was just told what a key is, and one at
/// which a checkpoint may just have been put in force.
fn cuts(plan: &Plan, events: &[Event], random: &mut Random) -> Vec<usize> {
    let mut cuts: Vec<_> =
        (0..CUTS).map(|_| random.below(events.len() as u64 + 1) as usize).collect();
    let after = |wanted: fn(&Step) -> bool| {
        let of =
            move |event: &Event| matches!(*event, Event::Ack { op, .. } if wanted(plan.step(op)));
        events.iter().enumerate().filter(move |(_, event)| of(event)).map(|(at, _)| at + 1)
    };
    let mut told: Vec<_> = after(|step| matches!(step, Step::Key(_, Action::Get, _))).collect();
    for _ in 0..CUTS.min(told.len()) {
        cuts.push(told.swap_remove(random.below(told.len() as u64) as usize));
    }
    cuts.extend(after(|step| matches!(step, Step::Checkpoint | Step::Slice)).last());
    cuts
}

fn check_image(
    calls: &[Vec<Call>],
    image: Pages,
    pool: &BufferPool,
) -> std::result::Result<(), String> {
    let device = SimDevice::new(image.clone());
    let engine = open_with(&device, pool, options(Background::Manual), Background::Manual)
        .map_err(|e| format!("does not open: {e}"))?;
    let db = Db::new(engine);
    check_dropped(&image, db.open_report())?;
    let repaired = &db.open_report().repaired;
    if let Some(what) = repaired.iter().find(|what| what.contains("checkpoint")) {
        return Err(format!("a checkpoint was in force before it was whole (C2, C3): {what}"));
    }
    for (key, calls) in calls.iter().enumerate() {
        let found = db.get(KEYS[key].0).map_err(|e| format!("get: {e}"))?;
        let found = found.map(|found| number(key, &found));
        if !is_linear(calls, Some(FIRST + key as u64), Some(found)) {
            return Err(format!("key {key} is {found:?}: {calls:?}"));
        }
    }
    Device::close(&device);
    Ok(())
}
