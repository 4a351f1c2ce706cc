//! The operations of [`Db`] for those who do not wait.

use crate::batch::WriteBatch;
use crate::db::{CasMismatch, Db};
use crate::device::AlignedBuf;
use crate::error::Result;
use crate::extent::large::Source;
use crate::pending::Pending;
use crate::sync::Arc;
use crate::value::Value;

/// # Without waiting
///
/// These return at once with a [`Pending`]: a future for any executor, or none
/// ([`Pending::wait`]). They mean what those without `_async` mean, in the durability of the handle,
/// with the same errors. The operation begins with the call. Dropping what is returned takes nothing
/// back. While the volume has no room, or the [`SyncWindow`](crate::SyncWindow) is full, what is
/// returned is pending, and the calling thread goes on. Each put that is pending for want of room
/// holds a copy of its value, so bound how many are under way.
///
/// The first of them starts threads: one that writes batches of small values, and for reads and large
/// values up to 16 and 8 more as they are needed.
impl Db {
    /// As [`put`](Self::put). `value` is copied before this returns.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// async fn serve(db: &extentdb::Db) -> extentdb::Result<()> {
    ///     let (a, b) = (db.put_async("a", "1"), db.put_async("b", "2"));
    ///     a.await?; // Durable from here on, and shares a flush with the other.
    ///     b.await
    /// }
    /// # std::pin::pin!(serve(&db));
    /// db.put_async("c", "3").wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_async(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Pending<()> {
        self.engine.put_async(key.as_ref(), value.as_ref(), self.durability)
    }

    /// As [`put_aligned`](Self::put_aligned).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let mut image = extentdb::AlignedBuf::new(1 << 20)?;
    /// image.fill(7);
    /// db.put_aligned_async("image", image).wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_aligned_async(&self, key: impl AsRef<[u8]>, value: AlignedBuf) -> Pending<()> {
        let (key, durability) = (key.as_ref().to_vec(), self.durability);
        self.engine.work_async(move |engine| {
            let (len, value) = (value.len() as u64, Arc::new(value));
            engine.put(&key, len, Source::Aligned(&value), None, durability).map(drop)
        })
    }

    /// As [`delete`](Self::delete).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "v")?;
    /// db.delete_async("k").wait()?;
    /// assert!(db.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "remove")]
    pub fn delete_async(&self, key: impl AsRef<[u8]>) -> Pending<()> {
        self.engine.delete_async(key.as_ref(), self.durability)
    }

    /// As [`write`](Self::write).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let mut batch = extentdb::WriteBatch::new();
    /// batch.put("from", "90");
    /// batch.put("to", "110");
    /// db.write_async(&batch).wait()?;
    /// assert_eq!(db.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_async(&self, batch: &WriteBatch) -> Pending<()> {
        self.engine.write_async(batch, self.durability)
    }

    /// As [`put_if_absent`](Self::put_if_absent). At most eight of these and of other operations that
    /// are more than one record make progress at a time.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// assert!(db.put_if_absent_async("leader", "me").wait()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_if_absent_async(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Pending<bool> {
        let (key, value) = (key.as_ref().to_vec(), value.as_ref().to_vec());
        let durability = self.durability;
        self.engine.work_async(move |engine| engine.put_if_absent(&key, &value, durability))
    }

    /// As [`compare_and_swap`](Self::compare_and_swap). At most eight of these and of other operations
    /// that are more than one record make progress at a time.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// let swapped = db.compare_and_swap_async("n", None, Some(b"1")).wait()?;
    /// assert!(swapped.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compare_and_swap_async(
        &self,
        key: impl AsRef<[u8]>,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Pending<Result<(), CasMismatch>> {
        let key = key.as_ref().to_vec();
        let (expected, new) = (expected.map(<[u8]>::to_vec), new.map(<[u8]>::to_vec));
        let durability = self.durability;
        self.engine.work_async(move |engine| {
            let (expected, new) = (expected.as_deref(), new.as_deref());
            let swapped = engine.compare_and_swap(&key, expected, new, durability)?;
            Ok(swapped.map_err(|current| CasMismatch { current }))
        })
    }

    /// As [`get`](Self::get). Over at once where no read of the device is needed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "v")?;
    /// let (found, absent) = (db.get_async("k"), db.get_async("other"));
    /// assert_eq!(found.wait()?.as_deref(), Some(&b"v"[..]));
    /// assert_eq!(absent.wait()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_async(&self, key: impl AsRef<[u8]>) -> Pending<Option<Value>> {
        self.engine.get_async(key.as_ref())
    }

    /// As [`multi_get`](Self::multi_get).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "v")?;
    /// let values = db.multi_get_async(&["k", "other"]).wait()?;
    /// assert!(matches!(&values[..], [Ok(Some(_)), Ok(None)]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn multi_get_async<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
    ) -> Pending<Vec<Result<Option<Value>>>> {
        let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.as_ref().to_vec()).collect();
        self.engine.read_async(move |engine| Ok(engine.get_all(&keys)))
    }

    /// As [`get_range`](Self::get_range).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.put("k", "0123456789")?;
    /// assert_eq!(db.get_range_async("k", 2, 3).wait()?.as_deref(), Some(&b"234"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_range_async(
        &self,
        key: impl AsRef<[u8]>,
        offset: u64,
        len: u64,
    ) -> Pending<Option<Value>> {
        let key = key.as_ref().to_vec();
        let wanted = offset..offset.saturating_add(len);
        self.engine.read_async(move |engine| engine.get_range(&key, wanted))
    }

    /// As [`sync`](Self::sync).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// db.with_durability(extentdb::Durability::Buffered).put("k", "v")?;
    /// db.sync_async().wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sync_async(&self) -> Pending<()> {
        self.engine.work_async(|engine| engine.sync())
    }
}
