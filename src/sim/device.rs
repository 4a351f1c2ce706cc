//! A device in memory that records what is written to it, and when that became durable.

use super::trace::{Event, Pages, Trace};
use crate::device::{Device, DeviceWrites, Part};
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::sync::{self, Arc, Duration, Mutex};
use std::collections::BTreeSet;
use std::io;

/// What a device writes whole or not at all.
pub(crate) const SECTOR_BYTES: usize = 512;

/// A page, shared by the images that have it.
pub(crate) type Page = Arc<[u8; PAGE_BYTES]>;

/// What goes wrong, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The transfer fails and changes nothing.
    Fails,
    /// The write fails after some of its pages were written; the barrier fails after some of
    /// what it covers became durable.
    FailsHalfway,
    /// There is no space.
    NoSpace,
    /// The transfer panics.
    #[cfg(not(extentdb_schedules))]
    Panics,
}

/// A fault at the `at`-th operation of the device, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Injection {
    pub(crate) at: u64,
    pub(crate) fault: Fault,
    /// Whether every later operation fails as well.
    pub(crate) sticky: bool,
}

#[derive(Debug)]
struct Inner {
    /// What reads return: everything that was written.
    pages: Pages,
    trace: Trace,
    operations: u64,
    injection: Option<Injection>,
    /// A page that reads fail at.
    unreadable: Option<u64>,
    /// Pages that were neither read nor written, of those that are watched; and those that were read
    /// first, in order.
    unseen: BTreeSet<u64>,
    looked_at: Vec<u64>,
    /// Pages that were discarded and not allocated since: a write to one might find the disk full.
    holes: BTreeSet<u64>,
    refuses_discards: bool,
    closed: bool,
}

/// A simulated device. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct SimDevice {
    inner: Arc<Mutex<Inner>>,
    /// Time that writes and barriers take, so that threads overlap.
    latency: Duration,
}

impl SimDevice {
    /// A device that holds `pages`, all of them durable.
    pub(crate) fn new(pages: Pages) -> Self {
        let inner = Inner {
            trace: Trace::new(pages.clone()),
            pages,
            operations: 0,
            injection: None,
            unreadable: None,
            unseen: BTreeSet::new(),
            looked_at: Vec::new(),
            holes: BTreeSet::new(),
            refuses_discards: false,
            closed: false,
        };
        Self { inner: Arc::new(Mutex::new(inner)), latency: Duration::ZERO }
    }

    /// This device, with writes and barriers that take `latency`.
    pub(crate) fn with_latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    fn take_time(&self) {
        // Under a scheduler, how often others come first is what counts.
        let (times, span) = if cfg!(extentdb_schedules) {
            (self.latency.as_micros(), Duration::from_micros(1))
        } else {
            (u128::from(!self.latency.is_zero()), self.latency)
        };
        (0..times).for_each(|_| sync::sleep(span));
    }

    /// Lets it be opened again.
    pub(crate) fn reconnect(&self) {
        self.inner.lock().closed = false;
    }

    /// Lets an operation fail.
    pub(crate) fn inject(&self, injection: Injection) {
        self.inner.lock().injection = Some(injection);
    }

    /// Lets reads of `page` fail, or of none.
    pub(crate) fn set_unreadable(&self, page: Option<u64>) {
        self.inner.lock().unreadable = page;
    }

    /// Notes from now on which of `pages` are read before they are written.
    pub(crate) fn watch(&self, pages: BTreeSet<u64>) {
        self.inner.lock().unseen = pages;
    }

    /// Watched pages that were read before they were written, in the order of that.
    pub(crate) fn looked_at(&self) -> Vec<u64> {
        self.inner.lock().looked_at.clone()
    }

    /// Watched pages that were neither read nor written.
    pub(crate) fn unseen(&self) -> BTreeSet<u64> {
        self.inner.lock().unseen.clone()
    }

    /// Transfers, barriers and growths so far.
    pub(crate) fn operations(&self) -> u64 {
        self.inner.lock().operations
    }

    /// What reads return now: the image of a machine that does not crash.
    pub(crate) fn pages(&self) -> Pages {
        self.inner.lock().pages.clone()
    }

