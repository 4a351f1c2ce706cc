//! What proves the log, where power was cut and a page is damaged or misread beside (F2, F7).

use super::canonical::{SMALL, TINY, put};
use super::device::{Page, SimDevice};
use super::image::for_each_image;
use super::oracle::contents;
use super::random::Random;
use super::tell;
use super::trace::{Event, Pages, Trace};
use super::workload::{Model, Op, Session, Shape, key, open, states};
use crate::batch::WriteBatch;
use crate::db::Db;
use crate::device::Device;
use crate::durability::Durability::{Synced, Written};
use crate::engine::Background;
use crate::error::Error;
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::format::log_page::{self, LogHeader, PageKind};
use crate::format::superblock::Superblock;
use crate::sync::Arc;

/// What `ops` leave on a device that nobody closes.
fn left_by(shape: Shape, ops: &[Op]) -> (Pages, Trace) {
    let device = SimDevice::new(Pages::zeros(0));
    let mut session = Session::open(&device, shape, &Model::new()).unwrap();
    for (at, op) in ops.iter().enumerate() {
        session.issue(at, op).unwrap();
    }
    device.close();
    (device.pages(), device.trace())
}

fn header(page: &Page, at: u64) -> Option<LogHeader> {
    log_page::open(&page[..], log_page::store_of(&page[..]), PageNo(at))
}

fn with_flipped_bit(page: &Page) -> Page {
    let mut flipped = **page;
    flipped[1000] ^= 1;
    Arc::new(flipped)
}

/// W1: a batch of which no page in the log's chain says that it is durable, but one behind the break
/// does. What is wrong with it is damage.
#[test]
fn a_value_that_only_a_page_behind_the_break_proves_is_not_dropped() {
    let ops = [
        Op::Put(1, 9000, Written),
        Op::Put(2, 100, Written),
        Op::Sync,
        Op::Put(3, 100, Written),
        Op::Put(4, 100, Written),
    ];
    let (mut pages, trace) = left_by(SMALL, &ops);
    let batches: Vec<_> = trace
        .writes
        .iter()
        .map(|write| write.page.0)
        .filter(|&at| {
            header(&pages.get(at).unwrap(), at).is_some_and(|it| it.kind == PageKind::Batch)
        })
        .collect();
    let &[_, _, third, fourth] = &batches[..] else { panic!("{batches:?}") };
    assert_eq!(header(&pages.get(fourth).unwrap(), fourth).unwrap().durable.0, 2);
    pages.set(third, Arc::new([0; PAGE_BYTES]));
    let value = trace.writes.iter().find(|write| write.pages.len() == 4).expect("a large value");
    let damaged = value.page.plus(2).0;
    pages.set(damaged, with_flipped_bit(&pages.get(damaged).unwrap()));
    let db = Db::new(open(&SimDevice::new(pages), SMALL, Background::Manual).unwrap());
    assert_eq!(db.open_report().recovered_batch, 2);
    let error = db.get(key(1)).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { key: Some(named), .. } if *named == key(1)));
    assert_eq!(db.get(key(2)).unwrap().unwrap(), states(&ops, &Model::new())[2][&key(2)]);
    assert_eq!((db.get(key(3)).unwrap(), db.get(key(4)).unwrap()), (None, None));
}

/// W1: an epoch's header is damaged, and what the epoch wrote proves no batch of its own. That it wrote
/// proves that it began.
#[test]
fn an_epoch_that_went_on_is_not_dropped_for_its_first_page() {
    let (mut pages, _) = left_by(SMALL, &[put(1, 100), Op::Kill, put(2, 100)]);
    let headers = pages.written().into_iter().filter_map(|at| {
        let header = header(&pages.get(at).unwrap(), at)?;
        (header.kind == PageKind::Epoch).then_some((header.epoch, at))
    });
    let (_, at) = headers.max().unwrap();
    pages.set(at, with_flipped_bit(&pages.get(at).unwrap()));
    let device = SimDevice::new(pages);
    let refused = open(&device, SMALL, Background::Manual).unwrap_err();
    assert!(matches!(refused, Error::Corrupt { page, .. } if page == at), "{refused}");
    assert!(device.trace().writes.is_empty(), "nothing is written");
}

