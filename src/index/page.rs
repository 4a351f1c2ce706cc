//! Entries copied out of the index.

use super::block::{Block, Layout, Payload};
use super::draft::Draft;
use super::prefetch::{parts, prefetch, prefetch_line};
use super::shared::Handle;
use crate::format::location::Location;
use crate::sync::Arc;
use std::ops::Range;

/// A leaf's worth of entries that no lock protects.
#[derive(Default)]
pub(super) struct Page {
    count: usize,
    /// The keys, one after another, then anything.
    keys: Vec<u8>,
    /// Length of every key, unless `ends` says where each ends.
    key_bytes: usize,
    ends: Vec<usize>,
    /// The payloads, the last entry's first, each at the start of so many bytes.
    records: Vec<u8>,
    record_bytes: usize,
    /// Keeps the values where the locations say.
    pin: Option<Arc<Handle>>,
}

/// Copying this many bytes, whatever is needed, takes no call.
const PIECE_BYTES: usize = 16;

impl Page {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The page shows what `pin` does, as any it showed before.
    pub(super) fn keep(&mut self, pin: &Arc<Handle>) {
        self.pin.get_or_insert_with(|| Arc::clone(pin));
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.ends.clear();
        self.records.clear();
    }

    #[inline]
    pub(super) fn key(&self, at: usize) -> &[u8] {
        if self.ends.is_empty() {
            return &self.keys[at * self.key_bytes..][..self.key_bytes];
        }
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.keys[start..self.ends[at]]
    }

    /// Where the value of key `at` is.
    #[inline]
    pub(super) fn location(&self, at: usize) -> Location {
        let record = (self.count - 1 - at) * self.record_bytes;
        unpack(self.records[record..].first_chunk().expect("a leaf's payload"))
    }

    /// Calls `visit` with `entries` in order.
    #[cfg(test)]
    pub(super) fn visit(&self, entries: Range<usize>, visit: &mut impl FnMut(&[u8], Location)) {
        if entries.is_empty() {
            return;
        }
        if !self.ends.is_empty() || self.key_bytes == 0 {
            return entries.for_each(|at| visit(self.key(at), self.location(at)));
        }
        let keys = self.keys[entries.start * self.key_bytes..].chunks_exact(self.key_bytes);
        let records = self.records.rchunks_exact(self.record_bytes).skip(entries.start);
        for (key, record) in keys.zip(records).take(entries.len()) {
            visit(key, unpack(record.first_chunk().expect("a leaf's payload")));
        }
    }

    /// Fills an empty page with `entries` of a leaf, and has `ahead` fetched, which is read next.
    pub(super) fn copy(&mut self, leaf: &Block<'_>, entries: Range<usize>, ahead: &[u8]) {
        self.count = entries.len();
        self.record_bytes = leaf.layout().record();
        self.records.extend_from_slice(leaf.records(entries.clone()));
        let Layout { prefix, stride, ends, .. } = *leaf.layout();
        self.key_bytes = prefix + stride;
        if ends == 0 && prefix <= PIECE_BYTES && stride <= PIECE_BYTES {
            return self.copy_short_keys(leaf, entries, ahead);
        }
        prefetch(ahead);
        self.keys.clear();
        if ends > 0 {
            for at in entries {
                leaf.push_key(at, &mut self.keys);
                self.ends.push(self.keys.len());
            }
        } else {
            entries.for_each(|at| leaf.push_key(at, &mut self.keys));
        }
    }

    /// Copies prefix and suffix of every key in pieces of one length. What a piece has too much,
    /// the next one replaces. With each key goes a request for a part of `ahead`: a core waits
    /// when it has more than some ten of them open, which took a third of a scan's time.
    fn copy_short_keys(&mut self, leaf: &Block<'_>, entries: Range<usize>, ahead: &[u8]) {
        let Layout { prefix, stride, .. } = *leaf.layout();
        let mut start = [0; PIECE_BYTES];
        start[..prefix].copy_from_slice(leaf.prefix());
        let (key_bytes, count) = (prefix + stride, entries.len());
        let bytes = count * key_bytes + 2 * PIECE_BYTES;
        if self.keys.len() < bytes {
            self.keys.resize(bytes, 0);
        }
        let (mut from, mut to) = (leaf.suffixes_from(entries.start), &mut self.keys[..bytes]);
        // Whose suffix has a whole piece from there on.
        let ample = (from.len() + stride).saturating_sub(PIECE_BYTES) / stride.max(1);
        let ample = ample.min(count);
        let mut parts = parts(ahead, ample);
        for _ in 0..ample {
            parts.next().into_iter().for_each(prefetch_line);
            *to.first_chunk_mut().expect("room for a piece") = start;
            let suffix: &[u8; PIECE_BYTES] = from.first_chunk().expect("a piece");
            *to[prefix..].first_chunk_mut().expect("room for two pieces") = *suffix;
            (from, to) = (&from[stride..], &mut to[key_bytes..]);
        }
        parts.for_each(prefetch_line);
        // Near the end of a block that is almost all prefix and suffixes.
        for at in entries.start + ample..entries.end {
            to[..prefix].copy_from_slice(leaf.prefix());
            to[prefix..key_bytes].copy_from_slice(leaf.suffix(at));
            to = &mut to[key_bytes..];
        }
    }

    /// Fills an empty page with the entries of `draft` that have a location.
    pub(super) fn take(&mut self, draft: &Draft, absent: &Payload) {
        self.keys.clear();
        let present = |&at: &usize| draft.payload(at) != absent;
        for at in (0..draft.len()).filter(present) {
            self.keys.extend_from_slice(draft.key(at));
            self.ends.push(self.keys.len());
        }
        for at in (0..draft.len()).rev().filter(present) {
            self.records.extend_from_slice(draft.payload(at));
        }
        self.count = self.ends.len();
        self.record_bytes = size_of::<Payload>();
    }
}

#[inline]
fn unpack(payload: &Payload) -> Location {
    Location::unpack(payload).expect("a page holds locations")
}

/// An entry on a page, cheap to clone.
#[derive(Clone)]
pub(crate) struct Found {
    page: Arc<Page>,
    at: usize,
}

impl Found {
    pub(super) fn new(page: Arc<Page>, at: usize) -> Self {
        Self { page, at }
    }

    /// The key.
    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        self.page.key(self.at)
    }

    /// Where its value is.
    #[inline]
    pub(crate) fn location(&self) -> Location {
        self.page.location(self.at)
    }
}
