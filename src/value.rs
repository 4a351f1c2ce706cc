//! A value that was read.

use crate::device::AlignedBuf;
use crate::sync::Arc;
use std::fmt;
use std::ops::{Deref, Range};

/// What holds the bytes, in one allocation that all clones share.
#[derive(Debug, Clone)]
enum Backing {
    Pages(Arc<AlignedBuf>),
    Memory(Arc<[u8]>),
}

/// The bytes of a value. Cheap to clone: clones share the memory, which is the buffer that the
/// device filled, or a copy where most of that would be something else.
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
    backing: Backing,
    range: Range<usize>,
}

impl Value {
    /// The part `range` of the pages in `buf`: as they are, or a copy if they are twice as long.
    pub(crate) fn from_pages(buf: AlignedBuf, range: Range<usize>) -> Self {
        assert!(range.end <= buf.len(), "a value lies within its pages");
        if range.len() <= buf.len() / 2 {
            return Self::from_memory(Arc::from(&buf[range.clone()]), 0..range.len());
        }
        Self { backing: Backing::Pages(Arc::new(buf)), range }
    }

    /// The part `range` of `bytes`.
    pub(crate) fn from_memory(bytes: Arc<[u8]>, range: Range<usize>) -> Self {
        assert!(range.end <= bytes.len(), "a value lies within its memory");
        Self { backing: Backing::Memory(bytes), range }
    }

    /// The part `range` of this value, sharing its memory.
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.range.len(), "within the value");
        let start = self.range.start;
        Self { backing: self.backing.clone(), range: start + range.start..start + range.end }
    }

    /// The bytes in a vector of their own, copied.
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
        self.to_vec()
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self::from_memory(Arc::from(bytes), range)
    }
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.backing {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(pages: usize) -> AlignedBuf {
        let bytes: Vec<u8> = (0..pages * 4096).map(|i| (i % 251) as u8).collect();
        AlignedBuf::from_slice(&bytes).unwrap()
    }

    #[test]
    fn a_value_shares_the_pages_that_it_fills_and_no_others() {
        for (range, is_shared) in [(80..1100, false), (80..2128, false), (80..2129, true)] {
            let buf = pages(1);
            let expected = buf[range.clone()].to_vec();
            let at = buf[range.start..].as_ptr();
            let value = Value::from_pages(buf, range);
            assert_eq!(value, expected);
            assert_eq!(value.as_ptr() == at, is_shared);
            assert_eq!(value.clone().as_ptr(), value.as_ptr(), "clones share");
            assert_eq!(value.slice(3..10), expected[3..10]);
            assert_eq!(value.into_vec(), expected);
        }
    }

    #[test]
    fn empty_values_hold_on_to_nothing() {
        let value = Value::from_pages(pages(2), 100..100);
        assert!(value.is_empty() && value.slice(0..0).is_empty());
    }
}
