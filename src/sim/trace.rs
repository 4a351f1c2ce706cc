//! What happened on a simulated device, in order: enough to build the device as a crash at any
//! moment could have left it.

use super::device::{Page, page_of};
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::sync::Arc;
use std::collections::{BTreeMap, BTreeSet};

/// Pages of an image; those that are not listed are zeros, or what was there before the volume.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages {
    pages: BTreeMap<u64, Page>,
    len: u64,
    past: Arc<BTreeMap<u64, Page>>,
    /// What was in pages that were cut off: they may hold it again when they are there again.
    cut_off: BTreeMap<u64, Page>,
}

impl Pages {
    pub(crate) fn zeros(len: u64) -> Self {
        Self { len, ..Self::default() }
    }

    /// No pages; where they will be, there are those of `past` until they are written. But for the
    /// first: with one of another volume there, it is that volume.
    pub(crate) fn with_past(past: &Self) -> Self {
        let past = past.pages.clone().split_off(&1);
        Self { past: Arc::new(past), ..Self::default() }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn get(&self, at: u64) -> Option<Page> {
        let zeros = || Arc::new([0; PAGE_BYTES]);
        let page = self.pages.get(&at).or_else(|| self.cut_off.get(&at));
        let page = page.or_else(|| self.past.get(&at));
        (at < self.len).then(|| page.cloned().unwrap_or_else(zeros))
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

    /// The same where they may be there again, with what they held.
    pub(crate) fn cut(&mut self, len: u64) {
        self.len = self.len.min(len);
        self.cut_off.extend(self.pages.split_off(&len));
    }

    /// Pages that were cut off, and are there again, with what they held.
    pub(crate) fn there_again(&self) -> impl Iterator<Item = (u64, Page)> {
        let again = self.cut_off.range(..self.len).filter(|(at, _)| !self.pages.contains_key(at));
        again.map(|(at, page)| (*at, Arc::clone(page)))
    }

    /// Those hold zeros.
    pub(crate) fn forget_what_was_cut_off(&mut self) {
        self.cut_off.clear();
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
    /// It failed.
    BarrierFailed,
    /// The device has this many pages.
    Grow(u64),
    /// It has no more than these.
    Cut(u64),
    /// The test called an operation.
    Issue(usize),
    /// It returned Ok; `durable` says whether it must survive a power cut.
    Ack { op: usize, durable: bool },
}

impl Event {
    /// Whether a crash after it may leave what one before it does not, or the other way round.
    pub(crate) fn changes_images(&self) -> bool {
        match self {
            Self::WriteBegin(_) | Self::BarrierEnd(_) | Self::BarrierFailed => true,
            Self::Grow(_) | Self::Cut(_) => true,
            // It was on its way, and is until a barrier ends.
            Self::WriteEnd(_) | Self::BarrierBegin(_) | Self::Issue(_) | Self::Ack { .. } => false,
        }
    }
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
    /// Pages that a barrier covers: what was there when the history began does not matter any more.
    pub(crate) settled: BTreeSet<u64>,
    /// Lengths that the device may have, in the order in which it had them.
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
        let barriers = Barriers::of(events);
        let mut ends = vec![usize::MAX; self.writes.len()];
        for (at, event) in events.iter().enumerate() {
            if let Event::WriteEnd(id) = *event {
                ends[id] = at;
            }
        }
        let mut moment = Moment {
            durable: self.start.clone(),
            pending: BTreeMap::new(),
            settled: BTreeSet::new(),
            lengths: vec![self.start.len()],
        };
        let mut versions = BTreeMap::<u64, Vec<Version<'_>>>::new();
        for (begin, event) in events.iter().enumerate() {
            match *event {
                Event::WriteBegin(id) => {
                    let (write, end) = (&self.writes[id], ends[id]);
                    let durable = barriers.cover(end);
                    for (i, page) in write.pages.iter().enumerate() {
                        let at = write.page.0 + i as u64;
                        let version = Version { begin, end, durable, page };
                        versions.entry(at).or_default().push(version);
                    }
                }
                Event::Grow(len) if barriers.cover(begin) => {
                    moment.durable.grow(len);
                    moment.lengths = vec![len];
                }
                Event::Grow(len) | Event::Cut(len) if !barriers.cover(begin) => {
                    moment.lengths.push(len);
                }
                Event::Cut(len) => {
                    for (at, versions) in versions.split_off(&len) {
                        moment.durable.set(at, Arc::clone(versions[versions.len() - 1].page));
                    }
                    moment.durable.cut(len);
                    moment.lengths = vec![len];
                }
                _ => {}
            }
        }
        for (at, versions) in versions {
            moment.add(at, &versions);
        }
        moment
    }
}

/// What one write made of a page.
struct Version<'a> {
    begin: usize,
    /// When it returned; never, if at the end of time.
    end: usize,
    durable: bool,
    page: &'a Page,
}

/// When barriers that succeeded began, and when others failed.
struct Barriers {
    begun: Vec<usize>,
    failed: Vec<usize>,
}

impl Barriers {
    fn of(events: &[Event]) -> Self {
        let mut begins = BTreeMap::new();
        let (mut begun, mut failed) = (Vec::new(), Vec::new());
        for (at, event) in events.iter().enumerate() {
            match *event {
                Event::BarrierBegin(id) => drop(begins.insert(id, at)),
                Event::BarrierEnd(id) => begun.extend(begins.remove(&id)),
                Event::BarrierFailed => failed.push(at),
                _ => {}
            }
        }
        begun.sort_unstable();
        Self { begun, failed }
    }

    /// Whether what ended at `end` is durable: by the first barrier after it, unless one failed
    /// before, which leaves it to chance whatever later ones say.
    fn cover(&self, end: usize) -> bool {
        let first_after = |list: &[usize]| list.get(list.partition_point(|&at| at <= end)).copied();
        let failure = first_after(&self.failed).unwrap_or(usize::MAX);
        first_after(&self.begun).is_some_and(|barrier| barrier < failure)
    }
}

impl Moment {
    /// What the `versions` of page `at` leave: a durable one is there instead of all that ended before
    /// it began. Of two writes that overlap, either may come last.
    fn add(&mut self, at: u64, versions: &[Version<'_>]) {
        let last = versions.iter().rposition(|version| version.durable);
        let settled = last.map_or(0, |last| versions[last].begin);
        if let Some(last) = last {
            self.durable.set(at, Arc::clone(versions[last].page));
            self.settled.insert(at);
        }
        let open = versions
            .iter()
            .enumerate()
            .filter(|(i, version)| last.is_none_or(|last| *i != last && version.end > settled));
        let pending: Vec<_> = open.map(|(_, version)| Arc::clone(version.page)).collect();
        if !pending.is_empty() {
            self.pending.insert(at, pending);
        }
    }
}
