//! A value that was read.

use crate::device::AlignedBuf;
use crate::sync::Arc;
use std::fmt;
use std::ops::{Deref, Range};

#[derive(Debug)]
enum Backing {
    Pages(AlignedBuf),
    Memory(Vec<u8>),
}

/// The bytes of a value. Cheap to clone: clones share the memory, which is the buffer that the
/// device filled.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// db.put("k", "value")?;
/// let value = db.get("k")?.expect("was put");
/// assert_eq!(&value[..3], b"val");
/// assert_eq!(value.into_vec(), b"value");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Value {
    backing: Arc<Backing>,
    range: Range<usize>,
}

impl Value {
    /// The part `range` of the pages in `buf`.
    pub(crate) fn from_pages(buf: AlignedBuf, range: Range<usize>) -> Self {
        assert!(range.end <= buf.len(), "a value lies within its pages");
        Self { backing: Arc::new(Backing::Pages(buf)), range }
    }

    /// The part `range` of this value, sharing its memory.
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.range.len(), "within the value");
        let start = self.range.start;
        Self { backing: Arc::clone(&self.backing), range: start + range.start..start + range.end }
    }

    /// The bytes in a vector of their own. Copies, unless the value never was on the device.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "value")?;
    /// let mut bytes = db.get("k")?.expect("was put").into_vec();
    /// bytes.push(b's');
    /// assert_eq!(bytes, b"values");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match Arc::try_unwrap(self.backing) {
            Ok(Backing::Memory(bytes)) if self.range == (0..bytes.len()) => bytes,
            Ok(Backing::Memory(bytes)) => bytes[self.range].to_vec(),
            Ok(Backing::Pages(buf)) => buf[self.range].to_vec(),
            Err(shared) => Self { backing: shared, range: self.range }.to_vec(),
        }
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { backing: Arc::new(Backing::Memory(bytes)), range }
    }
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &*self.backing {
            Backing::Pages(buf) => &buf[self.range.clone()],
            Backing::Memory(bytes) => &bytes[self.range.clone()],
        }
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let more = if self.len() > SHOWN { "..." } else { "" };
        write!(f, "\"{}\"{more}", self[..self.len().min(SHOWN)].escape_ascii())
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Value {
    fn eq(&self, other: &T) -> bool {
        **self == *other.as_ref()
    }
}

impl Eq for Value {}
