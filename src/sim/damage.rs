//! Damage at rest, and pages that one open misreads (F7): found, made good, or refused.

use super::canonical::canonical;
use super::device::{Page, SECTOR_BYTES, SimDevice};
use super::oracle::{KEYS, Promise, check_dropped, contents};
use super::random::Random;
use super::tell;
use super::trace::{Event, Pages, Trace};
use super::workload::{Model, Op, Session, Shape, key, open, run, states};
use crate::db::Db;
use crate::device::Device;
use crate::engine::Background;
use crate::error::Error;
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::format::image::RootPage;
use crate::format::log_page::{self, PAYLOAD_BYTES, PageKind};
use crate::format::superblock::Superblock;
use crate::sync::Arc;
use std::collections::BTreeSet;

/// What became of a page.
#[derive(Debug, Clone)]
enum Form {
    /// It holds something else.
    Other(Page),
    /// Reads of it fail.
    Unreadable,
}

/// Forms of a page of which one bit is wrong.
const FLIPS: usize = PAGE_BYTES / SECTOR_BYTES;

/// What may have become of a page.
fn damaged_forms(at: u64, image: &Pages, trace: &Trace, random: &mut Random) -> Vec<Form> {
    let sound = image.get(at).unwrap();
    // One bit in each sector.
    let flipped = (0..FLIPS).map(|sector| {
        let mut page = *sound;
        let byte = sector * SECTOR_BYTES + random.below(SECTOR_BYTES as u64) as usize;
        page[byte] ^= 1 << random.below(8);
        Arc::new(page)
    });
    let mut forms: Vec<Page> = flipped.chain([Arc::new([0; PAGE_BYTES])]).collect();
    // Lost writes: what the page held before. Misdirected ones: what was meant for another.
    forms.extend(earlier_forms(at, image, trace));
    let elsewhere = image.written();
    let other = elsewhere[random.below(elsewhere.len() as u64) as usize];
    forms.extend(image.get(other).filter(|other| **other != *sound));
    let unreadable = std::iter::once(Form::Unreadable);
    forms.into_iter().map(Form::Other).chain(unreadable).collect()
}

/// What was written to the page before it came to hold what it does.
fn earlier_forms<'t>(at: u64, image: &Pages, trace: &'t Trace) -> impl Iterator<Item = Page> + 't {
    let sound = image.get(at).unwrap();
    trace.writes.iter().filter_map(move |write| {
        let earlier = at.checked_sub(write.page.0).and_then(|i| write.pages.get(i as usize));
        earlier.filter(|earlier| ***earlier != *sound).cloned()
    })
}

/// What may be missing (E1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Excused {
    /// Nothing: the volume was closed, and its evidence page proves all of it; or the page could not
    /// be read, which is no tear (W1).
    Nothing,
    /// Batches that nothing proves durable; the report says that they were dropped.
    Dropped,
    /// The same, of which no trace is left.
    LooksUnwritten,
}

/// A volume of which one page is damaged, and what it has to show.
struct Case<'a> {
    image: Pages,
    at: u64,
    form: Form,
    shape: Shape,
    states: &'a [Model],
    /// The fewest operations that it shows if nothing is dropped.
    least: usize,
    excused: Excused,
    /// What there are two of: it must open.
    repairable: bool,
}

