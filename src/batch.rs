//! Changes that take effect together.

use crate::engine::Operation;
use std::ops::Range;

/// Puts and deletes that are applied all at once, or not at all: for crashes, for readers and
/// for snapshots. A later change of a key overrides an earlier one.
///
/// ```
/// use extentdb::WriteBatch;
///
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// let mut batch = WriteBatch::new();
/// batch.put("from", "90");
/// batch.put("to", "110");
/// batch.delete("pending");
/// db.write(&batch)?;
/// assert_eq!(db.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct WriteBatch {
    bytes: Vec<u8>,
    changes: Vec<(Range<usize>, Option<Range<usize>>)>,
}

impl WriteBatch {
    /// A batch without changes.
    ///
    /// ```
    /// let batch = extentdb::WriteBatch::new();
    /// assert!(batch.is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a put. The bytes are copied; they are checked when the batch is written.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let mut batch = extentdb::WriteBatch::new();
    /// batch.put("k", "earlier");
    /// batch.put("k", "later");
    /// db.write(&batch)?;
    /// assert_eq!(db.get("k")?.as_deref(), Some(&b"later"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "insert")]
    #[doc(alias = "set")]
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let key = self.keep(key.as_ref());
        let value = self.keep(value.as_ref());
        self.changes.push((key, Some(value)));
    }

    /// Adds a delete.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "v")?;
    /// let mut batch = extentdb::WriteBatch::new();
    /// batch.delete("k");
    /// db.write(&batch)?;
    /// assert!(db.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "remove")]
    pub fn delete(&mut self, key: impl AsRef<[u8]>) {
        let key = self.keep(key.as_ref());
        self.changes.push((key, None));
    }

    /// Number of changes.
    ///
    /// ```
    /// let mut batch = extentdb::WriteBatch::new();
    /// batch.put("a", "1");
    /// batch.delete("a");
    /// assert_eq!(batch.len(), 2);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether there are no changes.
    ///
    /// ```
    /// let mut batch = extentdb::WriteBatch::new();
    /// assert!(batch.is_empty());
    /// batch.delete("k");
    /// assert!(!batch.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Removes all changes and keeps the memory.
    ///
    /// ```
    /// let mut batch = extentdb::WriteBatch::new();
    /// batch.put("k", "v");
    /// batch.clear();
    /// assert_eq!(batch.len(), 0);
    /// ```
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.changes.clear();
    }

    pub(crate) fn operations(&self) -> Vec<Operation<'_>> {
        let change = |(key, value): &(Range<usize>, Option<Range<usize>>)| Operation {
            key: &self.bytes[key.clone()],
            value: value.clone().map(|value| &self.bytes[value]),
        };
        self.changes.iter().map(change).collect()
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}