    /// Lets it have no use for what is discarded.
    pub(crate) fn refuse_discards(&self) {
        self.inner.lock().refuses_discards = true;
    }

    /// Pages that were discarded and not allocated since.
    pub(crate) fn holes(&self) -> usize {
        self.inner.lock().holes.len()
    }

    /// What happened so far.
    pub(crate) fn trace(&self) -> Trace {
        self.inner.lock().trace.clone()
    }

    /// Notes that operation `op` of the test has been called.
    pub(crate) fn note_issue(&self, op: usize) {
        self.inner.lock().trace.events.push(Event::Issue(op));
    }

    /// Notes that operation `op` of the test has returned Ok.
    pub(crate) fn note_ack(&self, op: usize, durable: bool) {
        self.inner.lock().trace.events.push(Event::Ack { op, durable });
    }
}

impl Inner {
    fn begin(&mut self) -> io::Result<Option<Fault>> {
        if self.closed {
            return Err(io::Error::from(io::ErrorKind::NotConnected));
        }
        let at = self.operations;
        self.operations += 1;
        let due =
            |injection: &Injection| at == injection.at || (injection.sticky && at > injection.at);
        Ok(self.injection.filter(due).map(|injection| injection.fault))
    }

    /// Hands `buf` over: from now on it may be there after a crash.
    fn begin_write(&mut self, page: PageNo, buf: &[u8]) -> io::Result<usize> {
        assert!(buf.len().is_multiple_of(PAGE_BYTES), "whole pages");
        let count = (buf.len() / PAGE_BYTES) as u64;
        assert!(page.0 + count <= self.pages.len(), "a write beyond the end");
        let hole = self.holes.range(page.0..page.0 + count).next();
        assert_eq!(hole, None, "S1: what is written to has space");
        match self.begin()? {
            Some(Fault::FailsHalfway) => {
                let half = &buf[..(count / 2) as usize * PAGE_BYTES];
                self.trace.begin_write(page, half);
                self.put(page, half);
                return Err(failure(Fault::FailsHalfway));
            }
            Some(fault) => return Err(failure(fault)),
            None => {}
        }
        // A medium gives what is written another place.
        self.unreadable = self.unreadable.filter(|at| !(page.0..page.0 + count).contains(at));
        Ok(self.trace.begin_write(page, buf))
    }

    fn put(&mut self, page: PageNo, bytes: &[u8]) {
        for (i, bytes) in bytes.chunks_exact(PAGE_BYTES).enumerate() {
            self.unseen.remove(&(page.0 + i as u64));
            self.pages.set(page.0 + i as u64, page_of(bytes));
        }
    }
}

/// Writes that are under way: nobody reads them before they are waited for.
struct SimWrites<'a> {
    device: &'a SimDevice,
    under_way: Vec<(usize, PageNo, Vec<u8>)>,
    outcome: io::Result<()>,
}

impl DeviceWrites for SimWrites<'_> {
    fn push(&mut self, page: PageNo, parts: Vec<Part>) {
        if self.outcome.is_err() {
            return;
        }
        let bytes = parts.iter().map(Part::as_slice).collect::<Vec<_>>().concat();
        let begun = self.device.inner.lock().begin_write(page, &bytes);
        self.outcome = begun.map(|id| self.under_way.push((id, page, bytes)));
    }

    fn wait(&mut self) -> io::Result<()> {
        if !self.under_way.is_empty() {
            self.device.take_time();
        }
        for (id, page, bytes) in self.under_way.drain(..) {
            let mut inner = self.device.inner.lock();
            inner.put(page, &bytes);
            inner.trace.events.push(Event::WriteEnd(id));
        }
        std::mem::replace(&mut self.outcome, Ok(()))
    }
}

impl Drop for SimWrites<'_> {
    fn drop(&mut self) {
        // Who has not asked does not want to know.
        let _ = self.wait();
    }
}

pub(super) fn page_of(bytes: &[u8]) -> Page {
    let mut page = [0; PAGE_BYTES];
    page.copy_from_slice(bytes);
    Arc::new(page)
}