impl Case<'_> {
    /// Opens the volume. All must be right, or said to be wrong: a value is there, or an error names
    /// its key, and it lies in the damaged page; what is missing nothing proves durable, and the report
    /// says that it was dropped.
    fn judge(mut self) -> Result<(), String> {
        let mut device = SimDevice::new(self.image.clone());
        match &self.form {
            Form::Other(page) => {
                self.image.set(self.at, Arc::clone(page));
                device = SimDevice::new(self.image.clone());
            }
            Form::Unreadable => device.set_unreadable(Some(self.at)),
        }
        let engine = match open(&device, self.shape, Background::Manual) {
            Ok(engine) => engine,
            Err(error) => return self.judge_refusal(&device, &error),
        };
        let db = Db::new(engine);
        let report = db.open_report().clone();
        check_dropped(&self.image, &report)?;
        let seen = self.look(&db)?;
        let check = db.check().map_err(|e| e.to_string())?;
        if !seen.unread.is_empty() && check.is_clean() {
            return Err("check passes over a value that cannot be read".into());
        }
        let agrees = |state: &Model| {
            seen.found.iter().all(|(key, value)| state.get(key) == Some(value))
                && seen.unread.iter().all(|key| state.contains_key(key))
                && state.len() == seen.found.len() + seen.unread.len()
        };
        let complete = self.states[self.least..].iter().any(agrees);
        let reported = report.dropped_tail.is_some() || self.excused == Excused::LooksUnwritten;
        if !complete && (self.excused == Excused::Nothing || !reported) {
            return Err(format!("silently shows another state: {report:?}"));
        }
        if !self.states.iter().any(agrees) {
            return Err("shows no state of the past".into());
        }
        // What is collected is neither lost nor made good.
        match db.collect_garbage() {
            Ok(()) | Err(Error::Full { .. }) => {}
            Err(error) => return Err(format!("collecting: {error}")),
        }
        let after = self.look(&db).map_err(|what| format!("after collecting, {what}"))?;
        device.close();
        if after == seen { Ok(()) } else { Err("collecting changes what is shown".into()) }
    }

    fn judge_refusal(&self, device: &SimDevice, error: &Error) -> Result<(), String> {
        if !device.trace().writes.is_empty() {
            return Err(format!("wrote, and refused with {error}"));
        }
        match (&self.form, error) {
            _ if self.repairable => Err(format!("refused with {error}")),
            (Form::Unreadable, Error::Io { op: "read", .. })
            | (Form::Other(_), Error::Corrupt { .. } | Error::NotAStore { .. }) => Ok(()),
            _ => Err(format!("refused with {error}")),
        }
    }

    /// All that can be seen, by a scan and by gets of all keys that there may be.
    fn look(&self, db: &Db) -> Result<Seen, String> {
        let mut seen = Seen::default();
        for entry in db.iter() {
            let entry = entry.map_err(|e| e.to_string())?;
            match entry.value() {
                Ok(value) => drop(seen.found.insert(entry.key().to_vec(), value.into_vec())),
                Err(error) => {
                    self.check_error(entry.key(), entry.value_len(), &error)?;
                    seen.unread.push(entry.key().to_vec());
                }
            }
        }
        for key in (0..KEYS).map(key) {
            let agrees = match db.get(&key) {
                Ok(value) => seen.found.get(&key).map(Vec::as_slice) == value.as_deref(),
                Err(_) => seen.unread.contains(&key),
            };
            if !agrees || (seen.unread.contains(&key) && db.get(&key).is_ok()) {
                return Err(format!("get and scan differ for {}", key.escape_ascii()));
            }
        }
        Ok(seen)
    }

    /// The error names the key, and a page of the value's from which the damaged one is not far.
    fn check_error(&self, key: &[u8], len: u64, error: &Error) -> Result<(), String> {
        let page = match error {
            Error::Corrupt { key: Some(named), page, .. } if named == key => *page,
            Error::Io { op: "read", page, .. } if matches!(self.form, Form::Unreadable) => *page,
            error => return Err(format!("a value is refused with {error}")),
        };
        let pages = len / PAYLOAD_BYTES as u64 + 2;
        if (page..=page + pages).contains(&self.at) {
            Ok(())
        } else {
            Err(format!("the value of {} is lost, and not damaged", key.escape_ascii()))
        }
    }
}

/// What a store shows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    found: Model,
    /// Keys whose values cannot be read.
    unread: Vec<Vec<u8>>,
}

/// What there are two of: superblocks, and the newest image where it has an elder.
fn repairable_pages(image: &Pages, shape: Shape) -> BTreeSet<u64> {
    let places = [0, shape.extent_pages - 1];
    let superblocks = places.map(|at| Superblock::decode(&image.get(at).unwrap()[..]));
    let newest = superblocks.into_iter().flatten().max_by_key(|superblock| superblock.generation);
    let mut pages = BTreeSet::from(places);
    let Some(newest) = newest.filter(|newest| newest.previous.is_some()) else { return pages };
    let mut at = newest.checkpoint.root;
    while at != PageNo(0) {
        let root = RootPage::decode(&image.get(at.0).unwrap()[..], newest.store, at).unwrap();
        pages.extend(root.extents.iter().flat_map(|extent| {
            let first = u64::from(extent.0) * shape.extent_pages;
            first..first + shape.extent_pages
        }));
        at = root.next;
    }
    pages
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
            let repairable = repairable_pages(&image, shape);
            for at in image.written() {
                for (number, form) in
                    damaged_forms(at, &image, &trace, &mut random).into_iter().enumerate()
                {
                    opened += 1;
                    let excused = match (closed, &form, number) {
                        (true, ..) | (_, Form::Unreadable, _) => Excused::Nothing,
                        (false, _, 0..FLIPS) => Excused::Dropped,
                        (false, ..) => Excused::LooksUnwritten,
                    };
                    let case = Case {
                        image: image.clone(),
                        at,
                        form,
                        shape,
                        states: &states,
                        least: ops.len(),
                        excused,
                        repairable: repairable.contains(&at),
                    };
                    if let Err(what) = case.judge() {
                        panic!("{name}, closed {closed}, page {at}, form {number}: {what}");
                    }
                }
            }
        }
    }
    tell(&format!("damage at rest: {opened} volumes with one damaged page"));
}

