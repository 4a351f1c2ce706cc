//! Entries in key order, from either end.

use crate::engine::{Caching, Engine};
use crate::error::{Error, Result};
use crate::index::{Found, Range, View};
use crate::prefetch::{End, Place};
use crate::seeded::{Bug, seeded};
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::value::Value;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::{Bound, RangeBounds};

/// Entries in key order as of one moment. Owns what it shows, so it may outlive the [`Db`]
/// handle it came from; that handle's volume stays open as long.
///
/// A scan never skips what it cannot read: values are read by [`Entry::value`], which says so. From
/// the second value on it reads those of the next entries as well, at most 256 or 4 MiB of them and
/// fewer where they turn out not to be wanted. A scan of keys alone reads nothing.
///
/// [`Db`]: crate::Db
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// for key in ["b", "c", "a"] {
///     db.put(key, key.to_uppercase())?;
/// }
/// let mut entries = db.iter();
/// assert_eq!(entries.next().expect("the first")?.key(), b"a");
/// assert_eq!(entries.next_back().expect("the last")?.value()?, b"C");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Iter {
    scan: Arc<Scan>,
    entries: Result<Range, Option<Error>>,
    front: End,
    back: End,
}

/// What the entries of a scan share.
struct Scan {
    engine: Arc<Engine>,
    /// Somebody has asked for a value.
    wants_values: AtomicBool,
}

impl Iter {
    pub(crate) fn over<K: AsRef<[u8]>, R: RangeBounds<K>>(
        engine: &Arc<Engine>,
        view: Result<View>,
        range: R,
    ) -> Self {
        let own = |bound: Bound<&K>| bound.map(|key| key.as_ref().to_vec());
        let (lower, upper) = (own(range.start_bound()), own(range.end_bound()));
        let entries = view.map(|view| view.range(lower, upper)).map_err(Some);
        let scan = Scan { engine: Arc::clone(engine), wants_values: AtomicBool::new(false) };
        Self { scan: Arc::new(scan), entries, front: End::default(), back: End::default() }
    }

    pub(crate) fn with_prefix(engine: &Arc<Engine>, view: Result<View>, prefix: &[u8]) -> Self {
        let upper = match after_prefix(prefix) {
            Some(key) => Bound::Excluded(key),
            None => Bound::Unbounded,
        };
        Self::over(engine, view, (Bound::Included(prefix.to_vec()), upper))
    }

    /// The keys alone: no device reads.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "v")?;
    /// let keys = db.iter().keys().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(keys, [b"k"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn keys(self) -> Keys {
        Keys(self)
    }

    /// The next entry from one end.
    fn step(&mut self, from: Side) -> Option<Result<Entry>> {
        let entries = match &mut self.entries {
            Ok(entries) => entries,
            Err(error) => return error.take().map(Err),
        };
        if let Err(error) = self.scan.engine.check_usable() {
            self.entries = Err(None);
            return Some(Err(error));
        }
        let (near, far) = match from {
            Side::Front => (&mut self.front, &mut self.back),
            Side::Back => (&mut self.back, &mut self.front),
        };
        let mut next = || match from {
            Side::Front => entries.next(),
            Side::Back => entries.next_back(),
        };
        let mut ahead = near.next();
        if ahead.is_none() && self.scan.wants_values.load(Ordering::Relaxed) {
            near.refill(&mut next);
            ahead = near.next();
        }
        let (found, place) = match ahead {
            Some((found, place)) => (found, Some(place)),
            None => match next() {
                Some(found) => (found, None),
                None => far.last().map(|(found, place)| (found, Some(place)))?,
            },
        };
        let entry = Entry { scan: Arc::clone(&self.scan), found, place };
        if seeded(Bug::ScanPassesOver) && entry.value().is_err() {
            return self.step(from);
        }
        Some(Ok(entry))
    }
}

/// An end of a scan.
#[derive(Clone, Copy)]
enum Side {
    Front,
    Back,
}

/// The least key above all that start with `prefix`; `None` if there is none.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte < u8::MAX)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

impl Iterator for Iter {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(Side::Front)
    }
}

impl DoubleEndedIterator for Iter {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(Side::Back)
    }
}

impl FusedIterator for Iter {}

impl fmt::Debug for Iter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}

/// Keys in order; see [`Iter::keys`].
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// # for key in ["a", "b", "c"] { db.put(key, key)?; }
/// let backwards = db.iter().keys().rev().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(backwards, [b"c", b"b", b"a"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Keys(Iter);

impl Iterator for Keys {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map(|entry| entry.key().to_vec()))
    }
}

impl DoubleEndedIterator for Keys {
    fn next_back(&mut self) -> Option<Self::Item> {
        Some(self.0.next_back()?.map(|entry| entry.key().to_vec()))
    }
}

impl FusedIterator for Keys {}

/// A key, and its value where it is asked for.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// db.put("k", "value")?;
/// let entry = db.iter().next().expect("was put")?;
/// assert_eq!((entry.key(), entry.value_len()), (&b"k"[..], 5));
/// assert_eq!(entry.value()?, b"value");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Entry {
    scan: Arc<Scan>,
    found: Found,
    /// Where its value is read ahead.
    place: Option<Place>,
}

impl Entry {
    /// The key.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "value")?;
    /// let entry = db.iter().next().expect("was put")?;
    /// assert_eq!(entry.key(), b"k");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.found.key()
    }

    /// Length of the value in bytes. No device read.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "value")?;
    /// let entry = db.iter().next().expect("was put")?;
    /// assert_eq!(entry.value_len(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn value_len(&self) -> u64 {
        u64::from(self.found.location().value_len())
    }

    /// The value, as it was when the iterator was made. Read now, unless it was with those before.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "old")?;
    /// let entry = db.iter().next().expect("was put")?;
    /// db.put("k", "new")?;
    /// assert_eq!(entry.value()?, b"old");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::get`](crate::Db::get).
    pub fn value(&self) -> Result<Value> {
        let engine = &self.scan.engine;
        engine.check_usable()?;
        match &self.place {
            Some((stretch, at)) => stretch.value(engine, *at),
            None => {
                self.scan.wants_values.store(true, Ordering::Relaxed);
                engine.fetch_by(Caching::Look, self.key(), self.found.location())
            }
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry(\"{}\", {} bytes)", self.key().escape_ascii(), self.value_len())
    }
}