fn failure(fault: Fault) -> io::Error {
    match fault {
        Fault::NoSpace => io::Error::from(io::ErrorKind::StorageFull),
        Fault::Fails | Fault::FailsHalfway => io::Error::other("injected"),
        #[cfg(not(extentdb_schedules))]
        Fault::Panics => panic!("injected"),
    }
}

impl Device for SimDevice {
    fn len_pages(&self) -> u64 {
        self.inner.lock().pages.len()
    }

    fn read(&self, page: PageNo, buf: &mut [u8]) -> io::Result<()> {
        let mut inner = self.inner.lock();
        if let Some(fault) = inner.begin()? {
            return Err(failure(fault));
        }
        let count = (buf.len() / PAGE_BYTES) as u64;
        if inner.unreadable.is_some_and(|at| (page.0..page.0 + count).contains(&at)) {
            return Err(io::Error::other("the medium cannot be read"));
        }
        for (i, bytes) in buf.chunks_exact_mut(PAGE_BYTES).enumerate() {
            let at = page.0 + i as u64;
            if inner.unseen.remove(&at) {
                inner.looked_at.push(at);
            }
            let page = inner.pages.get(at);
            let page = page.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?;
            bytes.copy_from_slice(&page[..]);
        }
        Ok(())
    }

    fn write(&self, page: PageNo, buf: &[u8]) -> io::Result<()> {
        let id = {
            let mut inner = self.inner.lock();
            let id = inner.begin_write(page, buf)?;
            inner.put(page, buf);
            id
        };
        self.take_time();
        self.inner.lock().trace.events.push(Event::WriteEnd(id));
        Ok(())
    }

    fn begin_writes(&self) -> Box<dyn DeviceWrites + '_> {
        Box::new(SimWrites { device: self, under_way: Vec::new(), outcome: Ok(()) })
    }

    fn barrier(&self) -> io::Result<()> {
        let id = {
            let mut inner = self.inner.lock();
            if let Some(fault) = inner.begin()? {
                inner.trace.events.push(Event::BarrierFailed);
                return Err(failure(fault));
            }
            inner.trace.begin_barrier()
        };
        self.take_time();
        self.inner.lock().trace.events.push(Event::BarrierEnd(id));
        Ok(())
    }

    fn grow(&self, pages: u64) -> io::Result<()> {
        let mut inner = self.inner.lock();
        if pages <= inner.pages.len() {
            return Ok(());
        }
        if let Some(fault) = inner.begin()? {
            return Err(failure(fault));
        }
        inner.pages.grow(pages);
        inner.trace.events.push(Event::Grow(pages));
        Ok(())
    }

    fn shrink(&self, pages: u64) -> io::Result<()> {
        let mut inner = self.inner.lock();
        if let Some(fault) = inner.begin()? {
            return Err(failure(fault));
        }
        inner.pages.cut(pages);
        inner.holes.split_off(&pages);
        inner.trace.events.push(Event::Cut(pages));
        Ok(())
    }

    /// Until a barrier, pages hold zeros or what they held.
    fn discard(&self, page: PageNo, count: u64) -> io::Result<()> {
        let mut inner = self.inner.lock();
        if let Some(fault) = inner.begin()? {
            return Err(failure(fault));
        }
        if inner.refuses_discards {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let zeros = vec![0; count as usize * PAGE_BYTES];
        inner.put(page, &zeros);
        let id = inner.trace.begin_write(page, &zeros);
        inner.trace.events.push(Event::WriteEnd(id));
        inner.holes.extend(page.0..page.0 + count);
        Ok(())
    }

    fn allocate(&self, page: PageNo, count: u64) -> io::Result<()> {
        let mut inner = self.inner.lock();
        if let Some(fault) = inner.begin()? {
            return Err(failure(fault));
        }
        inner.holes.retain(|at| !(page.0..page.0 + count).contains(at));
        Ok(())
    }

    fn may_have_holes(&self) -> io::Result<bool> {
        Ok(!self.inner.lock().holes.is_empty())
    }

    fn close(&self) {
        self.inner.lock().closed = true;
    }
}
