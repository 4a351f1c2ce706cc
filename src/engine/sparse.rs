//! Reading only what is live of an extent of the log, where that is little.
//!
//! 1. Its footer lists the records in it; the index says which of them it refers to.
//! 2. Their pages are read, together where they lie close to each other.
//! 3. Each is verified as a `get` verifies it: no byte is handed on before.
//!
//! A footer may begin after an open found its anchor in the extent. What it lists must therefore come
//! up to the live bytes of the extent, or all of it is read.

use super::apply::record_bytes;
use super::core::Core;
use super::pacer::Pacer;
use super::scan::{READ_PAGES, Visit};
use super::verify::pages_of_record;
use super::wanted::Wanted;
use crate::device::{AlignedBuf, ReadRequest};
use crate::error::{Error, Result};
use crate::format::extent_state::ExtentState;
use crate::format::footer::FooterHead;
use crate::format::ids::{ExtentNo, Incarnation, PAGE_BYTES, PageNo};
use crate::format::listed::List;
use crate::format::location::Location;
use crate::format::log_page::{self, LogHeader, PageKind, payload};
use crate::format::record::{Entry, Record};
use crate::seeded::{Bug, seeded};
use std::ops::Range;

/// The part of an extent that may be live, and that may be read of it, for reading it piece by piece:
/// with more, one pass over all of it is no dearer.
const SPARSE_PART: u64 = 2;
/// Pages between two records that are read with them: no dearer than another read.
const GAP_PAGES: u64 = 4;
/// Records that are looked up between two rests.
const LOOKUPS_AT_A_TIME: usize = 64;

/// A record to which the index refers.
struct Live<'a> {
    key: &'a [u8],
    at: Location,
}

impl Live<'_> {
    /// Its pages, by number.
    fn pages(&self) -> Range<u64> {
        let first = self.at.page().0;
        first..first + pages_of_record(self.key, self.at) as u64
    }
}

/// Pages that are read at once, and which records are in them.
#[derive(Debug, PartialEq, Eq)]
struct Stretch {
    pages: Range<u64>,
    records: Range<usize>,
}

impl Stretch {
    fn len(&self) -> u64 {
        self.pages.end - self.pages.start
    }
}

/// Shows the records beside their keys in `extent` of the log to which the index refers, and that are
/// whole. False, and none was shown, if it has no footer that lists all of them, or reading all of the
/// extent is no dearer.
pub(super) fn for_each_live(
    core: &Core,
    extent: ExtentNo,
    state: ExtentState,
    pacer: &Pacer<'_>,
    visit: &mut Visit<'_>,
) -> Result<bool> {
    let most = core.extent_bytes() / SPARSE_PART;
    if core.space.live_in(extent) > most {
        return Ok(false);
    }
    let Some(stream) = read_footer(core, extent, state.incarnation, pacer)? else {
        return Ok(false);
    };
    let Some((_, list)) = FooterHead::decode(&stream) else { return Ok(false) };
    let live_part = core.space.live_in(extent) as f64 / core.extent_bytes() as f64;
    let records = List::new(list).count() as f64 / f64::from(core.space.extent_pages());
    if part_with_live(live_part, records) > 1.0 / SPARSE_PART as f64 {
        return Ok(false);
    }
    let Some(live) = look_up(core, extent, List::new(list), pacer) else { return Ok(false) };
    let stretches = stretches_of(&live);
    let pages: u64 = stretches.iter().map(Stretch::len).sum();
    if pages * PAGE_BYTES as u64 > most {
        return Ok(false);
    }
    let mut rest = &stretches[..];
    while !rest.is_empty() {
        let (together, later) = rest.split_at(at_once(rest));
        rest = later;
        pacer.pause();
        let read = read_together(core, together)?;
        for (stretch, buf) in together.iter().zip(read) {
            for record in &live[stretch.records.clone()] {
                show(core, record, stretch, buf.as_deref(), visit)?;
            }
        }
    }
    Ok(true)
}

