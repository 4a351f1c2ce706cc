//! What happened on a simulated device, in order: enough to build the device as a crash at any
//! moment could have left it.

use super::device::{Page, page_of};
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::sync::Arc;
use std::collections::BTreeMap;

/// Pages of an image; those that are not listed are zeros.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages {
    pages: BTreeMap<u64, Page>,
    len: u64,
}

impl Pages {
    pub(crate) fn zeros(len: u64) -> Self {
        Self { pages: BTreeMap::new(), len }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn get(&self, at: u64) -> Option<Page> {
        let zeros = || Arc::new([0; PAGE_BYTES]);
        (at < self.len).then(|| self.pages.get(&at).cloned().unwrap_or_else(zeros))
    }

    pub(crate) fn set(&mut self, at: u64, page: Page) {
        self.pages.insert(at, page);
    }

    /// The pages that were ever written.
    pub(crate) fn written(&self) -> Vec<u64> {
        self.pages.keys().copied().collect()
    }

    pub(crate) fn grow(&mut self, len: u64) {
        self.len = self.len.max(len);
    }

    pub(crate) fn truncate(&mut self, len: u64) {
        self.len = len;
        self.pages.split_off(&len);
    }
}

/// One write, of one or more pages.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) page: PageNo,
    pub(crate) pages: Vec<Page>,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Write number so-and-so was handed over.
    WriteBegin(usize),
    /// It returned.
    WriteEnd(usize),
    /// A barrier was called.
    BarrierBegin(usize),
    /// It returned Ok.
    BarrierEnd(usize),
    /// The device has this many pages.
    Grow(u64),
    /// The test called an operation.
    Issue(usize),
    /// It returned Ok; `durable` says whether it must survive a power cut.
    Ack { op: usize, durable: bool },
}

/// A history of a device.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) start: Pages,
    pub(crate) events: Vec<Event>,
    pub(crate) writes: Vec<Write>,
    barriers: usize,
}

/// A device at one moment: what is surely there, and what may be, page by page.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    /// All that barriers made durable.
    pub(crate) durable: Pages,
    /// Versions that pages may have instead, in the order they were written.
    pub(crate) pending: BTreeMap<u64, Vec<Page>>,
    /// Lengths that the device may have, shortest first.
    pub(crate) lengths: Vec<u64>,
}

impl Trace {
    pub(super) fn new(start: Pages) -> Self {
        Self { start, events: Vec::new(), writes: Vec::new(), barriers: 0 }
    }

    pub(super) fn begin_write(&mut self, page: PageNo, bytes: &[u8]) -> usize {
        let id = self.writes.len();
        let pages = bytes.chunks_exact(PAGE_BYTES).map(page_of).collect();
        self.writes.push(Write { page, pages });
        self.events.push(Event::WriteBegin(id));
        id
    }

    pub(super) fn begin_barrier(&mut self) -> usize {
        let id = self.barriers;
        self.barriers += 1;
        self.events.push(Event::BarrierBegin(id));
        id
    }

    /// What a crash after the first `count` events leaves.
    pub(crate) fn moment(&self, count: usize) -> Moment {
        let events = &self.events[..count];
        let covered = self.covered_until(events);
        let mut moment = Moment {
            durable: self.start.clone(),
            pending: BTreeMap::new(),
            lengths: vec![self.start.len()],
        };
        for (at, event) in events.iter().enumerate() {
            match *event {
                Event::WriteBegin(id) => {
                    let end = events.iter().position(|e| *e == Event::WriteEnd(id));
                    moment.add(&self.writes[id], end.is_some_and(|end| end < covered));
                }
                Event::Grow(len) if at < covered => {
                    moment.durable.grow(len);
                    moment.lengths = vec![len];
                }
                Event::Grow(len) => moment.lengths.push(len),
                _ => {}
            }
        }
        moment
    }

    /// Where the latest barrier that returned was called: what ended before is durable.
    fn covered_until(&self, events: &[Event]) -> usize {
        let begins = events.iter().enumerate().filter_map(|(at, event)| match *event {
            Event::BarrierBegin(id) if events.contains(&Event::BarrierEnd(id)) => Some(at),
            _ => None,
        });
        begins.max().unwrap_or(0)
    }
}

impl Moment {
    fn add(&mut self, write: &Write, durable: bool) {
        for (i, page) in write.pages.iter().enumerate() {
            let at = write.page.0 + i as u64;
            if durable {
                self.durable.set(at, Arc::clone(page));
                self.pending.remove(&at);
            } else {
                self.pending.entry(at).or_default().push(Arc::clone(page));
            }
        }
    }
}
