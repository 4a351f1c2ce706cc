//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Result of the store's operations.
///
/// ```
/// fn shout(db: &extentdb::Db, key: &str) -> extentdb::Result<()> {
///     let value = db.get(key)?.map(|value| value.to_ascii_uppercase());
///     value.map_or(Ok(()), |value| db.put(key, value))
/// }
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// db.put("k", "hey")?;
/// shout(&db, "k")?;
/// assert_eq!(db.get("k")?.as_deref(), Some(&b"HEY"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every way an operation can fail. Cheap to clone: causes are shared.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("data.vol");
/// use extentdb::{Error, Options};
///
/// let options = Options::new().volume_bytes(1 << 20);
/// let db = options.open(&path)?;
/// match options.open(&path) {
///     Err(Error::Locked { pid, .. }) => println!("process {pid:?} has it open"),
///     other => panic!("two handles to one volume: {other:?}"),
/// }
/// match db.put("film", vec![0; 2 << 20]) {
///     Err(Error::Full { pinned_by: Some(who) }) => println!("drop the {who} and try again"),
///     Err(error @ Error::Full { .. }) => println!("{error}"),
///     other => panic!("2 MiB in a volume of 1 MiB: {other:?}"),
/// }
/// assert!(db.health().is_healthy(), "what is refused does no harm");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("data.vol");
/// # let db = extentdb::Options::new().volume_bytes(1 << 20).open(&path)?;
/// use extentdb::Error;
///
/// db.put("photo", [7; 100_000])?;
/// // Someone writes over it.
/// # let bytes = std::fs::read(&path)?;
/// # let at = bytes.windows(100).position(|window| window == [7; 100]).expect("it is there");
/// # let file = std::fs::File::options().write(true).open(&path)?;
/// # std::os::unix::fs::FileExt::write_all_at(&file, b"other bytes", at as u64)?;
/// match db.get("photo") {
///     Err(Error::Corrupt { page, key: Some(key), .. }) => {
///         println!("page {page} is damaged");
///         assert_eq!(key, b"photo");
///     }
///     other => panic!("damage is an error, never absence: {other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused or failed a transfer.
    #[error("{op} of {}{path} failed: {source}", page_prefix(*page), path = path.display())]
    Io {
        /// What was being done: `read`, `write`, `barrier`, `grow`, `open`, ...
        op: &'static str,
        /// The first page it concerned; 0 where it concerned none.
        page: u64,
        /// The volume.
        path: Arc<PathBuf>,
        /// The cause.
        source: Arc<io::Error>,
    },
    /// Bytes on the device are not what was written there. Restore the volume from a copy, or
    /// run `extentdb check` to see what else is damaged.
    #[error(
        "page {page} is corrupt: {what}{}; restore the volume from a copy, `extentdb check` shows \
         what else is damaged",
        key_suffix(key)
    )]
    Corrupt {
        /// The first damaged page.
        page: u64,
        /// The key that was being read, where there was one.
        key: Option<Vec<u8>>,
        /// What was found.
        what: &'static str,
    },
    /// What is kept in memory of an extent disagrees with the index: a bug, or memory that is faulty.
    /// The volume is whole: open it again, which derives all of it anew. Only
    /// [`Db::check`](crate::Db::check) looks for it.
    #[error(
        "memory is wrong about the extent at page {page}: {what}; close the volume and open it again"
    )]
    Miscounted {
        /// The extent's first page.
        page: u64,
        /// What was found.
        what: &'static str,
    },
    /// Another handle has the volume open. Close it first; clones of one [`Db`](crate::Db) may
    /// be shared freely within a process.
    #[error("{path} is in use{}; close it there first", pid_suffix(pid), path = path.display())]
    Locked {
        /// The volume.
        path: Arc<PathBuf>,
        /// The process that holds it, where it could be found.
        pid: Option<u32>,
    },
    /// No space is left for puts. Delete something, raise `max_bytes`, or free the disk.
    #[error(
        "the volume is full{}; delete something, raise max_bytes, or free disk space",
        pinned_suffix(pinned_by)
    )]
    Full {
        /// What holds on to the space, where it is a snapshot or an iterator.
        pinned_by: Option<&'static str>,
    },
    /// Keys have at least one byte.
    #[error("the key is empty; keys have 1 to 65,535 bytes")]
    EmptyKey,
    /// Keys have at most 65,535 bytes.
    #[error("the key has {len} bytes; keys have 1 to 65,535 bytes")]
    KeyTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Values have at most 4 GiB - 1.
    #[error("the value has {len} bytes; values have at most 4,294,967,295")]
    ValueTooLong {
        /// Its length in bytes.
        len: u64,
    },
    /// A batch must fit a quarter of an extent. Split it, or create the volume with larger
    /// extents.
    #[error("the batch needs {bytes} bytes of log, at most {limit} fit; split it")]
    BatchTooLarge {
        /// Log bytes of the batch.
        bytes: u64,
        /// Most that fits.
        limit: u64,
    },
    /// The device failed while this operation was on its way: it may or may not be found after
    /// reopening.
    #[error("the device failed during the operation, which may or may not be durable: {cause}")]
    Indeterminate {
        /// The failure.
        cause: Arc<Error>,
    },
    /// An earlier failure stopped this handle from writing. Nothing of this operation was
    /// written. Reads of durable data still work; reopen the volume to recover.
    #[error("the handle no longer writes after an earlier failure; reopen the volume: {cause}")]
    Poisoned {
        /// The failure.
        cause: Arc<Error>,
    },
    /// A thread panicked inside the store. Report it, with the panic's message.
    #[error("a thread panicked inside the store; this is a bug of the store")]
    Panicked,
    /// The handle was closed.
    #[error("the handle is closed; open the volume again")]
    Closed,
    /// The handle was inherited by a forked child, which must not use it.
    #[error("the handle belongs to the parent of this forked process; use it there only")]
    Forked,
    /// The file or device cannot be written. Mend its permissions or its mount.
    #[error("{path} cannot be opened for writing: {source}", path = path.display())]
    ReadOnly {
        /// The volume.
        path: Arc<PathBuf>,
        /// The cause.
        source: Arc<io::Error>,
    },
    /// What is at the path is not a volume of this store, and was left as it is.
    #[error("{path} is not an extentdb volume ({what}); it was left untouched", path = path.display())]
    NotAStore {
        /// What was opened.
        path: Arc<PathBuf>,
        /// What was found, and what to do.
        what: &'static str,
    },
    /// The volume was written by a newer version. Open it with that version or a newer one.
    #[error("the volume has format {found}, this version reads up to {supported}; use a newer one")]
    NewerFormat {
        /// Its version.
        found: u32,
        /// The newest version that this library reads.
        supported: u32,
    },
    /// `create_new` was asked for and there is something already.
    #[error("{path} exists already; open it without create_new", path = path.display())]
    AlreadyExists {
        /// What exists.
        path: Arc<PathBuf>,
    },
    /// An option has a value that cannot work.
    #[error("option {option}: {what}")]
    Options {
        /// The option.
        option: &'static str,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// The machine or the volume cannot do what was asked.
    #[error("unsupported here: {what}")]
    Unsupported {
        /// What, and what to do instead.
        what: &'static str,
    },
    /// The reader that was to supply a value failed; nothing was stored.
    #[error("the reader that supplies the value failed: {source}")]
    Source {
        /// The reader's own error.
        source: Arc<io::Error>,
    },
}

impl Error {
    /// There is no thread to be had for the volume at `path`.
    pub(crate) fn no_thread(path: &Arc<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            op: "start a thread for",
            page: 0,
            path: Arc::clone(path),
            source: Arc::new(source),
        }
    }

    /// Whether a transfer failed, as opposed to being refused: the handle must not write on.
    pub(crate) fn is_device_failure(&self) -> bool {
        matches!(self, Self::Io { op, .. } if *op != "allocate")
    }
}

fn page_prefix(page: u64) -> String {
    if page == 0 { String::new() } else { format!("page {page} of ") }
}

fn key_suffix(key: &Option<Vec<u8>>) -> String {
    key.as_ref().map_or_else(String::new, |k| format!(" (key {})", k.escape_ascii()))
}

fn pid_suffix(pid: &Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

fn pinned_suffix(pinned_by: &Option<&'static str>) -> String {
    pinned_by.map_or_else(String::new, |who| format!(": its space is held by {who}"))
}
