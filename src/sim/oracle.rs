//! What must be true of a store that was opened after a crash.

use super::branches::Branch;
use super::device::{Page, SimDevice};
use super::trace::{Event, Pages, Trace, Write};
use super::workload::{Model, Op, Shape, WINDOW_BYTES, key, open};
use crate::db::Db;
use crate::engine::Background;
use crate::error::Error;
use crate::format::ids::PageNo;
use crate::format::log_page::{self, PageKind};
use crate::format::superblock::Superblock;
use crate::report::OpenReport;
use crate::sync::Arc;

/// Number of keys that workloads may use, and one that they never do.
pub(crate) const KEYS: u8 = 24;

/// Operations that must be there (P1), and those that may be (P2): counts of a prefix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Promise {
    pub(crate) least: usize,
    pub(crate) most: usize,
}

impl Promise {
    /// For a power cut after `events`, which are of `ops`.
    pub(crate) fn after(events: &[Event], ops: &[Op]) -> Self {
        let mut promise = Self { least: 0, most: 0 };
        let mut acked = 0;
        for event in events {
            match *event {
                Event::Issue(op) => promise.most = op + 1,
                Event::Ack { op, durable } => {
                    acked = op + 1;
                    promise.least = if durable { acked } else { promise.least };
                }
                _ => {}
            }
        }
        // P6: no more than the sync window is at risk, or one write that is larger by itself.
        let mut at_risk = 0;
        for op in (promise.least..acked).rev() {
            at_risk += ops[op].weak_bytes();
            if at_risk > WINDOW_BYTES && op + 1 < acked {
                promise.least = op + 1;
                break;
            }
        }
        promise
    }
}

/// Everything that a store holds, by every way of reading it.
pub(crate) fn contents(db: &Db) -> Result<Model, String> {
    let mut model = Model::new();
    for entry in db.iter() {
        let entry = entry.map_err(|e| format!("scan: {e}"))?;
        let value = entry.value().map_err(|e| format!("value of {entry:?}: {e}"))?;
        model.insert(entry.key().to_vec(), value.into_vec());
    }
    let mut backwards: Vec<_> =
        db.iter().keys().rev().collect::<Result<_, _>>().map_err(|e| format!("scan: {e}"))?;
    backwards.reverse();
    if !backwards.iter().eq(model.keys()) {
        return Err("the reverse scan shows other keys".into());
    }
    if db.len() != model.len() as u64 {
        return Err(format!("len is {} for {} keys", db.len(), model.len()));
    }
    for number in 0..=KEYS {
        let key = key(number);
        let got = db.get(&key).map_err(|e| format!("get {}: {e}", key.escape_ascii()))?;
        if got.as_deref() != model.get(&key).map(Vec::as_slice) {
            return Err(format!("get and scan differ for {}", key.escape_ascii()));
        }
    }
    Ok(model)
}

/// Opens `image` and holds it against `states`. Returns the device, for what comes after, and
/// which state was found.
pub(crate) fn verify(
    image: Pages,
    shape: Shape,
    states: &[Model],
    promise: Promise,
) -> Result<(SimDevice, usize), String> {
    let device = SimDevice::new(image.clone());
    let found = verify_on(&device, shape, states, promise, |report| check_dropped(&image, report))?;
    Ok((device, found))
}

/// The same of every image of a branch.
pub(crate) fn verify_branch(
    branch: &Branch,
    shape: Shape,
    states: &[Model],
    promise: Promise,
) -> Result<usize, String> {
    verify_on(&branch.device, shape, states, promise, |report| {
        check_dropped(&branch.device.trace().start, report)?;
        check_unproven(&branch.device.trace().start, branch.whole_candidates(), report)
    })
}

fn verify_on(
    device: &SimDevice,
    shape: Shape,
    states: &[Model],
    promise: Promise,
    check_dropped: impl Fn(&OpenReport) -> Result<(), String>,
) -> Result<usize, String> {
    let engine =
        open(device, shape, Background::Manual).map_err(|e| format!("does not open: {e}"))?;
    let db = Db::new(Arc::clone(&engine));
    check_written(&device.trace(), db.open_report())?;
    if db.open_report().dropped_tail.is_some() {
        check_dropped(db.open_report())?;
    }
    // The page of a superblock may be torn, and nothing else that is referred to.
    let refers = |what: &String| what.contains("checkpoint") || what.contains("by the log");
    if let Some(what) = db.open_report().repaired.iter().find(|what| refers(what)) {
        return Err(format!("was in force before it was whole (C3): {what}"));
    }
    let found = contents(&db)?;
    let matching = (promise.least..=promise.most).find(|&r| states[r] == found);
    let Some(matching) = matching else {
        let elsewhere = states.iter().position(|state| *state == found);
        return Err(format!("state {elsewhere:?} was found, {promise:?} allowed"));
    };
    crate::device::Device::close(device);
    Ok(matching)
}

