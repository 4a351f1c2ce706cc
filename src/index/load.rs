//! How full a node may and must be.

/// Most keys in a node.
pub(super) const MAX_ENTRIES: usize = 64;

/// Most bytes of keys in a node.
///
/// An overfull node holds one key more than it may, or one key grown to the longest, so at most
/// 1.5 times this; cut at the best place, neither part is then above it or, in a leaf, below a
/// quarter of it. An inner node above it has three keys at least: one for each part, one to
/// lift.
pub(super) const MAX_BYTES: usize = 128 << 10;

const BYTES_PER_ENTRY: usize = MAX_BYTES / MAX_ENTRIES;

const _: () = assert!(MAX_BYTES >= 2 * super::MAX_KEY_BYTES);

/// What a node holds.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

impl Load {
    /// Whether a node must split.
    pub(super) fn is_over(self) -> bool {
        self.weight() > MAX_BYTES
    }

    /// Whether a node should join a neighbour.
    pub(super) fn is_under(self) -> bool {
        self.weight() < MAX_BYTES / 4
    }

    /// Keys or bytes, whichever is closer to its limit, on the scale of bytes.
    pub(super) fn weight(self) -> usize {
        self.bytes.max(self.entries * BYTES_PER_ENTRY)
    }
}
