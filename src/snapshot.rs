//! A store at one moment.

use crate::engine::Engine;
use crate::error::Result;
use crate::format::location::Location;
use crate::index::View;
use crate::iter::Iter;
use crate::reader::ValueReader;
use crate::sync::Arc;
use crate::value::Value;
use std::fmt;
use std::ops::RangeBounds;

/// The store as it was when the snapshot was taken. Costs memory for what changes while it is
/// held, and keeps the space of what it shows. Cheap to clone.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// db.put("k", "old")?;
/// let snapshot = db.snapshot();
/// db.delete("k")?;
/// assert_eq!(snapshot.get("k")?.as_deref(), Some(&b"old"[..]));
/// assert_eq!((snapshot.len(), db.len()), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Snapshot {
    engine: Arc<Engine>,
    view: Result<View>,
}

impl Snapshot {
    pub(crate) fn new(engine: &Arc<Engine>) -> Self {
        Self { engine: Arc::clone(engine), view: engine.view() }
    }

    fn locate(&self, key: &[u8]) -> Result<Option<Location>> {
        self.engine.check_usable()?;
        Ok(self.view.as_ref().map_err(Clone::clone)?.get(key))
    }

    /// As [`Db::get`](crate::Db::get).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "old")?;
    /// let snapshot = db.snapshot();
    /// db.put("k", "new")?;
    /// assert_eq!(snapshot.get("k")?.as_deref(), Some(&b"old"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        let key = key.as_ref();
        let location = self.locate(key)?;
        location.map(|location| self.engine.fetch(key, location)).transpose()
    }

    /// As [`Db::multi_get`](crate::Db::multi_get).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("a", "1")?;
    /// let values = db.snapshot().multi_get(&["b", "a"]);
    /// assert!(matches!(&values[..], [Ok(None), Ok(Some(value))] if value == "1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn multi_get<K: AsRef<[u8]>>(&self, keys: &[K]) -> Vec<Result<Option<Value>>> {
        let view =
            self.engine.check_usable().and_then(|()| self.view.as_ref().map_err(Clone::clone));
        match view {
            Ok(view) => {
                let locations: Vec<_> = keys.iter().map(|key| view.get(key.as_ref())).collect();
                self.engine.get_located(keys, &locations)
            }
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// As [`Db::get_range`](crate::Db::get_range).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "0123456789")?;
    /// let snapshot = db.snapshot();
    /// assert_eq!(snapshot.get_range("k", 2, 3)?.as_deref(), Some(&b"234"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn get_range(&self, key: impl AsRef<[u8]>, offset: u64, len: u64) -> Result<Option<Value>> {
        let key = key.as_ref();
        let location = self.locate(key)?;
        let wanted = offset..offset.saturating_add(len);
        location.map(|location| self.engine.fetch_range(key, location, wanted)).transpose()
    }

    /// As [`Db::get_reader`](crate::Db::get_reader).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "value")?;
    /// let reader = db.snapshot().get_reader("k")?.expect("was put");
    /// assert_eq!(std::io::read_to_string(reader)?, "value");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn get_reader(&self, key: impl AsRef<[u8]>) -> Result<Option<ValueReader>> {
        self.engine.check_usable()?;
        ValueReader::open(&self.engine, self.view.clone()?, key.as_ref())
    }

    /// As [`Db::contains_key`](crate::Db::contains_key).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "v")?;
    /// let snapshot = db.snapshot();
    /// db.delete("k")?;
    /// assert!(snapshot.contains_key("k")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn contains_key(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.locate(key.as_ref())?.is_some())
    }

    /// As [`Db::value_len`](crate::Db::value_len).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "value")?;
    /// let snapshot = db.snapshot();
    /// assert_eq!(snapshot.value_len("k")?, Some(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn value_len(&self, key: impl AsRef<[u8]>) -> Result<Option<u64>> {
        Ok(self.locate(key.as_ref())?.map(|location| u64::from(location.value_len())))
    }

    /// Number of keys.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let before = db.snapshot();
    /// db.put("k", "v")?;
    /// assert_eq!((before.len(), db.snapshot().len()), (0, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.view.as_ref().map_or(0, View::len)
    }

    /// Whether there is no key.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let before = db.snapshot();
    /// db.put("k", "v")?;
    /// assert!(before.is_empty() && !db.snapshot().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries in key order.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # for key in ["b", "a"] { db.put(key, key)?; }
    /// let keys = db.snapshot().iter().keys().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(keys, [b"a", b"b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn iter(&self) -> Iter {
        self.range::<&[u8], _>(..)
    }

    /// The entries of a range of keys, in order. An inverted range is empty.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # for key in ["a", "b", "c"] { db.put(key, key)?; }
    /// let keys = db.snapshot().range("b"..).keys().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(keys, [b"b", b"c"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn range<K: AsRef<[u8]>, R: RangeBounds<K>>(&self, range: R) -> Iter {
        Iter::over(&self.engine, self.view.clone(), range)
    }

    /// The entries whose keys start with `prefix`, in order.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # for key in ["user:1", "user:2", "visit:1"] { db.put(key, key)?; }
    /// let keys = db.snapshot().prefix("user:").keys().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(keys, [b"user:1", b"user:2"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Iter {
        Iter::with_prefix(&self.engine, self.view.clone(), prefix.as_ref())
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("len", &self.len()).finish_non_exhaustive()
    }
}