/// The part of the pages that are likely to hold something live, where so much of them is, with so many
/// `records` a page: those that begin in it, and the one that reaches into it. Looking all of them up
/// takes as long as reading them.
fn part_with_live(live_part: f64, records: f64) -> f64 {
    1.0 - (1.0 - live_part).powf(records + 1.0)
}

/// The stream of the footer of `extent`; `None` if there is none that is whole.
fn read_footer(
    core: &Core,
    extent: ExtentNo,
    incarnation: Incarnation,
    pacer: &Pacer<'_>,
) -> Result<Option<Vec<u8>>> {
    let extent_pages = u64::from(core.space.extent_pages());
    let end = (u64::from(extent.0) + 1) * extent_pages;
    let open = |page: &[u8], at| log_page::open(page, core.store, at);
    let at = PageNo(end - 1);
    let Some(page) = read_pages(core, at, 1)? else { return Ok(None) };
    let last = open(&page, at).filter(|header| {
        header.kind == PageKind::Footer
            && header.incarnation == incarnation
            && header.index + 1 == header.count
            && u64::from(header.count) < extent_pages
    });
    let Some(last) = last else { return Ok(None) };
    pacer.pause();
    let first = PageNo(end - u64::from(last.count));
    let Some(pages) = read_pages(core, first, last.count as usize)? else { return Ok(None) };
    let mut stream = Vec::new();
    for (index, page) in (0_u32..).zip(pages.chunks_exact(PAGE_BYTES)) {
        let at = first.plus(u64::from(index));
        let expected =
            |header: &LogHeader| LogHeader { page: at, index, used: header.used, ..last };
        let Some(header) = open(page, at).filter(|header| *header == expected(header)) else {
            return Ok(None);
        };
        stream.extend_from_slice(payload(page, &header));
    }
    Ok(Some(stream))
}

/// The records of `list` to which the index refers; `None` if there are others in `extent`.
fn look_up<'a>(
    core: &Core,
    extent: ExtentNo,
    list: List<'a>,
    pacer: &Pacer<'_>,
) -> Option<Vec<Live<'a>>> {
    let mut live = Vec::new();
    let mut found = 0;
    for (number, listed) in list.enumerate() {
        if number % LOOKUPS_AT_A_TIME == LOOKUPS_AT_A_TIME - 1 {
            pacer.pause();
        }
        let Entry::Record { record: Record::Put { key, value_len, .. }, page, offset } = listed?
        else {
            continue;
        };
        let at = Location::log(page, offset, value_len);
        if core.index.get_at_leisure(key) == Some(at) {
            found += record_bytes(key.len(), at);
            live.push(Live { key, at });
        }
    }
    // Nothing comes to be live in it, so what is live now was when it was looked up.
    let is_all = found >= core.space.live_in(extent) || seeded(Bug::PartOfExtentListed);
    let is_inside = |record: &Live<'_>| core.space.extent_of(record.at.page()) == extent;
    (is_all && live.iter().all(is_inside)).then_some(live)
}

/// What is read for `records`, which are in the order of their pages.
fn stretches_of(records: &[Live<'_>]) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for (number, record) in records.iter().enumerate() {
        let pages = record.pages();
        let joins = |last: &&mut Stretch| {
            pages.start >= last.pages.start
                && pages.start <= last.pages.end + GAP_PAGES
                && pages.end <= last.pages.start + READ_PAGES as u64
        };
        match stretches.last_mut().filter(joins) {
            Some(last) => {
                last.pages.end = last.pages.end.max(pages.end);
                last.records.end = number + 1;
            }
            None => stretches.push(Stretch { pages, records: number..number + 1 }),
        }
    }
    stretches
}

/// How many of the first `stretches` are read together: few pages, as a `get` may have to wait for
/// them.
fn at_once(stretches: &[Stretch]) -> usize {
    let mut pages = 0;
    let fits = |stretch: &&Stretch| {
        pages += stretch.len();
        pages <= READ_PAGES as u64
    };
    stretches.iter().take_while(fits).count().max(1)
}

