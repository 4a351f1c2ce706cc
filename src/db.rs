//! The handle that users hold.

use crate::batch::WriteBatch;
use crate::check::CheckReport;
use crate::device::AlignedBuf;
use crate::durability::Durability;
use crate::engine::Engine;
use crate::error::Result;
use crate::extent::large::Source;
use crate::health::Health;
use crate::info::Info;
use crate::iter::Iter;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::reader::ValueReader;
use crate::report::OpenReport;
use crate::snapshot::Snapshot;
use crate::sync::Arc;
use crate::value::Value;
use std::fmt;
use std::io::Read;
use std::ops::RangeBounds;
use std::path::Path;

/// An open store: a sorted map from byte strings to byte strings, durable by default.
///
/// Cheap to clone and free to share between threads; all clones are one handle. Dropping the
/// last of them, snapshots and iterators included, closes the volume.
///
/// ```
/// use extentdb::Db;
///
/// # let dir = tempfile::tempdir()?;
/// let db = Db::open(dir.path().join("data.vol"))?;
/// db.put("plum", "purple")?;
/// db.put("lime", "green")?;
/// assert_eq!(db.get("plum")?.as_deref(), Some(&b"purple"[..]));
/// db.delete("plum")?;
/// assert_eq!(db.len(), 1);
/// for entry in db.iter() {
///     let entry = entry?;
///     println!("{:?}: {} bytes", entry.key(), entry.value_len());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Db {
    pub(crate) engine: Arc<Engine>,
    pub(crate) durability: Durability,
}

/// Why [`Db::compare_and_swap`] did not swap: the value is another one.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// db.put("count", "1")?;
/// let mismatch = db.compare_and_swap("count", None, Some(b"2"))?.unwrap_err();
/// assert_eq!(mismatch.current.as_deref(), Some(&b"1"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CasMismatch {
    /// The value that the key has; `None` if it has none.
    pub current: Option<Value>,
}

impl fmt::Display for CasMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key has another value than was expected")
    }
}

impl std::error::Error for CasMismatch {}

