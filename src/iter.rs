//! Entries in key order, from either end.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::index::{Found, Range, View};
use crate::sync::Arc;
use crate::value::Value;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::{Bound, RangeBounds};

/// Entries in key order as of one moment. Owns what it shows, so it may outlive the [`Db`]
/// handle it came from; that handle's volume stays open as long.
///
/// A scan never skips what it cannot read: values are read by [`Entry::value`], which says so.
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
    engine: Arc<Engine>,
    entries: Result<Range, Option<Error>>,
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
        Self { engine: Arc::clone(engine), entries }
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

    fn step(&mut self, step: impl FnOnce(&mut Range) -> Option<Found>) -> Option<Result<Entry>> {
        let entries = match &mut self.entries {
            Ok(entries) => entries,
            Err(error) => return error.take().map(Err),
        };
        if let Err(error) = self.engine.check_usable() {
            self.entries = Err(None);
            return Some(Err(error));
        }
        let found = step(entries)?;
        Some(Ok(Entry { engine: Arc::clone(&self.engine), found }))
    }
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
        self.step(Iterator::next)
    }
}

impl DoubleEndedIterator for Iter {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(DoubleEndedIterator::next_back)
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
    engine: Arc<Engine>,
    found: Found,
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

    /// The value, as it was when the iterator was made. Read now.
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
        self.engine.fetch(self.key(), self.found.location())
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry(\"{}\", {} bytes)", self.key().escape_ascii(), self.value_len())
    }
}