/// The bytes of `stretches`; `None` for one that cannot be read.
fn read_together(core: &Core, stretches: &[Stretch]) -> Result<Vec<Option<AlignedBuf>>> {
    let mut requests = Vec::with_capacity(stretches.len());
    for (tag, stretch) in stretches.iter().enumerate() {
        let buf = core.pool.take(stretch.len() as usize)?;
        core.count_collection_read(buf.len());
        requests.push(ReadRequest { tag, page: PageNo(stretch.pages.start), buf });
    }
    let mut read: Vec<Option<AlignedBuf>> = stretches.iter().map(|_| None).collect();
    let mut closed = false;
    core.volume.read_many(&mut requests.into_iter(), &mut |request, outcome| match outcome {
        Ok(()) => read[request.tag] = Some(request.buf),
        Err(error) => closed |= matches!(error, Error::Closed),
    });
    if closed { Err(Error::Closed) } else { Ok(read) }
}

/// Shows `record`, if it is whole in `read`, the bytes of its stretch, or when its own pages are read
/// once more.
fn show(
    core: &Core,
    record: &Live<'_>,
    stretch: &Stretch,
    read: Option<&[u8]>,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let pages = record.pages();
    let within = |page: u64| (page - stretch.pages.start) as usize * PAGE_BYTES;
    let mut verify_and_visit = |bytes: &[u8]| -> Result<bool> {
        let mut bytes = bytes.to_vec();
        if seeded(Bug::DamageCopied) {
            log_page::seal_again(&mut bytes, core.store);
        }
        match core.verify_log(&Wanted::new(record.key, record.at), &mut bytes) {
            Ok(value) => visit(record.key, record.at, &bytes[value]).map(|()| true),
            Err(_) => Ok(false),
        }
    };
    if let Some(read) = read
        && verify_and_visit(&read[within(pages.start)..within(pages.end)])?
    {
        return Ok(());
    }
    let again = read_pages(core, record.at.page(), (pages.end - pages.start) as usize)?;
    again.map_or(Ok(()), |again| verify_and_visit(&again).map(drop))
}

