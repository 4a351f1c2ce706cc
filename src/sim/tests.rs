//! Power cuts at every position of a trace, inside recovery too; and failing transfers.

use super::device::{Fault, Injection, SimDevice};
use super::image::for_each_image;
use super::oracle::{Promise, contents, verify, verify_progress};
use super::random::Random;
use super::trace::{Pages, Trace};
use super::workload::{Model, Op, Session, Shape, open, ops_at_the_edge, random_ops, run, states};
use crate::db::Db;
use crate::durability::Durability::{Buffered, Synced, Written};
use crate::engine::Background;
use crate::error::Error;

const TINY: Shape = Shape { extent_pages: 4, max_pages: 256, fixed: false, large_min: 2000 };
const SMALL: Shape = Shape { extent_pages: 16, max_pages: 512, fixed: false, large_min: 3000 };
/// Full with eight values of a page.
const FULL: Shape = Shape { max_pages: 64, ..TINY };
const FIXED: Shape = Shape { extent_pages: 8, max_pages: 256, fixed: true, large_min: 9000 };

/// Crash images that are opened after a run that met an error.
const IMAGES_AFTER_FAILURE: usize = 12;

/// What an enumeration did.
#[derive(Debug, Default)]
struct Counts {
    images: u64,
    deep: u64,
    progress: u64,
}

/// Runs `ops` on a fresh volume and opens every image of every moment.
fn enumerate(name: &str, shape: Shape, ops: &[Op], counts: &mut Counts) {
    let device = SimDevice::new(Pages::zeros(0));
    run(&device, shape, ops, &Model::new()).unwrap();
    let states = states(ops, &Model::new());
    let trace = device.trace();
    let mut random = Random::new(7);
    for position in 0..=trace.events.len() {
        let promise = Promise::after(&trace.events[..position]);
        enumerate_moment(name, shape, &trace, position, &states, promise, &mut random, counts);
    }
}

#[expect(clippy::too_many_arguments, reason = "what a failure is reported with")]
fn enumerate_moment(
    name: &str,
    shape: Shape,
    trace: &Trace,
    position: usize,
    states: &[Model],
    promise: Promise,
    random: &mut Random,
    counts: &mut Counts,
) {
    let mut inner = Random::new(random.next());
    for_each_image(&trace.moment(position), random, &mut |image| {
        counts.images += 1;
        let number = counts.images;
        let fail = |what: String| -> ! {
            panic!("{name}, crash after event {position}, image {number}: {what}")
        };
        let (device, found) = match verify(image, shape, states, promise) {
            Ok(verified) => verified,
            Err(what) => fail(what),
        };
        if inner.below(16) == 0 {
            counts.progress += 1;
            if let Err(what) = verify_progress(device.pages(), shape, &states[found]) {
                fail(what);
            }
        }
        if inner.below(8) == 0 {
            crash_in_recovery(&device.trace(), shape, states, promise, found, &mut inner, counts)
                .unwrap_or_else(|what| fail(what));
        }
    });
}

/// Depth 2: the recovery itself is cut short; after its barrier, what it showed stays (P5).
fn crash_in_recovery(
    trace: &Trace,
    shape: Shape,
    states: &[Model],
    promise: Promise,
    found: usize,
    random: &mut Random,
    counts: &mut Counts,
) -> Result<(), String> {
    for position in 0..=trace.events.len() {
        let shown = Promise { least: found, most: found };
        let promise = if position == trace.events.len() { shown } else { promise };
        let mut failure = None;
        for_each_image(&trace.moment(position), random, &mut |image| {
            counts.deep += 1;
            if let Err(what) = verify(image, shape, states, promise) {
                failure.get_or_insert(what);
            }
        });
        if let Some(what) = failure {
            return Err(format!("crash in recovery after event {position}: {what}"));
        }
    }
    Ok(())
}

fn put(key: u8, len: usize) -> Op {
    Op::Put(key, len, Synced)
}

/// In each of two extents a value of 12 pages and one of 3.
fn two_full_large_extents() -> impl Iterator<Item = Op> {
    [put(1, 45_000), put(2, 5000), put(3, 45_000), put(4, 5000)].into_iter()
}

