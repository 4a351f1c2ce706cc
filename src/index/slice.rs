//! Part of the index as compact leaves, one after another: what a checkpoint stores.

use super::block::{Block, HEADER_BYTES, Layout};
use super::draft::Draft;
use super::seek::Seek;
use super::state::State;
use super::validate::validate;
use super::walk::{Stored, each_of};
use std::ops::Range;

/// How far a slice goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slice {
    /// The slice has all keys from its start to here; `None`: to the end.
    pub(crate) next: Option<Vec<u8>>,
    /// Number of entries.
    pub(crate) entries: u64,
}

impl State {
    /// Appends the leaves from `from` on to `out` until `max_bytes` are reached, one at least. If
    /// that is longer, as much of it as is not, one entry at least.
    pub(super) fn copy_slice(&self, from: &[u8], max_bytes: usize, out: &mut Vec<u8>) -> Slice {
        let start = out.len();
        let mut slice = Slice { next: None, entries: 0 };
        let mut at = Some(from.to_vec());
        while let Some(key) = at
            && let Some(place) = self.tree.seek(Seek::At(&key))
        {
            let leaf = place.leaf;
            let entries = leaf.span(Some(&key), None);
            let most = if slice.entries == 0 { max_bytes } else { usize::MAX };
            let copied = copy_leaf(&leaf, entries.clone(), most, out);
            slice.entries += copied as u64;
            if copied < entries.len() {
                slice.next = Some(leaf.key(entries.start + copied));
                break;
            }
            slice.next = place.upper();
            at = slice.next.clone().filter(|_| out.len() - start < max_bytes.max(1));
        }
        slice
    }
}

/// Appends a leaf of the first of `entries` that takes at most `max_bytes`, but has an entry if
/// there is one. Returns how many it has.
fn copy_leaf(
    leaf: &Block<'_>,
    entries: Range<usize>,
    max_bytes: usize,
    out: &mut Vec<u8>,
) -> usize {
    if entries.len() == leaf.len() && leaf.used() <= max_bytes {
        leaf.write_compact(out);
        return entries.len();
    }
    let mut draft = Draft::default();
    draft.push_entries(leaf, entries);
    let count = fitting(&draft, max_bytes);
    if count > 0 {
        let start = out.len();
        out.resize(start + draft.bytes(0..count), 0);
        draft.write(0..count, None, &mut out[start..]);
    }
    count
}

/// How many entries from the first on make a leaf of at most `max_bytes`; one anyway, if there is
/// one.
fn fitting(draft: &Draft, max_bytes: usize) -> usize {
    let all = draft.len();
    if draft.bytes(0..all) <= max_bytes {
        return all;
    }
    (2..all).take_while(|&count| draft.bytes(0..count) <= max_bytes).last().unwrap_or(1).min(all)
}

/// Compact leaves one after another.
#[derive(Clone)]
pub(crate) struct Leaves<'a> {
    rest: &'a [u8],
    /// Whether all of it is known to be leaves.
    is_sound: bool,
}

impl<'a> Leaves<'a> {
    /// Walks the leaves in `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, is_sound: false }
    }

    /// As [`new`](Self::new), of leaves that were all walked before.
    pub(crate) fn of_sound(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, is_sound: true }
    }
}

impl<'a> Iterator for Leaves<'a> {
    /// `None` is for bytes that are not a leaf; nothing comes after.
    type Item = Option<CompactLeaf<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let len = self.rest.first_chunk::<HEADER_BYTES>().map(|header| Layout::read(header).bytes);
        let leaf = len.and_then(|len| self.rest.split_at_checked(len));
        let leaf =
            leaf.and_then(|(leaf, rest)| Some((CompactLeaf::of(leaf, self.is_sound)?, rest)));
        self.rest = leaf.map_or(&[], |(_, rest)| rest);
        Some(leaf.map(|(leaf, _)| leaf))
    }
}

/// A leaf as checkpoints store it, validated.
#[derive(Clone, Copy)]
pub(crate) struct CompactLeaf<'a> {
    bytes: &'a [u8],
}

impl<'a> CompactLeaf<'a> {
    /// `None` if `bytes` are not a leaf.
    #[cfg(test)]
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        Self::of(bytes, false)
    }

    /// `None` if `bytes` are not a leaf, unless it is known that they are one.
    fn of(bytes: &'a [u8], is_sound: bool) -> Option<Self> {
        (is_sound || validate(bytes)).then_some(Self { bytes })
    }

    pub(super) fn block(&self) -> Block<'a> {
        Block::new(self.bytes)
    }

    /// The leaf as stored.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of entries, one at least.
    pub(crate) fn len(&self) -> usize {
        self.block().len()
    }

    /// The lowest key.
    pub(crate) fn first_key(&self) -> Vec<u8> {
        self.block().key(0)
    }

    /// The highest key.
    pub(crate) fn last_key(&self) -> Vec<u8> {
        self.block().key(self.len() - 1)
    }

    /// Calls `visit` with every entry in order.
    pub(crate) fn for_each(&self, visit: impl FnMut(Stored<'_>)) {
        let block = self.block();
        each_of(&block, 0..block.len(), visit);
    }
}