/// Some pages; `None` if they cannot be read.
fn read_pages(core: &Core, first: PageNo, count: usize) -> Result<Option<AlignedBuf>> {
    let mut buf = core.pool.take(count)?;
    core.count_collection_read(buf.len());
    match core.volume.read(first, &mut buf) {
        Ok(()) => Ok(Some(buf)),
        Err(Error::Closed) => Err(Error::Closed),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_many_records_hold_something_live_sooner() {
        assert!(part_with_live(0.05, 1.0 / 3.0) < 0.1 && part_with_live(0.3, 1.0 / 3.0) < 0.5);
        assert!(part_with_live(0.1, 4.0) < 0.5 && part_with_live(0.2, 4.0) > 0.5);
        assert_eq!(part_with_live(1.0, 4.0), 1.0);
    }
    use crate::db::Db;
    use crate::engine::Engine;
    use crate::options::Options;
    use crate::sync::Arc;

    const KEYS: u32 = 600;
    const VALUE_BYTES: usize = 12_000;

    fn value(number: u32) -> Vec<u8> {
        number.to_le_bytes().repeat(VALUE_BYTES / 4)
    }

    fn open(dir: &tempfile::TempDir) -> (Arc<Engine>, Db) {
        let options = Options::new().extent_bytes(1 << 20).volume_bytes(32 << 20);
        // Nothing is collected by itself.
        let options = options.garbage_ratio(100.0);
        let engine = Engine::open(&dir.path().join("data.vol"), &options).unwrap();
        let db = Db::new(Arc::clone(&engine));
        (engine, db)
    }

    fn put(db: &Db, numbers: Range<u32>) {
        numbers.for_each(|number| db.put(number.to_be_bytes(), value(number)).unwrap());
    }

    /// Leaves those of the keys that `keeps` says, and makes the log of all of them collectable.
    fn thin_out(db: &Db, keeps: impl Fn(u32) -> bool) {
        (0..KEYS).filter(|&n| !keeps(n)).for_each(|n| db.delete(n.to_be_bytes()).unwrap());
        (0..2).for_each(|_| db.checkpoint().unwrap());
    }

    fn assert_holds(db: &Db, keeps: impl Fn(u32) -> bool) {
        for number in 0..KEYS {
            let expected = keeps(number).then(|| value(number));
            let found = db.get(number.to_be_bytes()).unwrap();
            assert_eq!(found.as_deref(), expected.as_deref(), "{number}");
        }
        assert!(db.check().unwrap().is_clean());
    }

    #[test]
    fn where_little_is_live_little_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (_engine, db) = open(&dir);
        put(&db, 0..KEYS);
        let keeps = |number: u32| number.is_multiple_of(20);
        thin_out(&db, keeps);
        db.collect_garbage().unwrap();
        let (live, read) = (KEYS as usize / 20 * VALUE_BYTES, db.metrics().collection_read_bytes);
        println!("{live} bytes are live of {}, {read} were read", KEYS as usize * VALUE_BYTES);
        assert!((live as u64..live as u64 * 3 / 2).contains(&read), "{read} for {live}");
        assert!(db.metrics().value_bytes > 0);
        assert_holds(&db, keeps);
    }

    #[test]
    fn where_most_is_live_all_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (_engine, db) = open(&dir);
        put(&db, 0..KEYS);
        let keeps = |number: u32| !number.is_multiple_of(4);
        thin_out(&db, keeps);
        db.collect_garbage().unwrap();
        assert!(db.metrics().collection_read_bytes > (KEYS as usize * VALUE_BYTES) as u64);
        assert_holds(&db, keeps);
    }

    /// An open from an anchor within an extent does not know what was there before it.
    #[test]
    fn what_a_footer_does_not_list_moves_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, db) = open(&dir);
        put(&db, 0..40);
        let extent = |engine: &Engine, number: u32| {
            let at = engine.locate(&number.to_be_bytes()).unwrap().unwrap();
            engine.core.space.extent_of(at.page())
        };
        let first = extent(&engine, 20);
        assert_eq!(extent(&engine, 39), first);
        (0..2).for_each(|_| db.checkpoint().unwrap());
        db.close().unwrap();
        let (engine, db) = open(&dir);
        put(&db, 40..KEYS);
        assert_eq!(extent(&engine, 40), first);
        let keeps = |number: u32| number == 20 || number == 40;
        thin_out(&db, keeps);
        db.collect_garbage().unwrap();
        assert!([20, 40].iter().all(|&number| extent(&engine, number) != first));
        assert_holds(&db, keeps);
    }

    fn stretches(records: &[(u64, u32)]) -> Vec<(Range<u64>, Range<usize>)> {
        let live: Vec<_> = records
            .iter()
            .map(|&(page, len)| Live { key: b"key", at: Location::log(PageNo(page), 0, len) })
            .collect();
        stretches_of(&live).into_iter().map(|it| (it.pages, it.records)).collect()
    }

    #[test]
    fn records_that_are_close_are_read_together() {
        assert_eq!(stretches(&[]), []);
        assert_eq!(stretches(&[(7, 10), (7, 10), (8, 5000)]), [(7..10, 0..3)]);
        assert_eq!(stretches(&[(7, 10), (12, 10)]), [(7..13, 0..2)]);
        assert_eq!(stretches(&[(7, 10), (13, 10)]), [(7..8, 0..1), (13..14, 1..2)]);
        // No more at a time than elsewhere, but for one that is longer by itself.
        let many: Vec<_> = (0..50).map(|page| (page, 10)).collect();
        assert_eq!(stretches(&many), [(0..32, 0..32), (32..50, 32..50)]);
        assert_eq!(stretches(&[(3, 40 * 4032 - 3), (50, 10)])[0], (3..43, 0..1));
    }

    #[test]
    fn few_pages_are_read_at_once() {
        let stretch = |pages| Stretch { pages: 0..pages, records: 0..1 };
        assert_eq!(at_once(&[stretch(10), stretch(22), stretch(1)]), 2);
        assert_eq!(at_once(&[stretch(40), stretch(1)]), 1);
    }
}