/// R2: all that an open writes is the header of its epoch; what it drops, or has doubts about, it leaves
/// alone. A volume that is being created is another matter.
fn check_written(trace: &Trace, report: &OpenReport) -> Result<(), String> {
    let marker = trace.start.get(0).and_then(|page| Superblock::decode(&page[..]).ok());
    if report.created || marker.is_some_and(|marker| marker.creating) {
        return Ok(());
    }
    let is_epoch = |write: &Write| match &write.pages[..] {
        [page] => log_page::open(&page[..], log_page::store_of(&page[..]), write.page)
            .is_some_and(|header| header.kind == PageKind::Epoch),
        _ => false,
    };
    // None, where there is no room for it.
    if trace.writes.len() > 1 || !trace.writes.iter().all(is_epoch) {
        let pages: Vec<_> = trace.writes.iter().map(|write| write.page).collect();
        return Err(format!("an open wrote pages {pages:?} (R2)"));
    }
    Ok(())
}

/// W1: no page of `image` proves a batch that an open dropped.
pub(crate) fn check_dropped(image: &Pages, report: &OpenReport) -> Result<(), String> {
    if report.dropped_tail.is_none() {
        return Ok(());
    }
    let pages = image.written().into_iter().filter_map(|at| Some((at, image.get(at)?)));
    check_unproven(image, pages, report)
}

/// The same of `pages`, which are of the volume in `image`.
fn check_unproven(
    image: &Pages,
    pages: impl IntoIterator<Item = (u64, Page)>,
    report: &OpenReport,
) -> Result<(), String> {
    let superblock = |at| Superblock::decode(&image.get(at)?[..]).ok();
    let superblock = image.written().into_iter().find_map(superblock);
    let Some(Superblock { store, .. }) = superblock else { return Ok(()) };
    for (at, page) in pages {
        let header = log_page::open(&page[..], store, PageNo(at));
        if let Some(header) = header.filter(|header| header.durable.0 > report.recovered_batch) {
            return Err(format!("page {at} proves batch {}: {report:?}", header.durable.0));
        }
    }
    Ok(())
}

/// After a crash the store goes on: it shows the same state once more (P5), takes puts, a checkpoint
/// and a collection, `check` finds it clean, and what is put now is there after the next open.
pub(crate) fn verify_progress(image: Pages, shape: Shape, expected: &Model) -> Result<(), String> {
    let device = SimDevice::new(image);
    let mut expected = expected.clone();
    let db = reopen(&device, shape)?;
    if contents(&db)? != expected {
        return Err("a second open shows another state (P5)".into());
    }
    for number in [0, KEYS - 1] {
        let value = vec![number; 3000];
        match db.put(key(number), &value) {
            Ok(()) => drop(expected.insert(key(number), value)),
            // It says so, and keeps what it has.
            Err(Error::Full { .. }) => {}
            Err(error) => return Err(format!("put: {error}")),
        }
    }
    for (what, done) in [("checkpoint", db.checkpoint()), ("collect", db.collect_garbage())] {
        match done {
            Ok(()) | Err(Error::Full { .. }) => {}
            Err(error) => return Err(format!("{what}: {error}")),
        }
    }
    let report = db.check().map_err(|e| e.to_string())?;
    if !report.is_clean() {
        return Err(format!("check finds {:?}", report.problems));
    }
    db.close().map_err(|e| format!("close: {e}"))?;
    let db = reopen(&SimDevice::new(device.pages()), shape)?;
    if contents(&db)? == expected {
        Ok(())
    } else {
        Err("what was put after recovery is not there".into())
    }
}

fn reopen(device: &SimDevice, shape: Shape) -> Result<Db, String> {
    let engine = open(device, shape, Background::Manual);
    engine.map(Db::new).map_err(|e| format!("does not open: {e}"))
}