impl Db {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, durability: Durability::default() }
    }

    /// Opens the volume at `path` with default [`Options`], creating it as a file if nothing is
    /// there.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// let db = extentdb::Db::open(&path)?;
    /// db.put("k", "v")?;
    /// db.close()?;
    /// assert_eq!(extentdb::Db::open(&path)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Locked` if it is open elsewhere, `NotAStore` if something else is there, `Corrupt` if
    /// acknowledged data is damaged, `NewerFormat`, `ReadOnly`, `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(path)
    }

    /// This store, with writes acknowledged as `durability` says.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let fast = db.with_durability(extentdb::Durability::Buffered);
    /// for i in 0..1000u32 {
    ///     fast.put(i.to_be_bytes(), "value")?;
    /// }
    /// db.sync()?;
    /// assert_eq!(db.len(), 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_durability(&self, durability: Durability) -> Self {
        Self { engine: Arc::clone(&self.engine), durability }
    }

    /// How this handle's writes are acknowledged.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// use extentdb::Durability;
    ///
    /// assert_eq!(db.durability(), Durability::Synced);
    /// assert_eq!(db.with_durability(Durability::Written).durability(), Durability::Written);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Stores `value` under `key`, replacing what was there.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "old")?;
    /// db.put("k", "new")?;
    /// assert_eq!(db.get("k")?.as_deref(), Some(&b"new"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `EmptyKey`, `KeyTooLong`, `ValueTooLong`, `Full`: nothing happened. `Indeterminate`: the
    /// device failed on the way. `Poisoned`: it failed before, nothing happened.
    #[doc(alias = "insert")]
    #[doc(alias = "set")]
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let value = value.as_ref();
        let source = Source::Slice(value);
        self.engine.put(key.as_ref(), value.len() as u64, source, None, self.durability).map(drop)
    }

    /// Aligned memory for a value of `len` bytes, for [`put_aligned`](Self::put_aligned). Up to a
    /// mebibyte it is used again once the value is stored, unlike that of
    /// [`AlignedBuf::new`](crate::AlignedBuf::new); what is in it before is anything.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let mut buf = db.aligned_buf(1 << 20)?;
    /// buf.fill(7);
    /// db.put_aligned("large", buf)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Io` if there is no memory.
    pub fn aligned_buf(&self, len: usize) -> Result<AlignedBuf> {
        self.engine.aligned_buf(len)
    }

    /// Stores a value that is in aligned memory already: a large one is written from there,
    /// without a copy.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let mut buf = extentdb::AlignedBuf::new(1 << 20)?;
    /// buf.fill(7);
    /// db.put_aligned("large", buf)?;
    /// assert_eq!(db.value_len("large")?, Some(1 << 20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_aligned(&self, key: impl AsRef<[u8]>, value: AlignedBuf) -> Result<()> {
        let (len, value) = (value.len() as u64, Arc::new(value));
        self.engine.put(key.as_ref(), len, Source::Aligned(&value), None, self.durability).map(drop)
    }

    /// Stores the next `len` bytes of `reader`, holding little more than a mebibyte of them in
    /// memory.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put_reader("zeros", 100 << 20, std::io::repeat(0))?;
    /// assert_eq!(db.value_len("zeros")?, Some(100 << 20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Source` if the reader fails or ends early: nothing was stored. Else as
    /// [`put`](Self::put).
    pub fn put_reader(&self, key: impl AsRef<[u8]>, len: u64, mut reader: impl Read) -> Result<()> {
        let source = Source::Reader(&mut reader);
        self.engine.put(key.as_ref(), len, source, None, self.durability).map(drop)
    }

    /// Removes `key` and its value. Nothing happens if it has none.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "v")?;
    /// db.delete("k")?;
    /// db.delete("k")?;
    /// assert_eq!(db.get("k")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`put`](Self::put).
    #[doc(alias = "remove")]
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<()> {
        self.engine.delete(key.as_ref(), None, self.durability).map(drop)
    }

    /// Applies all changes of `batch`, or none.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("draft", "text")?;
    /// let mut batch = extentdb::WriteBatch::new();
    /// batch.put("final", "text");
    /// batch.delete("draft");
    /// db.write(&batch)?;
    /// assert!(db.contains_key("final")? && !db.contains_key("draft")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `BatchTooLarge` if it does not fit a quarter of an extent; values that are too large for
    /// the log do not count. Else as [`put`](Self::put).
    pub fn write(&self, batch: &WriteBatch) -> Result<()> {
        self.engine.write(&batch.operations(), self.durability)
    }

    /// Stores `value` under `key` if it has no value. Returns whether it did.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// assert!(db.put_if_absent("lock", "mine")?);
    /// assert!(!db.put_if_absent("lock", "yours")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_if_absent(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<bool> {
        self.engine.put_if_absent(key.as_ref(), value.as_ref(), self.durability)
    }

    /// Replaces the value of `key` by `new` if it is `expected`; `None` stands for no value on
    /// both sides. The inner result says whether it was.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("count", "1")?;
    /// db.compare_and_swap("count", Some(b"1"), Some(b"2"))?.expect("nobody else counts");
    /// let mismatch = db.compare_and_swap("count", Some(b"1"), Some(b"3"))?.unwrap_err();
    /// assert_eq!(mismatch.current.as_deref(), Some(&b"2"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`put`](Self::put), and as [`get`](Self::get) for the value that is compared.
    pub fn compare_and_swap(
        &self,
        key: impl AsRef<[u8]>,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Result<(), CasMismatch>> {
        let swapped = self.engine.compare_and_swap(key.as_ref(), expected, new, self.durability)?;
        Ok(swapped.map_err(|current| CasMismatch { current }))
    }

    /// The value of `key`, verified against its checksum; one device read at most.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "v")?;
    /// assert_eq!(db.get("k")?.as_deref(), Some(&b"v"[..]));
    /// assert_eq!(db.get("other")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Corrupt` if the device does not return what was written, `Io` if it fails; never `None`
    /// for either.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        self.engine.get(key.as_ref())
    }

    /// The values of `keys`, in their order, all as of one moment. Those that have to be read are read
    /// together, and each key has its own error.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("a", "1")?;
    /// let values = db.multi_get(&["b", "a"]);
    /// assert!(matches!(&values[0], Ok(None)));
    /// assert!(matches!(&values[1], Ok(Some(value)) if value == "1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn multi_get<K: AsRef<[u8]>>(&self, keys: &[K]) -> Vec<Result<Option<Value>>> {
        self.engine.get_all(keys)
    }

    /// At most `len` bytes of the value of `key` from byte `offset` on; fewer where it ends
    /// before. A large value is read only in part.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "0123456789")?;
    /// assert_eq!(db.get_range("k", 2, 3)?.as_deref(), Some(&b"234"[..]));
    /// assert_eq!(db.get_range("k", 8, 100)?.as_deref(), Some(&b"89"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_range(&self, key: impl AsRef<[u8]>, offset: u64, len: u64) -> Result<Option<Value>> {
        self.engine.get_range(key.as_ref(), offset..offset.saturating_add(len))
    }

    /// A reader over the value of `key` that holds no more than a mebibyte of it in memory.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("lines", "first\nsecond\n")?;
    /// use std::io::{BufRead, BufReader};
    ///
    /// let reader = db.get_reader("lines")?.expect("was put");
    /// let lines = BufReader::new(reader).lines().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(lines, ["first", "second"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_reader(&self, key: impl AsRef<[u8]>) -> Result<Option<ValueReader>> {
        ValueReader::open(&self.engine, self.engine.view()?, key.as_ref())
    }

    /// Whether `key` has a value. No device read.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "")?;
    /// assert!(db.contains_key("k")?);
    /// assert!(!db.contains_key("other")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn contains_key(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.engine.locate(key.as_ref())?.is_some())
    }

    /// Length in bytes of the value of `key`. No device read.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "value")?;
    /// assert_eq!(db.value_len("k")?, Some(5));
    /// assert_eq!(db.value_len("other")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn value_len(&self, key: impl AsRef<[u8]>) -> Result<Option<u64>> {
        let location = self.engine.locate(key.as_ref())?;
        Ok(location.map(|location| u64::from(location.value_len())))
    }

    /// Number of keys. Exact, and takes no time.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("a", "1")?;
    /// db.put("a", "2")?;
    /// assert_eq!(db.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.engine.len()
    }

    /// Whether there is no key.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// assert!(db.is_empty());
    /// db.put("k", "v")?;
    /// assert!(!db.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries in key order, as of now.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("b", "2")?;
    /// db.put("a", "1")?;
    /// let keys = db.iter().keys().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(keys, [b"a", b"b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn iter(&self) -> Iter {
        self.range::<&[u8], _>(..)
    }

    /// The entries of a range of keys, in order, as of now. An inverted range is empty.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # for key in ["a", "b", "c"] { db.put(key, key)?; }
    /// let last = db.range("a".."c").next_back().expect("there is one")?;
    /// assert_eq!(last.key(), b"b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn range<K: AsRef<[u8]>, R: RangeBounds<K>>(&self, range: R) -> Iter {
        Iter::over(&self.engine, self.engine.view(), range)
    }

    /// The entries whose keys start with `prefix`, in order, as of now.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # for key in ["user:1", "user:2", "visit:1"] { db.put(key, key)?; }
    /// let keys = db.prefix("user:").keys().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(keys, [b"user:1", b"user:2"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Iter {
        Iter::with_prefix(&self.engine, self.engine.view(), prefix.as_ref())
    }

    /// The store as it is now, unmoved by later writes.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "old")?;
    /// let before = db.snapshot();
    /// db.put("k", "new")?;
    /// assert_eq!(before.get("k")?.as_deref(), Some(&b"old"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.engine)
    }

    /// Writes a checkpoint of all that is there now, so that the next open need not replay the
    /// log before it. Checkpoints are written in the background as they become due; this one is
    /// written at once, while reads and writes go on. It leaves nine tenths of the time to those who
    /// commit meanwhile, and takes all of it where nobody does.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// # let db = extentdb::Db::open(&path)?;
    /// db.put("k", "v")?;
    /// db.checkpoint()?;
    /// assert!(db.metrics().image_bytes > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Full` if there is no room for it: the last one stays in force. `Poisoned` if the device
    /// fails, or failed before.
    pub fn checkpoint(&self) -> Result<()> {
        self.engine.checkpoint()
    }

    /// Collects garbage: frees what nothing refers to, and empties the extents of which a
    /// sixteenth or more is garbage, by moving what is live. Garbage is collected in the
    /// background as [`garbage_ratio`](crate::Options::garbage_ratio) asks for it, and where space
    /// runs low; this goes further, at once, while reads and writes go on.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # for key in 0..100_u8 { db.put([key], [0; 1000])?; }
    /// for key in 0..100_u8 {
    ///     db.delete([key])?;
    /// }
    /// db.collect_garbage()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Full` if there is no room to move anything to. `Poisoned` if the device fails, or failed
    /// before.
    pub fn collect_garbage(&self) -> Result<()> {
        self.engine.collect_garbage()
    }

    /// Makes every acknowledged write durable, whatever its durability.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let before = db.metrics().barriers;
    /// db.with_durability(extentdb::Durability::Buffered).put("k", "v")?;
    /// db.sync()?;
    /// assert!(db.metrics().barriers > before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Poisoned` if the device fails, or failed before.
    pub fn sync(&self) -> Result<()> {
        self.engine.sync()
    }

    /// Reads and verifies everything: superblocks, every page of the log, every value. And holds what
    /// memory says of the space in use against the keys.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "value")?;
    /// let report = db.check()?;
    /// assert!(report.is_clean(), "{:?}", report.problems);
    /// assert_eq!(report.keys, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Closed`, `Forked`. What is damaged is in the report.
    pub fn check(&self) -> Result<CheckReport> {
        self.engine.check()
    }

    /// Latencies, counters and space, as of now.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "v")?;
    /// db.get("other")?;
    /// let metrics = db.metrics();
    /// assert_eq!((metrics.puts, metrics.gets, metrics.misses), (1, 1, 1));
    /// println!("{metrics}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.engine.metrics()
    }

    /// The device, and how the store uses it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let info = db.info();
    /// assert_eq!(info.extent_bytes, 8 << 20);
    /// println!("{info}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn info(&self) -> Info {
        self.engine.info()
    }

    /// Whether the handle still writes.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// assert!(db.health().is_healthy());
    /// let other = db.clone();
    /// db.close()?;
    /// assert!(matches!(other.health(), extentdb::Health::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn health(&self) -> Health {
        match (self.engine.fatal(), self.engine.check_usable()) {
            (Some(cause), _) => Health::Poisoned(cause),
            (None, Err(_)) => Health::Closed,
            (None, Ok(())) => Health::Healthy,
        }
    }

    /// What opening the volume found.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// let db = extentdb::Db::open(&path)?;
    /// assert!(db.open_report().created);
    /// db.close()?;
    /// assert!(!extentdb::Db::open(&path)?.open_report().created);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn open_report(&self) -> &OpenReport {
        self.engine.report()
    }

    /// Makes everything durable and releases the volume. Other clones, snapshots and iterators
    /// return `Closed` from then on.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "v")?;
    /// let other = db.clone();
    /// db.close()?;
    /// assert!(matches!(other.get("k"), Err(extentdb::Error::Closed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Operations that are under way without anybody waiting for them
    /// ([`put_async`](Self::put_async) and the like) are done first.
    ///
    /// # Errors
    /// `Closed` if it was closed before; `Poisoned` or `Io` if the device fails: the volume is
    /// released all the same.
    pub fn close(self) -> Result<()> {
        self.engine.close()
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").field("durability", &self.durability).finish_non_exhaustive()
    }
}
