//! Power cuts at every position of a trace, inside recovery too; and failing transfers.

use super::branches::{Branch, Candidates, Covered, for_each_branch};
use super::canonical::{FIXED, FULL, SMALL, TINY, canonical, ops_of, put};
use super::device::{Fault, Injection, SECTOR_BYTES, SimDevice};
use super::image::for_each_image;
use super::oracle::{Promise, contents, verify, verify_branch, verify_progress};
use super::random::{Random, seeds};
use super::tell;
use super::trace::{Event, Moment, Pages, Trace};
use super::workload::{Model, Op, Session, Shape, open, ops_at_the_edge, random_ops, run, states};
use crate::db::Db;
use crate::durability::Durability::Synced;
use crate::engine::Background;
use crate::error::Error;
use crate::format::ids::PageNo;
use crate::format::log_page;
use crate::info::Discard;
use std::collections::BTreeMap;

/// Crash images that are opened after a run that met an error.
const IMAGES_AFTER_FAILURE: usize = 12;

/// Most pending pages of which every combination of what each may be is opened, 3^8 images and more,
/// unless `EXTENTDB_PENDING` asks for another number.
const MOST_PENDING: usize = 8;

/// Of moments with more, the recovery of one branch in so many is cut short as well; of others, of each.
const DEEP_OF_LARGE: u64 = 16;

/// Crash images of each moment on a medium that had another volume.
const IMAGES_OF_A_PAST: usize = 12;

/// Crash images, and how many of them were opened to know what all of them show.
#[derive(Debug, Default)]
struct Shown {
    of: u64,
    opened: u64,
}

impl Shown {
    /// Of moments with many pending pages, what was opened counts, and not all that it stands for: those
    /// would be nearly all of them.
    fn add(&mut self, covered: Covered, is_small: bool) {
        self.of += if is_small { covered.images } else { covered.opened };
        self.opened += covered.opened;
    }
}

/// What an enumeration did.
#[derive(Debug)]
struct Counts {
    most_pending: usize,
    images: Shown,
    deep: Shown,
    progress: u64,
    /// By the number of pending pages: moments, and those of which some images were not shown.
    moments: BTreeMap<usize, (u64, u64)>,
}

impl Counts {
    fn new() -> Self {
        let asked = std::env::var("EXTENTDB_PENDING").ok();
        let most_pending = asked.map_or(MOST_PENDING, |text| text.parse().expect("a number"));
        let (images, deep, moments) = Default::default();
        Self { most_pending, images, deep, progress: 0, moments }
    }

    fn note_moment(&mut self, moment: &Moment, covered: Covered) {
        let of_these = self.moments.entry(moment.pending.len()).or_default();
        of_these.0 += 1;
        of_these.1 += u64::from(!covered.is_all);
    }

    fn tell(&self, of: &str) {
        let Self { most_pending, images, deep, progress, moments } = self;
        let sum = |counts: &mut dyn Iterator<Item = (u64, u64)>| {
            counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
        };
        let (all, _) = sum(&mut moments.values().copied());
        let (larger, part) = sum(&mut moments.range(most_pending + 1..).map(|(_, of)| *of));
        tell(&format!(
            "{of}: {} crash images, by opening {}; {} of crashes in recoveries, by opening {}; \
             {progress} gone on with. All images of {} of {all} moments: of all with up to \
             {most_pending} pending pages, and of {} of {larger} with more",
            images.of,
            images.opened,
            deep.of,
            deep.opened,
            all - part,
            larger - part
        ));
    }
}

