//! Damage at rest, and pages that one open misreads (F7): found, made good, or refused.

use super::device::{Page, SimDevice};
use super::oracle::contents;
use super::random::Random;
use super::tests::canonical;
use super::trace::{Pages, Trace};
use super::workload::{Model, Op, Session, Shape, key, open, run, states};
use crate::db::Db;
use crate::device::Device;
use crate::engine::Background;
use crate::error::Error;
use crate::format::ids::PAGE_BYTES;
use crate::sync::Arc;

/// What may have become of a page.
fn damaged_forms(at: u64, image: &Pages, trace: &Trace, random: &mut Random) -> Vec<Page> {
    let sound = image.get(at).unwrap();
    let mut flipped = *sound;
    flipped[random.below(PAGE_BYTES as u64) as usize] ^= 1 << random.below(8);
    let mut forms = vec![Arc::new(flipped), Arc::new([0; PAGE_BYTES])];
    // Lost writes: what the page held before. Misdirected ones: what was meant for another.
    forms.extend(trace.writes.iter().flat_map(|write| {
        let earlier = at.checked_sub(write.page.0).and_then(|i| write.pages.get(i as usize));
        earlier.filter(|earlier| ***earlier != *sound).cloned()
    }));
    let elsewhere = image.written();
    let other = elsewhere[random.below(elsewhere.len() as u64) as usize];
    forms.extend(image.get(other).filter(|other| **other != *sound));
    forms
}

/// What may be missing (E1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Excused {
    /// Nothing: the volume was closed, and its evidence page proves all of it.
    Nothing,
    /// Batches that nothing proves durable; the report says that they were dropped.
    Dropped,
    /// The same, of which no trace is left.
    LooksUnwritten,
}

/// Opens a volume of which one page is damaged. All must be right, or said to be wrong; where
/// batches are missing, the report must say that they were dropped, which only batches that
/// nothing proves durable may be (E1). What there are two of is `repairable`: it must open.
fn judge(
    image: Pages,
    shape: Shape,
    states: &[Model],
    excused: Excused,
    repairable: bool,
) -> Result<(), String> {
    let device = SimDevice::new(image);
    let engine = match open(&device, shape, Background::Manual) {
        Ok(engine) => engine,
        Err(Error::Corrupt { .. } | Error::NotAStore { .. }) if !repairable => return Ok(()),
        Err(error) => return Err(format!("refused with {error}")),
    };
    let db = Db::new(engine);
    let last = &states[states.len() - 1];
    let report = db.open_report().clone();
    let mut unread = 0;
    let mut found = Model::new();
    for entry in db.iter() {
        let entry = entry.map_err(|e| e.to_string())?;
        match entry.value() {
            Ok(value) => {
                found.insert(entry.key().to_vec(), value.into_vec());
            }
            Err(Error::Corrupt { key: Some(named), .. }) if named == entry.key() => unread += 1,
            Err(error) => return Err(format!("a value is refused with {error}")),
        }
    }
    let check = db.check().map_err(|e| e.to_string())?;
    device.close();
    if unread > 0 && check.is_clean() {
        return Err("check passes over a value that cannot be read".into());
    }
    let agrees = |state: &Model| {
        found.iter().all(|(key, value)| state.get(key) == Some(value))
            && state.len() as u64 == found.len() as u64 + unread
    };
    if agrees(last) {
        return Ok(());
    }
    let reported = report.dropped_tail.is_some() || excused == Excused::LooksUnwritten;
    if excused == Excused::Nothing || !reported {
        return Err(format!("silently shows another state: {report:?}"));
    }
    if states.iter().any(agrees) { Ok(()) } else { Err("shows no state of the past".into()) }
}

/// The volume after `ops`, closed or just left, and how it came to be.
fn volume_after(shape: Shape, ops: &[Op], closed: bool) -> (Pages, Trace) {
    let device = SimDevice::new(Pages::zeros(0));
    if closed {
        run(&device, shape, ops, &Model::new()).unwrap();
    } else {
        let mut session = Session::open(&device, shape, &Model::new()).unwrap();
        for (at, op) in ops.iter().enumerate() {
            session.issue(at, op).unwrap();
        }
        session.db.sync().unwrap();
        device.close();
    }
    (device.pages(), device.trace())
}

/// T1d.
#[test]
fn damage_to_any_page_is_never_silent() {
    let mut opened = 0;
    let mut random = Random::new(11);
    for closed in [true, false] {
        for (name, shape, ops) in canonical() {
            let states = states(&ops, &Model::new());
            let (image, trace) = volume_after(shape, &ops, closed);
            for at in image.written() {
                for (form, page) in
                    damaged_forms(at, &image, &trace, &mut random).into_iter().enumerate()
                {
                    opened += 1;
                    let mut damaged = image.clone();
                    let excused = match (closed, form) {
                        (true, _) => Excused::Nothing,
                        (false, 0) => Excused::Dropped,
                        (false, _) => Excused::LooksUnwritten,
                    };
                    damaged.set(at, page);
                    let repairable = [0, shape.extent_pages - 1].contains(&at);
                    if let Err(what) = judge(damaged, shape, &states, excused, repairable) {
                        panic!("{name}, closed {closed}, page {at}, form {form}: {what}");
                    }
                }
            }
        }
    }
    println!("{opened} damaged volumes");
}

/// What is acknowledged after an open that misread a page is there when the page is back.
#[test]
fn a_page_misread_once_hides_nothing_that_comes_after() {
    let mut opened = 0;
    for (name, shape, ops) in canonical() {
        let (image, _) = volume_after(shape, &ops, false);
        for at in image.written() {
            let sound = image.get(at).unwrap();
            let mut misread = image.clone();
            let zeros: Page = Arc::new([0; PAGE_BYTES]);
            misread.set(at, zeros.clone());
            let device = SimDevice::new(misread);
            let Ok(engine) = open(&device, shape, Background::Manual) else { continue };
            let db = Db::new(engine);
            let Ok(mut shown) = contents(&db) else { continue };
            for number in [20, 21, 22] {
                db.put(key(number), [number; 1500]).unwrap();
                shown.insert(key(number), vec![number; 1500]);
            }
            device.close();
            let mut restored = device.pages();
            if restored.get(at) == Some(zeros) {
                restored.set(at, sound);
            }
            opened += 1;
            match open(&SimDevice::new(restored), shape, Background::Manual) {
                Ok(engine) => {
                    let found = contents(&Db::new(engine)).unwrap();
                    assert!(found == shown, "{name}, page {at}: the next open shows another state");
                }
                Err(Error::Corrupt { .. }) => {}
                Err(error) => panic!("{name}, page {at}: {error}"),
            }
        }
    }
    println!("{opened} volumes");
}
