//! The stages that are timed.

use std::fmt;

/// A stage of the engine's work whose latency is recorded.
///
/// `Put`, `PutQueue` and the `Get` stages are sampled, one in 16 on average; the others are
/// recorded every time. A stage that failed is not always recorded.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let db = extentdb::Db::open(dir.path().join("data.vol"))?;
/// use extentdb::Stage;
///
/// db.put("k", "v")?;
/// for (stage, latency) in &db.metrics().latencies {
///     println!("{stage:<12} {} ns", latency.p50_ns);
/// }
/// assert_eq!(Stage::PutFlush.to_string(), "put flush");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Stage {
    /// A put, delete or batch as its caller sees it: from the call until it is as durable as
    /// asked for. One that is `_async` too, until its task is woken; if it is done by a thread (large values,
    /// conditions), from where the thread begins.
    Put,
    /// From the call until the records are in the open batch, waiting for room included.
    PutQueue,
    /// Writing one batch, which the records of many callers may share, to the device.
    PutWrite,
    /// One barrier, which may make several batches durable.
    PutFlush,
    /// Applying written batches to the index, in log order; waiting for its turn included.
    PutApply,
    /// A get as its caller sees it, hit or miss.
    Get,
    /// The part of a get that looks the key up in the index.
    GetIndex,
    /// The part of a get that reads from the device.
    GetDevice,
    /// The part of a get that verifies checksums and takes the value out.
    GetVerify,
    /// Opening the store, recovery included.
    Open,
    /// A checkpoint, from its first slice to the superblock that names it.
    Checkpoint,
    /// Copying one slice of a checkpoint, during which nothing is applied.
    CheckpointCopy,
}

impl Stage {
    /// Every stage, in the order of their declaration.
    pub(crate) const ALL: [Self; 12] = [
        Self::Put,
        Self::PutQueue,
        Self::PutWrite,
        Self::PutFlush,
        Self::PutApply,
        Self::Get,
        Self::GetIndex,
        Self::GetDevice,
        Self::GetVerify,
        Self::Open,
        Self::Checkpoint,
        Self::CheckpointCopy,
    ];

    /// The stage in words.
    const fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::PutQueue => "put queue",
            Self::PutWrite => "put write",
            Self::PutFlush => "put flush",
            Self::PutApply => "put apply",
            Self::Get => "get",
            Self::GetIndex => "get index",
            Self::GetDevice => "get device",
            Self::GetVerify => "get verify",
            Self::Open => "open",
            Self::Checkpoint => "checkpoint",
            Self::CheckpointCopy => "checkpoint copy",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_its_own_place_in_the_list() {
        for (place, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, place);
        }
    }
}
