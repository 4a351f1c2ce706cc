//! Walking over the records of an extent, as the collector does. What is damaged or cannot be read
//! is passed over: the values in it cannot be moved. Where little is live, [`sparse`] reads only that.

use super::core::Core;
use super::pacer::Pacer;
use super::sparse;
use crate::error::{Error, Result};
use crate::format::extent_state::{ExtentState, Role};
use crate::format::ids::{ExtentNo, Incarnation, PAGE_BYTES, PageNo};
use crate::format::location::Location;
use crate::format::log_page::{self, LogHeader, PAYLOAD_BYTES, PageKind, payload};
use crate::format::record::{Record, decode_record};
use crate::format::value_record::{self, ValueIdentity};
use crate::seeded::{Bug, seeded};

/// Pages that are read at a time: few, as a `get` may have to wait for them.
pub(super) const READ_PAGES: usize = 32;

/// The longest extent whose memory is kept for the next: to map and clear it each time takes as long as
/// to check what is in it.
const MOST_KEPT: usize = 16 << 20;

/// What looks at a record: its key, location and value.
pub(super) type Visit<'a> = dyn FnMut(&[u8], Location, &[u8]) -> Result<()> + 'a;

/// Shows every record beside its key in `extent` that is whole, or only those to which the index
/// refers.
pub(super) fn for_each_record(
    core: &Core,
    extent: ExtentNo,
    state: ExtentState,
    pacer: &Pacer<'_>,
    mut visit: impl FnMut(&[u8], Location, &[u8]) -> Result<()>,
) -> Result<()> {
    if state.role == Role::Log && sparse::for_each_live(core, extent, state, pacer, &mut visit)? {
        return Ok(());
    }
    let pages = core.space.extent_pages() as usize;
    let first = PageNo(u64::from(extent.0) * pages as u64);
    let kept = core.scanned.lock().take().filter(|buf| buf.len() == pages * PAGE_BYTES);
    let mut bytes = kept.map_or_else(|| core.pool.take(pages), Ok)?;
    read_extent(core, first, &mut bytes, pacer)?;
    if seeded(Bug::DamageCopied) {
        log_page::seal_again(&mut bytes, core.store);
    }
    let scanned = match state.role {
        Role::Log => scan_log(core, first, state.incarnation, &bytes, &mut visit),
        Role::Value => scan_values(core, first, state.incarnation, &bytes, &mut visit),
        _ => unreachable!("only these hold records"),
    };
    if bytes.len() <= MOST_KEPT {
        *core.scanned.lock() = Some(bytes);
    }
    scanned
}

/// What [`Bug::KeysFromValues`] is.
pub(super) fn take_keys(core: &Core) -> Result<()> {
    let values = core.space.lines(ExtentNo(0), usize::MAX).into_iter();
    for (extent, state) in values.filter(|(_, state)| state.role == Role::Value) {
        for_each_record(core, extent, state, &Pacer::new(core, true), |key, at, _| {
            if core.index.get(key).is_none() {
                core.index.edit(|edit| edit.replace(key, Some(at)));
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Reads the extent's bytes, zeros where a page cannot be read.
fn read_extent(core: &Core, first: PageNo, bytes: &mut [u8], pacer: &Pacer<'_>) -> Result<()> {
    for (i, window) in bytes.chunks_mut(READ_PAGES * PAGE_BYTES).enumerate() {
        pacer.pause();
        core.count_collection_read(window.len());
        let at = first.plus((i * READ_PAGES) as u64);
        let Err(error) = core.volume.read(at, window) else { continue };
        if matches!(error, Error::Closed) {
            return Err(error);
        }
        for (i, page) in window.chunks_mut(PAGE_BYTES).enumerate() {
            if core.volume.read(at.plus(i as u64), page).is_err() {
                page.fill(0);
            }
        }
    }
    Ok(())
}

fn scan_log(
    core: &Core,
    first: PageNo,
    incarnation: Incarnation,
    bytes: &[u8],
    visit: &mut Visit<'_>,
) -> Result<()> {
    let page_count = bytes.len() / PAGE_BYTES;
    let open = |i: usize| {
        let page = &bytes[i * PAGE_BYTES..(i + 1) * PAGE_BYTES];
        let header = log_page::open(page, core.store, first.plus(i as u64))?;
        let ours = header.kind == PageKind::Batch && header.incarnation == incarnation;
        ours.then(|| (header, payload(page, &header)))
    };
    let follows = |header: &LogHeader, begun: &LogHeader, index: usize| {
        header.batch == begun.batch && header.index as usize == index
    };
    let (mut at, mut stream) = (0, Vec::new());
    while at < page_count {
        let Some((begun, _)) = open(at).filter(|(header, _)| header.index == 0) else {
            at += 1;
            continue;
        };
        stream.clear();
        for index in 0..(begun.count as usize).min(page_count - at) {
            let page = open(at + index).filter(|(header, _)| follows(header, &begun, index));
            let Some((_, payload)) = page else { break };
            stream.extend_from_slice(payload);
        }
        let start = first.plus(at as u64);
        let mut within = 0;
        while let Some(found) = decode_record(&stream, within) {
            if let Record::Put { key, value_len, .. } = found.record {
                let page = start.plus((found.key_at / PAYLOAD_BYTES) as u64);
                let offset = (found.key_at % PAYLOAD_BYTES) as u16;
                let value = found.key_at + key.len();
                let value = &stream[value..value + value_len as usize];
                visit(key, Location::log(page, offset, value_len), value)?;
            }
            within = found.next;
        }
        at += 1;
    }
    Ok(())
}

fn scan_values(
    core: &Core,
    first: PageNo,
    incarnation: Incarnation,
    bytes: &[u8],
    visit: &mut Visit<'_>,
) -> Result<()> {
    let mut at = 0;
    while at < bytes.len() {
        let page = first.plus((at / PAGE_BYTES) as u64);
        let offset = (at % PAGE_BYTES) as u16;
        let identity = ValueIdentity { store: core.store, page, offset, incarnation };
        if let Some(found) = value_record::scan(&bytes[at..], identity) {
            let location = Location::value(page, offset, found.value.len() as u32);
            visit(found.key, location, found.value)?;
            at += found.next_len;
        } else {
            // What is written together begins with a page.
            at = (at / PAGE_BYTES + 1) * PAGE_BYTES;
        }
    }
    Ok(())
}
