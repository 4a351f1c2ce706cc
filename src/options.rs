//! How a volume is opened.

use crate::db::Db;
use crate::device::{DirectIo, IoUring};
use crate::durability::SyncWindow;
use crate::engine::{Engine, Pace};
use crate::error::{Error, Result};
use crate::events::EventListener;
use crate::format::ids::{MAX_EXTENTS, MAX_VOLUME_PAGES, PAGE_BYTES};
use crate::report::OpenProgress;
use crate::sync::Arc;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Called once when the handle stops writing.
pub(crate) type FatalCallback = Arc<dyn Fn(&Error) + Send + Sync>;
/// Called now and then while a volume is being opened.
pub(crate) type ProgressCallback = Arc<dyn Fn(&OpenProgress) + Send + Sync>;

/// Largest extent that is chosen without being asked for.
const DEFAULT_EXTENT_BYTES: u64 = 8 << 20;
/// Extents in a fixed-size volume, at the least, where the extent size is not asked for.
const EXTENTS_WANTED: u64 = 64;
/// Fewest extents that a volume works with.
const MIN_EXTENTS: u64 = 16;
/// Idle time after which evidence is written (W6): longer than a closed loop of writers leaves
/// the log idle, short enough that little stays unproven.
const EVIDENCE_AFTER: Duration = Duration::from_millis(3);
const MIN_EXTENT_BYTES: u64 = 4 * PAGE_BYTES as u64;
const MAX_EXTENT_BYTES: u64 = 256 << 20;

/// Options for opening or creating a volume.
///
/// ```
/// use extentdb::Options;
///
/// # let dir = tempfile::tempdir()?;
/// let db = Options::new()
///     .max_bytes(64 << 30)
///     .on_fatal(|error| eprintln!("the store stopped writing: {error}"))
///     .open(dir.path().join("data.vol"))?;
/// db.put("key", "value")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Options {
    pub(crate) max_bytes: Option<u64>,
    pub(crate) volume_bytes: Option<u64>,
    pub(crate) extent_bytes: Option<u64>,
    pub(crate) create: bool,
    pub(crate) create_new: bool,
    pub(crate) direct_io: DirectIo,
    pub(crate) io_uring: IoUring,
    pub(crate) large_min: u32,
    pub(crate) sync_window: SyncWindow,
    pub(crate) pipeline_depth: usize,
    pub(crate) worth_bytes: usize,
    pub(crate) buffer_bytes: usize,
    pub(crate) cache_bytes: usize,
    pub(crate) evidence_after: Duration,
    pub(crate) replay_time: Duration,
    pub(crate) garbage_ratio: f64,
    pub(crate) discard: bool,
    /// Bytes of a slice of a checkpoint, and of log below which none is due.
    pub(crate) slice_bytes: usize,
    pub(crate) checkpoint_log_bytes: u64,
    pub(crate) on_fatal: Option<FatalCallback>,
    pub(crate) on_progress: Option<ProgressCallback>,
    pub(crate) listener: Option<Arc<dyn EventListener>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_bytes: None,
            volume_bytes: None,
            extent_bytes: None,
            create: true,
            create_new: false,
            direct_io: DirectIo::default(),
            io_uring: IoUring::default(),
            large_min: 32 << 10,
            sync_window: SyncWindow::default(),
            pipeline_depth: 2,
            worth_bytes: 32 << 10,
            buffer_bytes: 64 << 20,
            cache_bytes: 64 << 20,
            evidence_after: EVIDENCE_AFTER,
            replay_time: Duration::from_secs(2),
            garbage_ratio: 0.5,
            discard: false,
            slice_bytes: 32 << 10,
            checkpoint_log_bytes: 64 << 20,
            on_fatal: None,
            on_progress: None,
            listener: None,
        }
    }
}