/// Pages of the log that are damaged where power was cut: the last that were written.
const LAST_PAGES: usize = 4;

/// F7 after F2: what was durable when power was cut, and is damaged then, is dropped only where
/// nothing proves it (E1), and with it goes nothing else.
#[test]
fn damage_after_a_power_cut_takes_nothing_else() {
    let mut opened = 0;
    for (name, shape, ops) in canonical() {
        let states = states(&ops, &Model::new());
        let device = SimDevice::new(Pages::zeros(0));
        run(&device, shape, &ops, &Model::new()).unwrap();
        let trace = device.trace();
        for position in 0..=trace.events.len() {
            let moment = trace.moment(position);
            let promise = Promise::after(&trace.events[..position], &ops);
            if promise.most == 0 {
                continue;
            }
            let mut all_new = moment.durable.clone();
            for (&at, versions) in &moment.pending {
                all_new.set(at, Arc::clone(&versions[versions.len() - 1]));
            }
            let mut last_new = moment.durable.clone();
            if let Some((&at, versions)) = moment.pending.last_key_value() {
                last_new.set(at, Arc::clone(&versions[versions.len() - 1]));
            }
            for image in [moment.durable.clone(), all_new, last_new] {
                for at in last_log_pages(&trace, position) {
                    opened += 1;
                    let case = Case {
                        image: image.clone(),
                        at,
                        form: Form::Other(Arc::new([0; PAGE_BYTES])),
                        shape,
                        states: &states[..=promise.most],
                        least: promise.least,
                        excused: Excused::LooksUnwritten,
                        repairable: false,
                    };
                    if let Err(what) = case.judge() {
                        panic!("{name}, power cut after event {position}, page {at}: {what}");
                    }
                }
            }
        }
    }
    tell(&format!("damage after a power cut: {opened} images"));
}

/// The pages with records that were written last, before event `position`.
fn last_log_pages(trace: &Trace, position: usize) -> Vec<u64> {
    let mut pages = Vec::new();
    for event in trace.events[..position].iter().rev() {
        let Event::WriteBegin(id) = *event else { continue };
        let write = &trace.writes[id];
        for (i, page) in write.pages.iter().enumerate().rev() {
            let at = write.page.plus(i as u64);
            let header = log_page::open(&page[..], log_page::store_of(&page[..]), at);
            if header.is_some_and(|header| header.kind == PageKind::Batch) {
                pages.push(at.0);
            }
        }
        if pages.len() >= LAST_PAGES {
            break;
        }
    }
    pages
}

/// What is acknowledged after an open that misread a page is there when the page is back.
#[test]
fn a_page_misread_once_hides_nothing_that_comes_after() {
    let mut opened = 0;
    for (name, shape, ops) in canonical() {
        let (image, trace) = volume_after(shape, &ops, false);
        let zeros: Page = Arc::new([0; PAGE_BYTES]);
        let forms = image.written().into_iter().flat_map(|at| {
            let earlier = earlier_forms(at, &image, &trace).last();
            [Some(zeros.clone()), earlier].into_iter().flatten().map(move |form| (at, form))
        });
        for (at, form) in forms {
            let sound = image.get(at).unwrap();
            let mut misread = image.clone();
            misread.set(at, form.clone());
            let device = SimDevice::new(misread);
            let Ok(engine) = open(&device, shape, Background::Manual) else { continue };
            let db = Db::new(engine);
            let Ok(mut shown) = contents(&db) else { continue };
            for number in [20, 21, 22] {
                match db.put(key(number), [number; 1500]) {
                    Ok(()) => drop(shown.insert(key(number), vec![number; 1500])),
                    Err(Error::Full { .. }) => break,
                    Err(error) => panic!("{name}, page {at}: {error}"),
                }
            }
            device.close();
            let mut restored = device.pages();
            if restored.get(at) == Some(form) {
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
    tell(&format!("a page misread once: {opened} volumes"));
}
