//! What a listener is told.

use super::stall::Stall;
use crate::error::Error;
use crate::report::OpenReport;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Something that a store did or met. Prints as one line.
///
/// ```
/// use extentdb::{Event, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let (sender, events) = std::sync::mpsc::channel();
/// let db = Options::new()
///     .event_listener(move |event: &Event| sender.send(event.clone()).expect("someone listens"))
///     .open(dir.path().join("data.vol"))?;
/// db.put("k", "v")?;
/// db.checkpoint()?;
/// db.close()?;
/// for event in events {
///     match event {
///         Event::Opened { report, .. } => assert!(report.created),
///         Event::CheckpointEnded { bytes, took, .. } => println!("{bytes} bytes in {took:?}"),
///         other => println!("{other}"),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The store is open.
    #[non_exhaustive]
    Opened {
        /// What the open found: [`Db::open_report`](crate::Db::open_report).
        report: OpenReport,
        /// How long it took.
        took: Duration,
    },
    /// Writes begin to wait, for longer than it takes to write them.
    #[non_exhaustive]
    StallBegan {
        /// What for.
        why: Stall,
    },
    /// For a tenth of a second no write has had to wait for this.
    #[non_exhaustive]
    StallEnded {
        /// What writes waited for.
        why: Stall,
        /// From the beginning of the first wait to the end of the last.
        took: Duration,
        /// How often somebody waited in this time.
        waits: u64,
        /// The longest wait.
        longest: Duration,
    },
    /// Puts were refused as the volume is full. Told at most once a second.
    #[non_exhaustive]
    Full {
        /// What holds on to the space, where it is a snapshot or an iterator.
        pinned_by: Option<&'static str>,
        /// How many were refused since this was last told, this one included.
        refused: u64,
    },
    /// The device failed a transfer. Reads may be tried again; after anything else the handle stops
    /// writing ([`Poisoned`](Self::Poisoned)).
    #[non_exhaustive]
    DeviceFailed {
        /// An [`Error::Io`].
        error: Error,
    },
    /// A transfer took longer than half a second. Reads that go together are not timed.
    #[non_exhaustive]
    DeviceSlow {
        /// Which: `read`, `write` or `barrier`.
        op: &'static str,
        /// How long it took.
        took: Duration,
    },
    /// The handle writes no more. [`Options::on_fatal`](crate::Options::on_fatal) is called at once; this
    /// is told in its turn.
    #[non_exhaustive]
    Poisoned {
        /// The failure.
        cause: Arc<Error>,
    },
    /// What was read is not what was written there, so it is read once more.
    #[non_exhaustive]
    ReadRetried {
        /// The first page of what was read.
        page: u64,
        /// What was found.
        what: &'static str,
    },
    /// A value is damaged: it was read twice.
    #[non_exhaustive]
    Corrupt {
        /// What whoever asked for it was told: an [`Error::Corrupt`].
        error: Error,
    },
    /// The collector could not read live records, so their space is not collected until the volume is
    /// opened again. Whoever gets one of them is told of the damage.
    #[non_exhaustive]
    SetAside {
        /// The first page of the extent, or of the large value.
        page: u64,
        /// Live bytes in it.
        live_bytes: u64,
    },
    /// Live records have left extents, which are free once nobody reads them any more.
    #[non_exhaustive]
    Collected {
        /// Extents that were collected together.
        extents: u64,
        /// Bytes of the records that were live in them.
        moved_bytes: u64,
        /// Bytes of garbage in them.
        gained_bytes: u64,
        /// How long it took, with the time that the collector left to others.
        took: Duration,
    },
    /// Large values were moved, to have room where they were.
    #[non_exhaustive]
    LargeValuesMoved {
        /// Bytes of their pages.
        bytes: u64,
        /// How long it took, with the time that the collector left to others.
        took: Duration,
    },
    /// A checkpoint begins. One that is under way when the store is closed has no end.
    #[non_exhaustive]
    CheckpointBegan {
        /// Why.
        cause: CheckpointCause,
    },
    /// A checkpoint is in force.
    #[non_exhaustive]
    CheckpointEnded {
        /// Why it was begun.
        cause: CheckpointCause,
        /// Bytes of its image.
        bytes: u64,
        /// How long it took, with the time that was left to others.
        took: Duration,
    },
    /// A checkpoint was given up, and nothing is lost: another takes its place, or is begun when there
    /// is room.
    #[non_exhaustive]
    CheckpointGivenUp {
        /// Why it was begun.
        cause: CheckpointCause,
        /// What it met; `None` if another was asked for meanwhile.
        error: Option<Error>,
        /// How long it had taken.
        took: Duration,
    },
    /// The file has grown.
    #[non_exhaustive]
    Grown {
        /// Bytes of the volume before.
        from_bytes: u64,
        /// Bytes of the volume now.
        to_bytes: u64,
        /// How long it took.
        took: Duration,
    },
    /// An extent was filled with zeros ahead of the log.
    #[non_exhaustive]
    Prepared {
        /// Its first page.
        page: u64,
        /// Its length in bytes.
        bytes: u64,
        /// How long it took.
        took: Duration,
    },
    /// The listener took so long that events were dropped here.
    #[non_exhaustive]
    Missed {
        /// How many.
        events: u64,
    },
}