impl Options {
    /// The defaults.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// let db = extentdb::Options::new().open(&path)?;
    /// assert_eq!(db.info().extent_bytes, 8 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the volume at `path`, creating it as a file if nothing is there.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// let options = extentdb::Options::new().volume_bytes(1 << 20);
    /// let db = options.open(&path)?;
    /// assert!(db.open_report().created);
    /// assert_eq!(std::fs::metadata(&path)?.len(), 1 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// See [`Error`]; in particular `Locked`, `NotAStore`, `NewerFormat`, `Corrupt`, `ReadOnly`.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Db> {
        Engine::open(path.as_ref(), self).map(Db::new)
    }

    /// Bytes to which a volume in a file may grow. Default: what it was last opened with, 16 TiB
    /// for a new one.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// use extentdb::Options;
    ///
    /// let db = Options::new().max_bytes(1 << 20).open(&path)?;
    /// assert_eq!(db.info().max_bytes, 1 << 20);
    /// db.close()?;
    /// let db = Options::new().max_bytes(4 << 20).open(&path)?;
    /// assert_eq!(db.info().max_bytes, 4 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Creates the volume with all of its bytes allocated, never to grow. Default: it grows to
    /// `max_bytes`. No effect on a volume that exists, nor on a device, which is used whole.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// let db = extentdb::Options::new().volume_bytes(1 << 20).open(&path)?;
    /// let info = db.info();
    /// assert_eq!((info.volume_bytes, info.fixed), (1 << 20, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn volume_bytes(mut self, bytes: u64) -> Self {
        self.volume_bytes = Some(bytes);
        self
    }

    /// Size of the volume's extents: a power of two from 16 KiB to 256 MiB. Default: 8 MiB, less
    /// for volumes under 512 MiB. A batch takes at most a quarter of an extent. A volume has at most
    /// 4,194,304 extents, so small ones make the most it can grow to less. No effect on a volume that
    /// exists.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// let options = extentdb::Options::new().extent_bytes(32 << 10).volume_bytes(1 << 20);
    /// assert_eq!(options.open(&path)?.info().extent_bytes, 32 << 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn extent_bytes(mut self, bytes: u64) -> Self {
        self.extent_bytes = Some(bytes);
        self
    }

    /// Whether an absent volume is created. Default: true.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// assert!(extentdb::Options::new().create(false).open(&path).is_err());
    /// assert!(!path.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Insists on creating the volume: fails if there is one. Needed to create one on a block
    /// device. Default: false.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// use extentdb::{Error, Options};
    ///
    /// let options = Options::new().create_new(true).volume_bytes(1 << 20);
    /// options.open(&path)?.close()?;
    /// assert!(matches!(options.open(&path), Err(Error::AlreadyExists { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// On a block device, which must be empty:
    ///
    /// ```no_run
    /// # use extentdb::Options;
    /// let db = Options::new().create_new(true).open("/dev/nvme1n1")?;
    /// assert!(db.info().device.is_block_device);
    /// # Ok::<(), extentdb::Error>(())
    /// ```
    pub fn create_new(mut self, create_new: bool) -> Self {
        self.create_new = create_new;
        self
    }

    /// Whether the page cache is bypassed. Default: [`DirectIo::Preferred`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// use extentdb::{DirectIo, DirectState, Options};
    ///
    /// let db = Options::new().direct_io(DirectIo::Off).volume_bytes(1 << 20).open(&path)?;
    /// assert_eq!(db.info().device.direct, DirectState::Off);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn direct_io(mut self, direct_io: DirectIo) -> Self {
        self.direct_io = direct_io;
        self
    }

    /// Whether reads that are issued together, those of `multi_get` and of scans, go through
    /// io_uring. Default: [`IoUring::Preferred`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// use extentdb::{IoUring, Options};
    ///
    /// let db = Options::new().io_uring(IoUring::Off).volume_bytes(1 << 20).open(&path)?;
    /// println!("io_uring is {}", db.info().device.io_uring);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn io_uring(mut self, io_uring: IoUring) -> Self {
        self.io_uring = io_uring;
        self
    }

    /// Longest value, in bytes, that is logged beside its key; longer ones get pages of their
    /// own, written before their record. Default: 32 KiB. At most an eighth of an extent is
    /// used.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// let db = extentdb::Options::new().large_min(100).volume_bytes(1 << 20).open(&path)?;
    /// db.put("in the log", [0; 100])?;
    /// assert_eq!(db.metrics().large_bytes, 0);
    /// db.put("on its own", [0; 101])?;
    /// assert!(db.metrics().large_bytes > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn large_min(mut self, bytes: u32) -> Self {
        self.large_min = bytes;
        self
    }

    /// What [`Durability::Written`](crate::Durability::Written) and
    /// [`Durability::Buffered`](crate::Durability::Buffered) may lose. Default: 8 MiB, 100 ms.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// use extentdb::{Durability, Options, SyncWindow};
    /// use std::time::Duration;
    ///
    /// let window = SyncWindow { bytes: 64 << 10, time: Duration::from_millis(10) };
    /// let db = Options::new().sync_window(window).volume_bytes(1 << 20).open(&path)?;
    /// // Seen at once; a flush begins within 10 ms.
    /// db.with_durability(Durability::Buffered).put("k", "v")?;
    /// assert!(db.contains_key("k")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sync_window(mut self, window: SyncWindow) -> Self {
        self.sync_window = window;
        self
    }

    /// Longest that replaying the log should take at an open: a checkpoint is written when it
    /// would take longer, by an estimate of 0.4 us per record, or when the log since the last one
    /// is ten times as long as its image. Default: 2 s.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// use std::time::Duration;
    ///
    /// let options = extentdb::Options::new().replay_time(Duration::from_millis(500));
    /// let db = options.volume_bytes(1 << 20).open(&path)?;
    /// # db.put("k", "v")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replay_time(mut self, limit: Duration) -> Self {
        self.replay_time = limit;
        self
    }

    /// Space that garbage may take for each byte that is live. Less is collected more often, and so
    /// written more often. Where the volume cannot grow, garbage is collected when space runs low,
    /// if that comes first. Default: 0.5.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// let db = extentdb::Options::new().garbage_ratio(0.2).volume_bytes(1 << 20).open(&path)?;
    /// # db.put("k", "v")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn garbage_ratio(mut self, ratio: f64) -> Self {
        self.garbage_ratio = ratio;
        self
    }

    /// Whether the blocks of extents that stay free are given back to the file system, or to a device that
    /// takes them, while the volume is open. Default: false.
    ///
    /// What the store takes up on disk then follows what it holds, within its file as well. But what is
    /// used again has to be allocated again, and filled with zeros before the log goes there; and it may
    /// have been taken by others: a put is then refused as `Full`, as where a file cannot grow.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// let db = extentdb::Options::new().discard(true).volume_bytes(1 << 20).open(&path)?;
    /// assert_eq!(db.info().discard, extentdb::Discard::On);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn discard(mut self, discard: bool) -> Self {
        self.discard = discard;
        self
    }

    /// Commit batches that may be on their way to the device at once, 1 to 8. Default: 2.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// use extentdb::{Error, Options};
    ///
    /// let db = Options::new().pipeline_depth(4).volume_bytes(1 << 20).open(&path)?;
    /// assert_eq!(db.info().pipeline_depth, 4);
    /// let refused = Options::new().pipeline_depth(9).open(&path);
    /// assert!(matches!(refused, Err(Error::Options { option: "pipeline_depth", .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pipeline_depth(mut self, batches: usize) -> Self {
        self.pipeline_depth = batches;
        self
    }

    /// Bytes of records from which a batch is written while others are still on their way.
    /// Default: 32 KiB.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// // A smaller batch waits for those that are on their way.
    /// let options = extentdb::Options::new().pipeline_min_bytes(128 << 10).volume_bytes(1 << 20);
    /// let db = options.open(&path)?;
    /// db.put("k", "v")?;
    /// assert_eq!(db.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pipeline_min_bytes(mut self, bytes: usize) -> Self {
        self.worth_bytes = bytes;
        self
    }

    /// Bytes of idle I/O buffers that are kept for reuse. Default: 64 MiB.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// // No memory is kept: every buffer is given back once it is idle.
    /// let db = extentdb::Options::new().buffer_bytes(0).volume_bytes(1 << 20).open(&path)?;
    /// db.put("k", "v")?;
    /// assert_eq!(db.get("k")?.as_deref(), Some(&b"v"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Bytes of values that are kept in memory for being read again, keys and about 100 bytes for
    /// each included; 0 for none. Default: 64 MiB.
    ///
    /// `get` and `multi_get` fill it, with what they read for the second time; scans do not. Values
    /// over 64 KiB, or an eighth of the cache, do not enter, nor do those that have pages of their own
    /// (see [`large_min`](Self::large_min)).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// let db = extentdb::Options::new().cache_bytes(1 << 30).open(&path)?;
    /// db.put("k", "v")?;
    /// for _ in 0..3 {
    ///     db.get("k")?;
    /// }
    /// assert_eq!((db.metrics().cache_misses, db.metrics().cache_hits), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Called once, from the thread that met it, when a failure of the device makes the handle
    /// stop writing: at once, for what must not wait, such as taking the service out of rotation. It may
    /// close the store.
    /// For everything else that happens, and for that in its turn, there is
    /// [`event_listener`](Self::event_listener).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// let (sender, failures) = std::sync::mpsc::channel();
    /// let options = extentdb::Options::new()
    ///     .volume_bytes(1 << 20)
    ///     .on_fatal(move |error| sender.send(error.clone()).expect("someone listens"));
    /// options.open(&path)?.put("k", "v")?;
    /// assert!(failures.try_recv().is_err(), "the device is well");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_fatal(mut self, callback: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_fatal = Some(Arc::new(callback));
        self
    }

    /// Called now and then while the log is replayed, from threads that replay it: for a line that says
    /// how far it has come. When it is done, [`Event::Opened`](crate::Event::Opened) is told, and the
    /// [`OpenReport`](crate::OpenReport) is there.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// # let db = extentdb::Options::new().volume_bytes(1 << 20).open(&path)?;
    /// # db.put("k", "v")?;
    /// # db.close()?;
    /// let (sender, steps) = std::sync::mpsc::channel();
    /// let db = extentdb::Options::new()
    ///     .on_open_progress(move |progress| sender.send(*progress).expect("someone listens"))
    ///     .open(&path)?;
    /// let last = steps.try_iter().last().expect("there is a log");
    /// assert!(last.log_extents <= last.extents);
    /// assert_eq!(last.batch, db.open_report().recovered_batch);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_open_progress(
        mut self,
        callback: impl Fn(&OpenProgress) + Send + Sync + 'static,
    ) -> Self {
        self.on_progress = Some(Arc::new(callback));
        self
    }

    /// Told of what the store does and meets: stalls, errors, garbage collection, checkpoints, growth.
    /// See [`EventListener`] for what it may do, and [`Event`](crate::Event) for what there is to hear.
    /// Default: none, and then none of it costs anything. Each store that is opened with these options
    /// tells the same listener.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data.vol");
    /// use extentdb::{Event, Options};
    ///
    /// let db = Options::new()
    ///     .event_listener(|event: &Event| eprintln!("extentdb: {event}"))
    ///     .open(&path)?;
    /// db.put("k", "v")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn event_listener(mut self, listener: impl EventListener) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Refuses values that cannot work.
    pub(crate) fn check(&self) -> Result<()> {
        if !(1..=8).contains(&self.pipeline_depth) {
            return Err(invalid("pipeline_depth", "must be 1 to 8"));
        }
        let smallest = MIN_EXTENTS * MIN_EXTENT_BYTES;
        let largest = MAX_VOLUME_PAGES * PAGE_BYTES as u64;
        for (option, bytes) in [("max_bytes", self.max_bytes), ("volume_bytes", self.volume_bytes)]
        {
            if bytes.is_some_and(|bytes| !(smallest..=largest).contains(&bytes)) {
                return Err(invalid(option, "must be 256 KiB to 16 TiB"));
            }
        }
        let sound = |bytes: u64| {
            bytes.is_power_of_two() && (MIN_EXTENT_BYTES..=MAX_EXTENT_BYTES).contains(&bytes)
        };
        if self.extent_bytes.is_some_and(|bytes| !sound(bytes)) {
            return Err(invalid("extent_bytes", "must be a power of two, 16 KiB to 256 MiB"));
        }
        let max_bytes = self.new_max_bytes(self.volume_bytes);
        self.new_extent_bytes(max_bytes).map(drop)
    }

    /// When checkpoints are due on a volume that may grow to `max_pages`.
    pub(crate) fn pace(&self, max_pages: u64) -> Pace {
        let share = max_pages * PAGE_BYTES as u64 / 8;
        Pace {
            slice_bytes: self.slice_bytes,
            replay_time: self.replay_time,
            least_log_bytes: self.checkpoint_log_bytes.min(share),
        }
    }

    /// Bytes to which a new volume may grow, `fixed_len` where its length is given.
    pub(crate) fn new_max_bytes(&self, fixed_len: Option<u64>) -> u64 {
        let largest = MAX_VOLUME_PAGES * PAGE_BYTES as u64;
        fixed_len.or(self.max_bytes).unwrap_or(largest).min(largest)
    }

    /// The size of a new volume's extents.
    pub(crate) fn new_extent_bytes(&self, max_bytes: u64) -> Result<u64> {
        let default = || {
            let wanted = (max_bytes / EXTENTS_WANTED).max(MIN_EXTENT_BYTES);
            (1 << wanted.ilog2()).min(DEFAULT_EXTENT_BYTES)
        };
        let bytes = self.extent_bytes.unwrap_or_else(default);
        if max_bytes / bytes < MIN_EXTENTS {
            return Err(invalid("extent_bytes", "a volume needs room for at least 16 extents"));
        }
        if max_bytes / bytes > MAX_EXTENTS && self.max_bytes.or(self.volume_bytes).is_some() {
            return Err(invalid(
                "extent_bytes",
                "must be larger: a volume has at most 4,194,304 extents",
            ));
        }
        Ok(bytes)
    }
}

fn invalid(option: &'static str, what: &str) -> Error {
    Error::Options { option, what: what.to_owned() }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("max_bytes", &self.max_bytes)
            .field("volume_bytes", &self.volume_bytes)
            .field("extent_bytes", &self.extent_bytes)
            .field("create", &self.create)
            .field("create_new", &self.create_new)
            .field("direct_io", &self.direct_io)
            .field("io_uring", &self.io_uring)
            .field("large_min", &self.large_min)
            .field("sync_window", &self.sync_window)
            .field("pipeline_depth", &self.pipeline_depth)
            .field("worth_bytes", &self.worth_bytes)
            .field("buffer_bytes", &self.buffer_bytes)
            .field("cache_bytes", &self.cache_bytes)
            .finish_non_exhaustive()
    }
}