/// Canonical workloads: each drives one mechanism through a crash at every point.
pub(super) fn canonical() -> Vec<(&'static str, Shape, Vec<Op>)> {
    let delete = |key| Op::Delete(key, Synced);
    let some = |pairs: &[(u8, usize)]| pairs.iter().map(|&(k, len)| (k, Some(len))).collect();
    vec![
        ("creation", TINY, vec![]),
        ("lone puts", TINY, vec![put(1, 100), put(2, 0), put(1, 700)]),
        ("deletes", TINY, vec![put(1, 10), delete(1), put(1, 20), delete(1), delete(2)]),
        ("rotation", TINY, (0..9).map(|i| put(i, 1500)).collect()),
        ("many pages a batch", SMALL, (0..5).map(|i| put(i, 2900)).collect()),
        ("fixed volume", FIXED, (0..6).map(|i| put(i, 2500)).collect()),
        ("large values", TINY, vec![put(1, 9000), put(2, 20_000), put(1, 12_000), delete(2)]),
        ("large overwrites", SMALL, vec![put(1, 70_000), put(1, 70_001), put(2, 4096)]),
        (
            "batches",
            SMALL,
            vec![
                Op::Batch(some(&[(1, 50), (2, 60), (3, 9000)]), Synced),
                Op::Batch(vec![(1, None), (2, Some(3)), (2, None), (4, Some(10))], Synced),
            ],
        ),
        (
            "conditions",
            TINY,
            vec![
                Op::PutIfAbsent(1, 30),
                Op::PutIfAbsent(1, 40),
                Op::Swap(1, 50),
                Op::Swap(1, 4000),
                delete(1),
                Op::PutIfAbsent(1, 60),
            ],
        ),
        ("evidence", TINY, vec![put(1, 10), Op::Step, put(2, 1800), Op::Step, Op::Step, put(3, 9)]),
        (
            "footers",
            TINY,
            (0..12).map(|i| if i % 3 == 2 { Op::Step } else { put(i, 1600) }).collect(),
        ),
        (
            "written",
            SMALL,
            vec![
                Op::Put(1, 10, Written),
                Op::Put(2, 2000, Written),
                Op::Delete(1, Written),
                Op::Sync,
                Op::Put(3, 9000, Written),
            ],
        ),
        (
            "buffered",
            SMALL,
            vec![
                Op::Put(1, 10, Buffered),
                Op::Put(2, 2000, Buffered),
                put(3, 5),
                Op::Put(1, 12_000, Buffered),
                Op::Delete(2, Buffered),
                Op::Step,
            ],
        ),
        (
            "mixed modes",
            SMALL,
            vec![
                Op::Put(1, 10, Buffered),
                Op::Put(2, 10, Written),
                put(3, 10),
                Op::Batch(some(&[(4, 2500), (5, 2500)]), Buffered),
                Op::PutIfAbsent(6, 10),
                Op::Sync,
            ],
        ),
        (
            "checkpoints",
            TINY,
            vec![put(1, 300), delete(2), Op::Checkpoint, put(2, 500), Op::Checkpoint, put(1, 20)],
        ),
        (
            "three checkpoints and rotation",
            TINY,
            vec![
                put(1, 1500),
                put(2, 1600),
                Op::Checkpoint,
                put(3, 1700),
                put(1, 1800),
                Op::Checkpoint,
                delete(2),
                put(4, 1900),
                Op::Checkpoint,
                put(5, 5),
            ],
        ),
        (
            "slices between commits",
            SMALL,
            vec![
                put(1, 30),
                put(2, 9000),
                Op::Slice,
                put(3, 40),
                Op::Slice,
                Op::Batch(vec![(1, None), (4, Some(9))], Synced),
                Op::Slice,
                Op::PutIfAbsent(1, 50),
                put(2, 9500),
                Op::Slice,
                delete(3),
                Op::Slice,
                Op::Swap(4, 60),
            ],
        ),
        (
            "slices of weaker modes",
            SMALL,
            vec![
                Op::Put(1, 10, Buffered),
                Op::Slice,
                Op::Slice,
                Op::Put(2, 10, Buffered),
                Op::Slice,
                Op::Put(3, 2000, Written),
                Op::Slice,
                Op::Delete(1, Buffered),
                Op::Slice,
                Op::Slice,
                Op::Put(1, 11, Buffered),
                Op::Slice,
                Op::Slice,
                Op::Put(2, 11, Buffered),
            ],
        ),
        (
            "extents of images are used again",
            SMALL,
            vec![
                put(1, 10),
                Op::Checkpoint,
                put(2, 10),
                Op::Checkpoint,
                put(3, 10),
                Op::Checkpoint,
                put(4, 4000),
                put(5, 40_000),
            ],
        ),
        (
            "an image makes room for another",
            Shape { max_pages: 128, large_min: 2000, ..FIXED },
            (0..4)
                .map(|i| put(i, 24_000))
                .chain([Op::Checkpoint, put(1, 9), Op::Checkpoint, put(2, 9), Op::Checkpoint])
                .collect(),
        ),
        (
            "pages of large values are used again",
            TINY,
            vec![
                put(8, 9000),
                put(9, 9000),
                Op::Checkpoint,
                delete(8),
                delete(9),
                Op::Reopen,
                put(1, 9000),
                put(2, 9000),
                put(3, 9000),
                Op::Reopen,
                put(2, 10),
            ],
        ),
        (
            "extents that die are used again",
            TINY,
            vec![
                put(1, 1500),
                put(2, 1500),
                put(1, 1600),
                put(2, 1600),
                put(1, 1700),
                Op::Checkpoint,
                put(2, 1700),
                Op::Checkpoint,
                Op::Reopen,
                put(3, 1800),
                put(1, 1800),
                Op::Kill,
                put(2, 1900),
                Op::Discard(3),
                Op::Checkpoint,
                Op::Kill,
                put(3, 50),
            ],
        ),
        (
            "live records move",
            TINY,
            vec![
                put(1, 1500),
                put(2, 1500),
                put(3, 100),
                put(1, 1600),
                put(4, 1500),
                Op::Checkpoint,
                delete(2),
                Op::Checkpoint,
                Op::Collect,
                put(3, 120),
                put(5, 1700),
                Op::Collect,
                Op::Kill,
                put(1, 10),
            ],
        ),
        (
            "collection before the log is durable",
            TINY,
            vec![
                put(1, 1500),
                put(2, 1500),
                put(3, 1400),
                Op::Checkpoint,
                put(2, 10),
                Op::Checkpoint,
                Op::Delete(1, Buffered),
                Op::Collect,
                Op::Put(3, 1300, Buffered),
                Op::CollectStep,
                put(4, 1500),
            ],
        ),
        (
            "extents are used again at once",
            Shape { max_pages: 96, ..TINY },
            (0..7)
                .flat_map(|i| [put(1, 1500 + i), put(2, 1400), Op::Checkpoint, Op::CollectStep])
                .chain([put(3, 9000), delete(1), Op::Collect, put(4, 9000), delete(3)])
                .chain([Op::Collect, put(5, 9100), Op::Reopen, put(2, 30)])
                .collect(),
        ),
        (
            "a snapshot keeps what it shows",
            TINY,
            vec![
                put(1, 1500),
                put(2, 9000),
                put(3, 1500),
                Op::Hold,
                put(1, 1600),
                put(2, 9100),
                delete(3),
                Op::Checkpoint,
                put(4, 1500),
                Op::Checkpoint,
                Op::Collect,
                put(5, 9000),
                put(6, 1500),
                Op::Release,
                Op::Collect,
                put(7, 9000),
                put(8, 1500),
            ],
        ),
        (
            "large extents are emptied",
            SMALL,
            two_full_large_extents()
                .chain([delete(1), delete(3), Op::Collect, put(5, 25_000), Op::Kill, delete(4)])
                .chain([Op::Checkpoint, Op::Collect, put(6, 5000)])
                .collect(),
        ),
        (
            "a put overtakes what moves it",
            SMALL,
            two_full_large_extents()
                .chain([delete(1), delete(3)])
                .chain([Op::CollectAround(Box::new(put(2, 5001))), Op::Collect])
                .chain([Op::Kill, put(6, 5000)])
                .collect(),
        ),
        (
            "a delete overtakes what moves it",
            SMALL,
            two_full_large_extents()
                .chain([delete(1), delete(3)])
                .chain([Op::CollectAround(Box::new(Op::Delete(2, Buffered)))])
                .chain([put(2, 5000), Op::Kill, put(6, 5000)])
                .collect(),
        ),
        (
            "a snapshot is held while large values move",
            SMALL,
            two_full_large_extents()
                .chain([Op::Hold, delete(1), delete(3), Op::Collect, put(5, 5000)])
                .chain([Op::Release, Op::Collect, put(6, 5000), Op::Kill, put(2, 9)])
                .collect(),
        ),
        (
            "a full volume is collected",
            FULL,
            (0..26)
                .map(|i| put(i % 3, 1500 + usize::from(i)))
                .chain([delete(1), put(2, 9)])
                .collect(),
        ),
        (
            "deletes where there is no room",
            FULL,
            (0..8)
                .map(|i| put(i, 1500))
                .chain([Op::Again(3), delete(0), Op::Again(4), Op::Discard(1), Op::Again(5)])
                .chain([Op::Batch(vec![(2, None), (3, None)], Synced), Op::Again(6), put(11, 1400)])
                .chain([Op::Delete(4, Buffered), Op::Again(7), delete(5), Op::Reopen, delete(6)])
                .chain([put(12, 3000), Op::Again(8), delete(7), put(13, 900)])
                .collect(),
        ),
        (
            "opened where there is no room",
            FULL,
            (0..8)
                .map(|i| put(i, 1500))
                .chain((0..11).map(|_| Op::Kill))
                .chain([delete(0), Op::Again(1), Op::Kill, delete(1), put(9, 1500)])
                .collect(),
        ),
        ("growth", Shape { max_pages: 400, ..TINY }, (0..6).map(|i| put(i, 60_000)).collect()),
    ]
}