/// Extents that end with a footer, and with room for an epoch's header, while the first batch of the
/// next one, of several pages, is on its way. Four go into an extent.
fn footers_beside_batches() -> Trace {
    let device = SimDevice::new(Pages::zeros(0));
    let engine = open(&device, SMALL, Background::Manual).unwrap();
    let db = Db::new(Arc::clone(&engine));
    for number in 0..20_u8 {
        let mut batch = WriteBatch::new();
        (0..3).for_each(|part| batch.put(key(3 * number + part), [number; 2700]));
        let begins = number % 4 == 0;
        db.with_durability(if begins { Written } else { Synced }).write(&batch).unwrap();
        let written = engine.footer_step().unwrap();
        assert_eq!(written, begins && number > 0, "a footer, after batch {number}");
    }
    device.trace()
}

/// One open misreads a footer where the successor's first batch is torn, and the log goes on elsewhere
/// than the footer says. The next open, which reads it, must not believe it.
#[test]
fn a_footer_misread_once_where_power_was_cut_hides_nothing() {
    let trace = footers_beside_batches();
    let zeros: Page = Arc::new([0; PAGE_BYTES]);
    let (mut random, mut opened, mut torn) = (Random::new(5), 0, 0);
    for position in 0..=trace.events.len() {
        let moment = trace.moment(position);
        let written = position > 0 && matches!(trace.events[position - 1], Event::WriteEnd(_));
        if !written || moment.pending.len() < 2 {
            continue;
        }
        let mut images = Vec::new();
        for_each_image(&moment, &mut random, &mut |image| images.push(image));
        for image in images {
            let newest = image.written().into_iter().filter_map(|at| {
                let header = header(&image.get(at).unwrap(), at)?;
                (header.kind == PageKind::Footer).then_some((header.batch, at))
            });
            // What is durable was tried at the moment at which it was not.
            let newest = newest.max().filter(|(_, at)| moment.pending.contains_key(at));
            let Some((_, at)) = newest else { continue };
            opened += 1;
            let mut misread = image.clone();
            misread.set(at, zeros.clone());
            let device = SimDevice::new(misread);
            let db = Db::new(open(&device, SMALL, Background::Manual).unwrap());
            torn += u64::from(db.open_report().dropped_tail.is_some());
            let mut shown = contents(&db).unwrap();
            db.put(key(100), [100; 1500]).unwrap();
            shown.insert(key(100), vec![100; 1500]);
            device.close();
            let mut restored = device.pages();
            if restored.get(at) == Some(zeros.clone()) {
                restored.set(at, image.get(at).unwrap());
            }
            let engine = open(&SimDevice::new(restored), SMALL, Background::Manual).unwrap();
            let found = contents(&Db::new(engine)).unwrap();
            assert!(found == shown, "event {position}, footer at {at}: {:?}", found.keys());
        }
    }
    tell(&format!(
        "a footer misread once where power was cut: {opened} images, {torn} of them torn"
    ));
    assert!(torn > 0, "the first batch after it");
}

/// C4: opened by the older superblock, a store knows no checkpoint before, as that was given up for the
/// one that is lost. Nor does the superblock that it writes next: the log goes where that one's was.
#[test]
fn a_checkpoint_that_was_given_up_is_named_no_more() {
    let overwrites = || (0..6).map(|_| put(1, 1500)).chain([Op::Checkpoint]);
    let ops: Vec<_> = (0..4).flat_map(|_| overwrites()).chain([put(1, 9)]).collect();
    let (mut pages, _) = left_by(TINY, &ops);
    let places = [0, TINY.extent_pages - 1];
    let generation =
        |at: &u64| Superblock::decode(&pages.get(*at).unwrap()[..]).unwrap().generation;
    let newest = places.into_iter().max_by_key(generation).unwrap();
    pages.set(newest, with_flipped_bit(&pages.get(newest).unwrap()));
    for puts in 0..20 {
        let device = SimDevice::new(pages.clone());
        let db = Db::new(open(&device, TINY, Background::Manual).unwrap());
        (0..puts).for_each(|number| db.put(key(2), [number; 1500]).unwrap());
        let shown = contents(&db).unwrap();
        db.close().unwrap();
        let engine = open(&SimDevice::new(device.pages()), TINY, Background::Manual)
            .unwrap_or_else(|error| panic!("after {puts} puts: {error}"));
        assert!(contents(&Db::new(engine)).unwrap() == shown, "after {puts} puts");
    }
}
