//! Whether a schedule showed what some order of the operations allows, and what a power cut in it
//! leaves.

use super::super::device::SimDevice;
use super::super::history::{Counts, check_no_holes, position};
use super::super::image::for_each_image;
use super::super::random::Random;
use super::super::trace::{Event, Pages};
use super::super::workload::Model;
use super::open_with;
use super::plan::{COUNTER, Plan};
use super::run::{Run, Tally, number};
use crate::db::Db;
use crate::device::{BufferPool, Device};
use crate::engine::Background;

/// Moments at which power is cut, and images of each that are opened.
const CUTS: usize = 2;
const IMAGES: usize = 4;

/// Where a call and its answer are in the trace.
fn span(events: &[Event], op: usize) -> (usize, usize) {
    let from = position(events, |event| *event == Event::Issue(op)).expect("it was issued");
    let acked = |event: &Event| matches!(event, Event::Ack { op: acked, .. } if *acked == op);
    (from, position(events, acked).unwrap_or(events.len()))
}

/// Holds all that was shown against the order of the calls.
pub(super) fn check_run(plan: &Plan, run: &Run) -> Result<(), String> {
    let events = &run.trace.events;
    let mut seen: Vec<((usize, usize), Counts)> = Vec::new();
    for look in &run.looks {
        let span = span(events, look.op);
        let mut allowed = plan.history.between(events, span.0, span.1);
        for (_, earlier) in seen.iter().filter(|(earlier, _)| earlier.1 < span.0) {
            for (allowed, earlier) in allowed.iter_mut().zip(earlier) {
                *allowed = (*allowed.start()).max(*earlier.start())..=*allowed.end();
            }
        }
        let matching = plan
            .history
            .matching(&look.found, look.key.as_deref(), &allowed)
            .map_err(|what| format!("call {} shows {:?}: {what}", look.op, short(&look.found)))?;
        if look.key.is_none() {
            check_no_holes(&matching, events)?;
        }
        seen.push((span, matching));
    }
    if let Some(last) = &run.last {
        let all = plan.history.between(events, events.len(), events.len());
        plan.history.matching(last, None, &all).map_err(|what| format!("in the end, {what}"))?;
    }
    check_tallies(run)
}

/// The counter only goes up, and nobody makes of it what somebody else did.
fn check_tallies(run: &Run) -> Result<(), String> {
    for (i, a) in run.tallies.iter().enumerate() {
        for b in &run.tallies[i + 1..] {
            let ((a_from, a_until), (b_from, b_until)) =
                (span(&run.trace.events, a.op), span(&run.trace.events, b.op));
            let back = (a_until < b_from && a.value > b.value)
                || (b_until < a_from && b.value > a.value)
                || (a.made && b.made && a.value == b.value);
            if back {
                return Err(format!("the counter: {a:?} and {b:?}"));
            }
        }
    }
    let made = run.tallies.iter().filter(|tally| tally.made).count() as u64;
    match run.last.as_ref().map(|last| number(last.get(COUNTER).map(Vec::as_slice))) {
        Some(last) if last != made => Err(format!("{made} counted, and the counter is {last}")),
        _ => Ok(()),
    }
}

/// Opens what the schedule left, and with `cut` what power cuts leave. Returns how many images.
pub(super) fn check_images(
    plan: &Plan,
    run: &Run,
    cut: bool,
    pool: &BufferPool,
    random: &mut Random,
) -> Result<u64, String> {
    let events = &run.trace.events;
    check_closed(plan, run, pool).map_err(|what| format!("closed and opened again, {what}"))?;
    let mut images = 1;
    for _ in 0..if cut { CUTS } else { 0 } {
        let at = random.below(events.len() as u64 + 1) as usize;
        let mut all = Vec::new();
        for_each_image(&run.trace.moment(at), random, &mut |image| all.push(image));
        let step = all.len().div_ceil(IMAGES);
        for image in all.into_iter().step_by(step) {
            images += 1;
            check_image(plan, run, at, image, pool)
                .map_err(|what| format!("power cut after event {at}: {what}"))?;
        }
    }
    Ok(images)
}

fn check_closed(plan: &Plan, run: &Run, pool: &BufferPool) -> Result<(), String> {
    let events = &run.trace.events;
    let found = contents(plan, run.closed.clone(), pool)?;
    if let Some(last) = &run.last {
        return if found == *last { Ok(()) } else { Err("it shows something else".into()) };
    }
    let all = plan.history.between(events, events.len(), events.len());
    check_no_holes(&plan.history.matching(&found, None, &all)?, events)?;
    check_counter(&found, run, events.len(), |_| true)
}

fn check_image(
    plan: &Plan,
    run: &Run,
    cut: usize,
    image: Pages,
    pool: &BufferPool,
) -> Result<(), String> {
    let events = &run.trace.events;
    let found = contents(plan, image, pool)?;
    let allowed = plan.history.after_power_cut(&events[..cut]);
    check_no_holes(&plan.history.matching(&found, None, &allowed)?, events)?;
    let durable = |tally: &Tally| events.contains(&Event::Ack { op: tally.op, durable: true });
    check_counter(&found, run, cut, durable)
}

/// P1 of the counter: it is not behind what was promised, nor ahead of what was asked for.
fn check_counter(
    found: &Model,
    run: &Run,
    cut: usize,
    promised: impl Fn(&Tally) -> bool,
) -> Result<(), String> {
    let value = number(found.get(COUNTER).map(Vec::as_slice));
    let acked = |tally: &&Tally| span(&run.trace.events, tally.op).1 < cut && promised(tally);
    let least = run.tallies.iter().filter(acked).map(|tally| tally.value).max().unwrap_or(0);
    if value < least { Err(format!("the counter is {value}, was {least}")) } else { Ok(()) }
}

fn contents(plan: &Plan, image: Pages, pool: &BufferPool) -> Result<Model, String> {
    let device = SimDevice::new(image);
    let engine = open_with(&device, pool, plan.options(), Background::Manual)
        .map_err(|e| format!("does not open: {e}"))?;
    let db = Db::new(engine);
    if db.open_report().repaired.iter().any(|what| what.contains("checkpoint")) {
        return Err("a checkpoint was in force before it was whole (C3)".into());
    }
    let found = super::run::scan_all(&db).map_err(|e| format!("scan: {e}"))?;
    Device::close(&device);
    Ok(plan.without_residents(found, true))
}

/// The values' first bytes.
fn short(found: &Model) -> Vec<(String, &[u8])> {
    found.iter().map(|(k, v)| (k.escape_ascii().to_string(), &v[..v.len().min(4)])).collect()
}