#[test]
fn every_crash_of_the_canonical_workloads_recovers_a_prefix() {
    let mut counts = Counts::default();
    for (name, shape, ops) in canonical() {
        let before = counts.images;
        enumerate(name, shape, &ops, &mut counts);
        println!("{name}: {} images", counts.images - before);
    }
    println!("{counts:?}");
}

#[test]
fn every_crash_of_random_workloads_recovers_a_prefix() {
    let mut counts = Counts::default();
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let shape = [TINY, SMALL, FIXED][random.below(3) as usize];
        let ops = random_ops(&mut random, 12, 6, 12_000);
        enumerate(&format!("seed {seed}"), shape, &ops, &mut counts);
    }
    println!("{counts:?}");
}

#[test]
fn every_crash_where_there_is_no_room_recovers_a_prefix() {
    let mut counts = Counts::default();
    for seed in 0..3 {
        let ops = ops_at_the_edge(&mut Random::new(seed), 8, 16);
        enumerate(&format!("seed {seed}"), FULL, &ops, &mut counts);
    }
    println!("{counts:?}");
}

/// R1: a process crash loses nothing that was written, but a power cut after the next open may
/// not take back what that open showed.
#[test]
fn what_an_open_after_a_process_crash_shows_survives_a_power_cut() {
    let mut random = Random::new(3);
    for (name, shape, ops) in canonical() {
        let device = SimDevice::new(Pages::zeros(0));
        let mut session = Session::open(&device, shape, &Model::new()).unwrap();
        for (at, op) in ops.iter().enumerate() {
            session.issue(at, op).unwrap();
        }
        // The process is gone: its handle never closes.
        std::mem::forget(session);
        let engine = open(&device, shape, Background::Manual).unwrap();
        let shown = contents(&Db::new(engine.clone())).unwrap();
        std::mem::forget(engine);
        let trace = device.trace();
        for_each_image(&trace.moment(trace.events.len()), &mut random, &mut |image| {
            let only = Promise { least: 0, most: 0 };
            if let Err(what) = verify(image, shape, std::slice::from_ref(&shown), only) {
                panic!("{name}: {what}");
            }
        });
    }
}