/// Why a checkpoint was begun.
///
/// ```
/// assert_eq!(extentdb::CheckpointCause::Asked.to_string(), "it was asked for");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckpointCause {
    /// [`Db::checkpoint`](crate::Db::checkpoint) was called.
    Asked,
    /// Replaying the log would take too long, or the log is long beside the image.
    Log,
    /// Log that checkpoints keep is wanted for something else.
    Space,
    /// The newest checkpoint was found damaged.
    Repair,
}

impl fmt::Display for CheckpointCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Asked => "it was asked for",
            Self::Log => "the log is long",
            Self::Space => "log is wanted back",
            Self::Repair => "the newest one is damaged",
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { report, took } => {
                let OpenReport { keys, repaired, warnings, .. } = report;
                write!(f, "opened in {took:?}: {keys} keys")?;
                repaired.iter().chain(warnings).try_for_each(|what| write!(f, "; {what}"))
            }
            Self::StallBegan { why } => write!(f, "writes wait: {why}"),
            Self::StallEnded { why, took, waits, longest } => write!(
                f,
                "writes no longer wait: {why}; {waits} waits in {took:?}, {longest:?} at most"
            ),
            Self::Full { pinned_by, refused } => {
                write!(f, "the volume is full: {refused} refused")?;
                pinned_by.map_or(Ok(()), |who| write!(f, "; {who} hold on to space"))
            }
            Self::DeviceFailed { error } => write!(f, "the device failed: {error}"),
            Self::DeviceSlow { op, took } => write!(f, "a {op} took {took:?}"),
            Self::Poisoned { cause } => write!(f, "the store writes no more: {cause}"),
            Self::ReadRetried { page, what } => write!(f, "page {page} is read once more: {what}"),
            Self::Corrupt { error } => write!(f, "a value is damaged: {error}"),
            Self::SetAside { page, live_bytes } => {
                write!(f, "{live_bytes} live bytes from page {page} on cannot be read to be moved")
            }
            Self::Collected { extents, moved_bytes, gained_bytes, took } => write!(
                f,
                "collected {extents} extents in {took:?}: moved {moved_bytes} bytes, gained {gained_bytes}"
            ),
            Self::LargeValuesMoved { bytes, took } => {
                write!(f, "moved {bytes} bytes of large values in {took:?}")
            }
            Self::CheckpointBegan { cause } => write!(f, "a checkpoint begins: {cause}"),
            Self::CheckpointEnded { cause, bytes, took } => {
                write!(f, "a checkpoint of {bytes} bytes is in force after {took:?}: {cause}")
            }
            Self::CheckpointGivenUp { cause, error, took } => {
                write!(f, "a checkpoint was given up after {took:?} ({cause})")?;
                error.as_ref().map_or(Ok(()), |error| write!(f, ": {error}"))
            }
            Self::Grown { from_bytes, to_bytes, took } => {
                write!(f, "the file has grown from {from_bytes} to {to_bytes} bytes in {took:?}")
            }
            Self::Prepared { page, bytes, took } => {
                write!(f, "prepared {bytes} bytes from page {page} on in {took:?}")
            }
            Self::Missed { events } => write!(f, "{events} events were missed"),
        }
    }
}
