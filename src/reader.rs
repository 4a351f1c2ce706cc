//! A value as a stream.

use crate::device::AlignedBuf;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::format::location::{Home, Location};
use crate::index::{Index, View};
use crate::seeded::{Bug, seeded};
use crate::sync::Arc;
use crate::value::Value;
use std::fmt;
use std::io::{self, Read};

/// Bytes of a large value that are read at a time.
const CHUNK_BYTES: u64 = 1 << 20;

/// Reads a value piece by piece; every piece is verified before any of it is returned.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// # db.put_reader("film", 10 << 20, std::io::repeat(1))?;
/// let mut reader = db.get_reader("film")?.expect("was stored");
/// let copied = std::io::copy(&mut reader, &mut std::io::sink())?;
/// assert_eq!(copied, reader.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ValueReader {
    engine: Arc<Engine>,
    /// Keeps the value where it is.
    _view: View,
    key: Vec<u8>,
    location: Location,
    /// Header pages, for a large value.
    header: Option<AlignedBuf>,
    /// Bytes of the value that have been read from the device.
    fetched: u64,
    piece: Value,
    /// Bytes of the piece that have been returned.
    returned: usize,
}

impl ValueReader {
    /// A reader over what `view` shows of `key`; `None` if it has no value.
    pub(crate) fn open(engine: &Arc<Engine>, view: View, key: &[u8]) -> Result<Option<Self>> {
        let Some(location) = view.get(key) else { return Ok(None) };
        let mut reader = Self {
            engine: Arc::clone(engine),
            _view: if seeded(Bug::ReaderHoldsNothing) { Index::new().view() } else { view },
            key: key.to_vec(),
            location,
            header: None,
            fetched: 0,
            piece: Value::from(Vec::new()),
            returned: 0,
        };
        match location.home() {
            Home::Log | Home::Value => {
                reader.piece = engine.fetch(key, location)?;
                reader.fetched = reader.len();
            }
            Home::Large => reader.header = Some(engine.read_large_header(key, location)?),
        }
        Ok(Some(reader))
    }

    /// Length of the whole value in bytes.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "value")?;
    /// let reader = db.get_reader("k")?.expect("was put");
    /// assert_eq!(reader.len(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        u64::from(self.location.value_len())
    }

    /// Whether the value has no bytes.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
    /// # db.put("k", "")?;
    /// let reader = db.get_reader("k")?.expect("was put");
    /// assert!(reader.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn fetch_piece(&mut self) -> Result<()> {
        self.engine.check_usable()?;
        if let Some(header) = &self.header {
            let wanted = self.fetched..(self.fetched + CHUNK_BYTES).min(self.len());
            self.piece =
                self.engine.read_blocks(&self.key, self.location, header, wanted.clone())?;
            self.fetched = wanted.end;
            self.returned = 0;
        }
        Ok(())
    }
}

impl Read for ValueReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.returned == self.piece.len() && self.fetched < self.len() {
            self.fetch_piece().map_err(into_io)?;
        }
        let rest = &self.piece[self.returned..];
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        self.returned += len;
        Ok(len)
    }
}

fn into_io(error: Error) -> io::Error {
    let kind = match error {
        Error::Corrupt { .. } => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl fmt::Debug for ValueReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueReader").field("len", &self.len()).finish_non_exhaustive()
    }
}