/// T1c: the N-th transfer, barrier or growth fails, for every N, once or for ever.
#[test]
fn whatever_operation_fails_nothing_acknowledged_is_lost() {
    let mut failures = 0_u64;
    for (name, shape, ops) in canonical() {
        let states = states(&ops, &Model::new());
        let reference = SimDevice::new(Pages::zeros(0));
        run(&reference, shape, &ops, &Model::new()).unwrap();
        for at in 0..reference.operations() {
            for fault in [Fault::Fails, Fault::FailsHalfway, Fault::NoSpace] {
                for sticky in [false, true] {
                    let injection = Injection { at, fault, sticky };
                    if fail_once(shape, &ops, &states, injection).unwrap_or_else(|what| {
                        panic!("{name}, {injection:?}: {what}");
                    }) {
                        failures += 1;
                    }
                }
            }
        }
    }
    println!("{failures} runs met their error");
}

/// Whether the run met an error.
fn fail_once(
    shape: Shape,
    ops: &[Op],
    states: &[Model],
    injection: Injection,
) -> Result<bool, String> {
    let device = SimDevice::new(Pages::zeros(0));
    device.inject(injection);
    let outcome = run_until_error(&device, shape, ops)?;
    let trace = device.trace();
    let promise = Promise::after(&trace.events);
    let mut random = Random::new(injection.at);
    let mut failure = None;
    let mut images = vec![device.pages()];
    for_each_image(&trace.moment(trace.events.len()), &mut random, &mut |image| images.push(image));
    let step = images.len().div_ceil(IMAGES_AFTER_FAILURE);
    for image in images.into_iter().step_by(step) {
        if let Err(what) = verify(image, shape, states, promise) {
            failure.get_or_insert(what);
        }
    }
    match failure {
        Some(what) => Err(format!("after {outcome:?}: {what}")),
        None => Ok(outcome.is_some()),
    }
}