/// Runs `ops` on a fresh volume and opens every image of every moment.
fn enumerate(name: &str, shape: Shape, ops: &[Op], counts: &mut Counts) {
    let device = SimDevice::new(Pages::zeros(0));
    run(&device, shape, ops, &Model::new()).unwrap();
    let states = states(ops, &Model::new());
    let trace = device.trace();
    let mut random = Random::new(7);
    let mut position = 0;
    while position <= trace.events.len() {
        // Until the device changes, the images are the same, and the strictest promise counts.
        let same = trace.events[position..].iter().take_while(|event| !event.changes_images());
        let last = position + same.count();
        let promise = Promise::after(&trace.events[..last], ops);
        let most = Promise::after(&trace.events[..position], ops).most.max(promise.least);
        let promise = Promise { most, ..promise };
        enumerate_moment(name, shape, &trace, last, &states, promise, &mut random, counts);
        position = last + 1;
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
    let moment = trace.moment(position);
    let (none, most_pending) = (Candidates::new(), counts.most_pending);
    let is_small = moment.pending.len() <= most_pending;
    let mut number = 0;
    let mut visit = |branch: &Branch| {
        number += 1;
        let fail = |what: String| -> ! {
            panic!("{name}, crash after event {position}, image {number}: {what}")
        };
        let found = match verify_branch(branch, shape, states, promise) {
            Ok(found) => found,
            Err(what) => fail(what),
        };
        if inner.below(16) == 0 {
            counts.progress += 1;
            let pages = branch.pages_by_now(&mut inner);
            if let Err(what) = verify_progress(pages, shape, &states[found]) {
                fail(what);
            }
        }
        if is_small || inner.below(DEEP_OF_LARGE) == 0 {
            let covered =
                crash_in_recovery(branch, shape, states, promise, found, &mut inner, most_pending)
                    .unwrap_or_else(|what| fail(what));
            counts.deep.add(covered, is_small);
        }
    };
    let covered = for_each_branch(&moment, &none, most_pending, random, &mut visit);
    counts.images.add(covered, is_small);
    counts.note_moment(&moment, covered);
}

/// Depth 2: the recovery itself is cut short; after its barrier, what it showed stays (P5).
fn crash_in_recovery(
    branch: &Branch,
    shape: Shape,
    states: &[Model],
    promise: Promise,
    found: usize,
    random: &mut Random,
    most_pending: usize,
) -> Result<Covered, String> {
    let (trace, unsettled) = (branch.device.trace(), branch.unsettled());
    let last = trace.events.len();
    let changes = |&at: &usize| at == last || trace.events[at].changes_images();
    let mut all = Covered { images: 0, opened: 0, is_all: true };
    for position in (0..=last).filter(changes) {
        let shown = Promise { least: found, most: found };
        let promise = if position == last { shown } else { promise };
        let mut failure = None;
        let mut visit = |branch: &Branch| {
            if let Err(what) = verify_branch(branch, shape, states, promise) {
                failure.get_or_insert(what);
            }
        };
        let moment = trace.moment(position);
        let covered = for_each_branch(&moment, &unsettled, most_pending, random, &mut visit);
        all.images = all.images.saturating_add(covered.images);
        all.opened += covered.opened;
        if let Some(what) = failure {
            return Err(format!("crash in recovery after event {position}: {what}"));
        }
    }
    Ok(all)
}

/// What these workloads are for.
#[test]
fn files_shrink_and_grow_again() {
    let lengths = |name: &str| -> Vec<(u64, bool)> {
        let (shape, ops) = ops_of(name);
        let device = SimDevice::new(Pages::zeros(0));
        run(&device, shape, &ops, &Model::new()).unwrap();
        let trace = device.trace();
        let of_event = |event: &Event| match *event {
            Event::Grow(pages) => Some((pages, false)),
            Event::Cut(pages) => Some((pages, true)),
            _ => None,
        };
        trace.events.iter().filter_map(of_event).collect()
    };
    let is_cut = |&(_, is_cut): &(u64, bool)| is_cut;
    let asked = lengths("the end of the file is given back");
    let cut = asked.iter().position(is_cut).unwrap();
    assert!(!asked[cut..].iter().all(is_cut), "it grows again: {asked:?}");
    let by_itself = lengths("the end of the file goes by itself");
    assert!(by_itself.iter().any(is_cut), "{by_itself:?}");
}

/// What that workload is for.
#[test]
fn free_extents_are_discarded_and_used_again() {
    let (shape, ops) = ops_of("free extents are discarded");
    for refuses in [false, true] {
        let device = SimDevice::new(Pages::zeros(0));
        if refuses {
            device.refuse_discards();
        }
        let mut session = Session::open(&device, shape, &Model::new()).unwrap();
        let holes: Vec<_> = ops
            .iter()
            .enumerate()
            .map(|(at, op)| {
                session.issue(at, op).unwrap();
                device.holes()
            })
            .collect();
        println!("{holes:?}");
        let pairs = || holes.windows(2);
        assert_eq!(pairs().any(|pair| pair[1] > pair[0]), !refuses, "{holes:?}");
        assert_eq!(pairs().any(|pair| pair[1] < pair[0]), !refuses, "{holes:?}");
        assert_eq!(contents(&session.db).unwrap(), session.model);
    }
}

/// It is told once that a device has no use for it, and is no failure.
#[test]
fn a_device_need_not_take_discards() {
    let device = SimDevice::new(Pages::zeros(0));
    device.refuse_discards();
    let shape = Shape { discards: true, fixed: true, ..TINY };
    let db = Db::new(open(&device, shape, Background::Manual).unwrap());
    assert_eq!(db.info().discard, Discard::On);
    (0..4_u8).for_each(|i| db.put([i], vec![i; 50_000]).unwrap());
    (0..4_u8).for_each(|i| db.delete([i]).unwrap());
    db.collect_garbage().unwrap();
    assert_eq!(db.info().discard, Discard::Unsupported);
    assert!(db.health().is_healthy());
    (0..4_u8).for_each(|i| db.put([i], vec![i; 50_000]).unwrap());
    assert!(db.check().unwrap().is_clean());
}

#[test]
fn every_crash_of_the_canonical_workloads_recovers_a_prefix() {
    let mut counts = Counts::new();
    for (name, shape, ops) in canonical() {
        let (images, opened) = (counts.images.of, counts.images.opened);
        enumerate(name, shape, &ops, &mut counts);
        let opened = counts.images.opened - opened;
        println!("{name}: {} images, {opened} opened", counts.images.of - images);
    }
    println!("moments by pending pages: {:?}", counts.moments);
    counts.tell("canonical workloads");
}

#[test]
fn every_crash_of_random_workloads_recovers_a_prefix() {
    let mut counts = Counts::new();
    for seed in seeds(30) {
        let mut random = Random::new(seed);
        let shape = [TINY, SMALL, FIXED][random.below(3) as usize];
        let ops = random_ops(&mut random, 12, 6, 12_000);
        enumerate(&format!("seed {seed}"), shape, &ops, &mut counts);
    }
    counts.tell("random workloads");
}

/// F3d: where a volume was never written there may be another one, of which each page would be right
/// but for whose it is.
#[test]
fn every_crash_on_a_medium_with_a_past_recovers_a_prefix() {
    let mut images = 0_u64;
    for (name, shape, ops) in canonical() {
        let elder = SimDevice::new(Pages::zeros(0));
        run(&elder, shape, &ops, &Model::new()).unwrap();
        let device = SimDevice::new(Pages::with_past(&elder.pages()));
        run(&device, shape, &ops, &Model::new()).unwrap();
        let (states, trace) = (states(&ops, &Model::new()), device.trace());
        let mut random = Random::new(11);
        for position in 0..=trace.events.len() {
            let promise = Promise::after(&trace.events[..position], &ops);
            let mut all = Vec::new();
            for_each_image(&trace.moment(position), &mut random, &mut |image| all.push(image));
            let step = all.len().div_ceil(IMAGES_OF_A_PAST);
            let first = random.below(step as u64) as usize;
            for image in all.into_iter().skip(first).step_by(step) {
                images += 1;
                verify(image, shape, &states, promise).unwrap_or_else(|what| {
                    panic!("{name}, crash after event {position}: {what}");
                });
            }
        }
    }
    tell(&format!("a medium with a past: {images} crash images"));
}

#[test]
fn every_crash_where_there_is_no_room_recovers_a_prefix() {
    let mut counts = Counts::new();
    for seed in 0..3 {
        let ops = ops_at_the_edge(&mut Random::new(seed), 8, 16);
        enumerate(&format!("seed {seed}"), FULL, &ops, &mut counts);
    }
    counts.tell("workloads without room");
}

/// Reads see what was acknowledged, whatever is written by then; and what is free, and what is
/// referred to, is all there is (G5).
#[test]
fn a_live_store_shows_what_was_done_to_it() {
    for (name, shape, ops) in canonical() {
        let device = SimDevice::new(Pages::zeros(0));
        let mut session = Session::open(&device, shape, &Model::new()).unwrap();
        for (at, op) in ops.iter().enumerate() {
            session.issue(at, op).unwrap();
            let shown = contents(&session.db).unwrap_or_else(|what| panic!("{name}: {what}"));
            assert!(shown == session.model, "{name}, after operation {at}: another state");
            let lost = session.with_lost_pages();
            assert!(lost.is_empty(), "{name}, after operation {at}: pages of {lost:?} are lost");
        }
    }
}

/// W4, by the record of the device: whatever is in flight, a search for proof finds the way.
#[test]
fn an_extent_is_named_by_a_durable_page_before_the_log_goes_there() {
    let mut entered = 0;
    for (name, shape, ops) in canonical() {
        let device = SimDevice::new(Pages::zeros(0));
        run(&device, shape, &ops, &Model::new()).unwrap();
        let trace = device.trace();
        let log_page = |page: &super::device::Page, at: u64| {
            log_page::open(&page[..], log_page::store_of(&page[..]), PageNo(at))
        };
        for (position, event) in trace.events.iter().enumerate() {
            let Event::WriteBegin(id) = *event else { continue };
            let write = &trace.writes[id];
            let first = log_page(&write.pages[0], write.page.0);
            let Some(first) = first.filter(|_| write.page.0.is_multiple_of(shape.extent_pages))
            else {
                continue;
            };
            // The log begins there.
            if first.chain == 0 {
                continue;
            }
            entered += 1;
            let durable = trace.moment(position).durable;
            let names = |at: u64| {
                let page = durable.get(at).and_then(|page| log_page(&page, at));
                page.is_some_and(|page| {
                    u64::from(page.successor.0) * shape.extent_pages == write.page.0
                        && page.incarnation < first.incarnation
                })
            };
            let is_named = durable.written().into_iter().any(names);
            assert!(is_named, "{name}, event {position}: W4: nothing durable names {first:?}");
        }
    }
    tell(&format!("extents that the log entered by name: {entered}"));
}

/// R1, P6: a process crash loses nothing that was written, and no power cut after it, while the store
/// is opened again or then, takes back what that open showed.
#[test]
fn what_an_open_after_a_process_crash_shows_survives_a_power_cut() {
    let mut random = Random::new(3);
    for (name, shape, ops) in canonical() {
        let fail = |what: String| -> ! { panic!("{name}: {what}") };
        let states = states(&ops, &Model::new());
        let device = SimDevice::new(Pages::zeros(0));
        let mut session = Session::open(&device, shape, &Model::new()).unwrap();
        let (mut durable, mut written) = (0, 0);
        for (at, op) in ops.iter().enumerate() {
            durable = if session.issue(at, op).unwrap() { at + 1 } else { durable };
            let is_written = op.is_weak() && !op.is_buffered();
            written = if is_written { at + 1 } else { written.max(durable) };
        }
        // The process is gone: its handle never closes.
        std::mem::forget(session);
        let killed_at = device.trace().events.len();
        let engine = open(&device, shape, Background::Manual).unwrap();
        let shown = contents(&Db::new(engine.clone())).unwrap();
        std::mem::forget(engine);
        let found = (written..=ops.len()).find(|&r| states[r] == shown);
        let Some(found) = found else { fail("an open lost what was written".into()) };
        let trace = device.trace();
        for position in killed_at..=trace.events.len() {
            let least = if position == trace.events.len() { found } else { durable };
            let promise = Promise { least, most: if least == found { found } else { ops.len() } };
            for_each_image(&trace.moment(position), &mut random, &mut |image| {
                if let Err(what) = verify(image, shape, &states, promise) {
                    fail(format!("power cut after event {position}: {what}"));
                }
            });
        }
    }
}

/// T1c: the N-th transfer, barrier or growth fails, for every N, once or for ever.
#[test]
fn whatever_operation_fails_nothing_acknowledged_is_lost() {
    let (mut indices, mut failures) = (0, 0_u64);
    for (name, shape, ops) in canonical() {
        let states = states(&ops, &Model::new());
        let reference = SimDevice::new(Pages::zeros(0));
        run(&reference, shape, &ops, &Model::new()).unwrap();
        indices += reference.operations();
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
    tell(&format!("failing I/O: {indices} I/O indices, {failures} runs met their error"));
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
    let promise = Promise::after(&trace.events, ops);
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

/// Where every write is durable nothing is said to have been cut short, whatever was there before: zeros,
/// or another volume.
#[test]
fn nothing_is_dropped_where_nothing_was_being_written() {
    let mut opened = 0;
    for (name, shape, ops) in canonical() {
        let elder = SimDevice::new(Pages::zeros(0));
        run(&elder, shape, &ops, &Model::new()).unwrap();
        for medium in [Pages::zeros(0), Pages::with_past(&elder.pages())] {
            let device = SimDevice::new(medium);
            run(&device, shape, &ops, &Model::new()).unwrap();
            let trace = device.trace();
            for position in 0..=trace.events.len() {
                let Moment { durable, pending, lengths, .. } = trace.moment(position);
                if !pending.is_empty() || lengths.len() > 1 {
                    continue;
                }
                opened += 1;
                let engine = open(&SimDevice::new(durable), shape, Background::Manual).unwrap();
                let dropped = Db::new(engine).open_report().dropped_tail;
                assert_eq!(dropped, None, "{name}, event {position}");
            }
        }
    }
    tell(&format!("nothing was dropped in {opened} opens where nothing was being written"));
}

/// What one open drops, no later one drops again, though torn pages of it are left.
#[test]
fn what_was_dropped_once_is_not_reported_again() {
    let device = SimDevice::new(Pages::zeros(0));
    let mut session = Session::open(&device, SMALL, &Model::new()).unwrap();
    session.issue(0, &put(1, 100)).unwrap();
    let pairs = (2..5).map(|key| (key, Some(2900))).collect();
    session.issue(1, &Op::Batch(pairs, Synced)).unwrap();
    let (mut pages, trace) = (device.pages(), device.trace());
    let batch = &trace.writes[trace.writes.len() - 1];
    let last = batch.page.0 + batch.pages.len() as u64 - 1;
    assert_eq!(batch.pages.len(), 3);
    let mut torn = *batch.pages[2];
    torn[SECTOR_BYTES..].fill(0);
    pages.set(last, torn.into());
    let device = SimDevice::new(pages);
    let mut session =
        Session::open(&device, SMALL, &states(&[put(1, 100)], &Model::new())[1]).unwrap();
    let dropped = session.db.open_report().dropped_tail.expect("the batch is torn");
    assert_eq!((dropped.page, dropped.pages), (batch.page.0, 2));
    session.issue(2, &put(1, 90)).unwrap();
    assert_eq!(device.trace().writes.last().unwrap().page.0, last - 1, "the torn page is next");
    let engine = open(&SimDevice::new(device.pages()), SMALL, Background::Manual).unwrap();
    let db = Db::new(engine);
    assert_eq!((db.open_report().dropped_tail, contents(&db)), (None, Ok(session.model.clone())));
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
