//! Part of the index as compact leaves, one after another: what a checkpoint stores.

use super::block::{Block, HEADER_BYTES, Layout, Payload};
use super::draft::Draft;
use super::seek::Seek;
use super::state::State;
use super::validate::validate;
use crate::format::location::Location;

/// How far a slice goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slice {
    /// The slice has all keys from its start to here; `None`: to the end.
    pub(crate) next: Option<Vec<u8>>,
    /// Number of entries.
    pub(crate) entries: u64,
}

impl State {
    /// Appends the leaves from `from` on to `out` until `max_bytes` are reached, one at least.
    pub(super) fn copy_slice(&self, from: &[u8], max_bytes: usize, out: &mut Vec<u8>) -> Slice {
        let start = out.len();
        let mut slice = Slice { next: None, entries: 0 };
        let mut at = Some(from.to_vec());
        while let Some(key) = at
            && let Some(place) = self.tree.seek(Seek::At(&key))
        {
            let leaf = place.leaf;
            let entries = leaf.span(Some(&key), None);
            slice.entries += entries.len() as u64;
            if entries.len() == leaf.len() {
                leaf.write_compact(out);
            } else if !entries.is_empty() {
                write_part(&leaf, entries, out);
            }
            slice.next = place.upper();
            at = slice.next.clone().filter(|_| out.len() - start < max_bytes);
        }
        slice
    }
}

fn write_part(leaf: &Block<'_>, entries: std::ops::Range<usize>, out: &mut Vec<u8>) {
    let mut draft = Draft::default();
    draft.push_entries(leaf, entries);
    let all = 0..draft.len();
    let start = out.len();
    out.resize(start + draft.bytes(all.clone()), 0);
    draft.write(all, None, &mut out[start..]);
}

/// Compact leaves one after another.
#[derive(Clone)]
pub(crate) struct Leaves<'a> {
    rest: &'a [u8],
}

impl<'a> Leaves<'a> {
    /// Walks the leaves in `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
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
        let leaf = leaf.and_then(|(leaf, rest)| Some((CompactLeaf::new(leaf)?, rest)));
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
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        validate(bytes).then_some(Self { bytes })
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
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&[u8], Location)) {
        let block = self.block();
        let mut key = Vec::new();
        for at in 0..block.len() {
            key.clear();
            block.push_key(at, &mut key);
            visit(&key, location(block.payload(at)));
        }
    }
}

fn location(payload: &Payload) -> Location {
    Location::unpack(payload).expect("a validated leaf holds locations")
}