/// Runs `ops` until one fails; the failure must leave a handle that says so.
fn run_until_error(device: &SimDevice, shape: Shape, ops: &[Op]) -> Result<Option<Error>, String> {
    let mut session = match Session::open(device, shape, &Model::new()) {
        Ok(session) => session,
        Err(error) => return Ok(Some(error)),
    };
    for (at, op) in ops.iter().enumerate() {
        device.note_issue(at);
        match session.issue(at, op) {
            Ok(durable) => device.note_ack(at, durable),
            Err(error) if matches!(op, Op::Reopen | Op::Kill) => return Ok(Some(error)),
            Err(error) => {
                let clean = matches!(
                    error,
                    Error::Full { .. } | Error::Io { op: "read", .. } | Error::Corrupt { .. }
                );
                let db = &session.db;
                if db.health().is_healthy() && !clean {
                    return Err(format!("{error} leaves a handle that claims to be healthy"));
                }
                if !clean && db.put("after", "the failure").is_ok() {
                    return Err(format!("a put is acknowledged after {error}"));
                }
                crate::device::Device::close(device);
                return Ok(Some(error));
            }
        }
    }
    Ok(session.db.close().err())
}
/// An open takes a page of log. Where all that is left is used up by opens, the store can be read;
/// and it goes on as soon as somebody writes.
#[test]
fn a_full_volume_goes_on_however_often_it_was_opened() {
    let device = SimDevice::new(Pages::zeros(0));
    let mut session = Session::open(&device, FULL, &Model::new()).unwrap();
    let mut at = 0;
    let mut issue = |session: &mut Session, op| {
        at += 1;
        session.issue(at, &op)
    };
    let mut keys = 0..;
    while issue(&mut session, put(keys.next().unwrap(), 1500)).is_ok() {}
    for kind in [Op::Kill, Op::Reopen] {
        for round in 0..3 {
            for _ in 0..30 {
                issue(&mut session, kind.clone()).unwrap();
                assert_eq!(contents(&session.db).unwrap(), session.model);
            }
            assert_eq!(session.db.open_report().warnings.len(), 1, "no page was left");
            issue(&mut session, Op::Delete(2 * round, Synced)).unwrap();
            issue(&mut session, Op::Delete(2 * round + 1, Synced)).unwrap();
            issue(&mut session, put(2 * round, 1500)).unwrap();
            issue(&mut session, put(2 * round + 1, 1500)).unwrap();
        }
    }
    assert!(session.db.check().unwrap().is_clean());
}
