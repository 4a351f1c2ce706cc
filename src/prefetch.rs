//! What a scan reads ahead: entries that come next, whose values are read together when the first
//! of them is asked for.

use crate::engine::{Caching, Engine};
use crate::error::Result;
use crate::format::location::Location;
use crate::index::Found;
use crate::sync::{Arc, Mutex};
use crate::value::Value;
use std::ops::Range;

/// Entries of the first stretch; later ones are longer or shorter as values are asked for.
const FIRST: usize = 4;

/// Entries of the longest stretch.
const MAX_ENTRIES: usize = 256;

/// Bytes of values that are read together, unless the first alone has more.
const MAX_BYTES: u64 = 4 << 20;

/// Entries that follow one another in a scan, in its direction.
pub(crate) struct Stretch {
    entries: Vec<Found>,
    values: Mutex<Values>,
}

#[derive(Default)]
struct Values {
    /// By entry.
    read: Vec<Option<Result<Value>>>,
    /// Those from this entry on have not been read ahead.
    end: usize,
    /// How many were read, and how many of them asked for.
    total: usize,
    taken: usize,
    /// The scan has gone on: nothing is read ahead any more.
    is_over: bool,
}

impl Stretch {
    fn of(entries: Vec<Found>) -> Self {
        Self { entries, values: Mutex::default() }
    }

    /// The value of entry `at`. Reads those of the entries after it as well.
    pub(crate) fn value(&self, engine: &Engine, at: usize) -> Result<Value> {
        let mut values = self.values.lock();
        if at >= values.end && !values.is_over {
            let wanted = self.wanted_from(at);
            values.read.resize_with(at, || None);
            values.read.extend(engine.fetch_many(Caching::Look, &wanted).into_iter().map(Some));
            values.end = at + wanted.len();
            values.total += wanted.len();
        }
        let read = values.read.get_mut(at).and_then(Option::take);
        values.taken += usize::from(read.is_some());
        drop(values);
        let found = &self.entries[at];
        read.unwrap_or_else(|| engine.fetch_by(Caching::Look, found.key(), found.location()))
    }

    /// Entry `at`, and those after it as far as their values are not too long together.
    fn wanted_from(&self, at: usize) -> Vec<(&[u8], Location)> {
        let mut bytes = 0;
        let fits = |found: &&Found| {
            let is_first = bytes == 0;
            bytes += u64::from(found.location().value_len()).max(1);
            is_first || bytes <= MAX_BYTES
        };
        let entries = self.entries[at..].iter().take_while(fits);
        entries.map(|found| (found.key(), found.location())).collect()
    }

    /// Lets go of what nobody has asked for. Entries of the stretch that comes after one of `len`.
    fn end(&self, len: usize) -> usize {
        let mut values = self.values.lock();
        let unused = std::mem::take(&mut values.read);
        values.is_over = true;
        let (total, taken) = (values.total, values.taken);
        drop(values);
        drop(unused);
        match total {
            0 => len,
            _ if taken * 2 < total => (len / 2).max(1),
            _ => (len * 2).min(MAX_ENTRIES),
        }
    }
}

/// One end of a scan: its stretch, and what of that the scan has not come to.
pub(crate) struct End {
    stretch: Option<Arc<Stretch>>,
    left: Range<usize>,
    len: usize,
}

impl Default for End {
    fn default() -> Self {
        Self { stretch: None, left: 0..0, len: FIRST }
    }
}

/// An entry of a stretch.
pub(crate) type Place = (Arc<Stretch>, usize);

impl End {
    /// The next entry.
    pub(crate) fn next(&mut self) -> Option<(Found, Place)> {
        let at = self.left.next()?;
        self.entry(at)
    }

    /// The last entry: the next for the other end, where there are none between the two.
    pub(crate) fn last(&mut self) -> Option<(Found, Place)> {
        let at = self.left.next_back()?;
        self.entry(at)
    }

    fn entry(&self, at: usize) -> Option<(Found, Place)> {
        let stretch = self.stretch.as_ref()?;
        Some((stretch.entries[at].clone(), (Arc::clone(stretch), at)))
    }

    /// Begins the next stretch, with entries from `next`.
    pub(crate) fn refill(&mut self, mut next: impl FnMut() -> Option<Found>) {
        if let Some(stretch) = self.stretch.take() {
            self.len = stretch.end(self.len);
        }
        let mut entries = Vec::with_capacity(self.len);
        let mut bytes = 0;
        while entries.len() < self.len && bytes < MAX_BYTES {
            let Some(found) = next() else { break };
            bytes += u64::from(found.location().value_len());
            entries.push(found);
        }
        self.left = 0..entries.len();
        self.stretch = Some(Arc::new(Stretch::of(entries)));
    }
}

impl Drop for End {
    /// Entries may be kept for longer than their scan, with no more than themselves.
    fn drop(&mut self) {
        if let Some(stretch) = &self.stretch {
            stretch.end(self.len);
        }
    }
}
