//! Entries on their way into blocks.

use super::arena::{Arena, MAX_SLOT_BYTES, NodeId};
use super::block::{Block, HEADER_BYTES, Layout, payload_bytes};
use std::ops::Range;

/// A node must split above this, if it has the entries for it.
pub(super) const MAX_BYTES: usize = MAX_SLOT_BYTES;

/// Fewest entries of a node that splits: with the longest keys, nodes take a few hundred KiB.
pub(super) const MIN_SPLIT_ENTRIES: usize = 6;

/// Entries of one level in order, with their keys whole.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) level: u8,
    /// In inner nodes the child below all keys.
    pub(super) first_child: Option<NodeId>,
    keys: Vec<u8>,
    ends: Vec<usize>,
    payloads: Vec<u8>,
}

impl Draft {
    pub(super) fn clear(&mut self, level: u8) {
        self.level = level;
        self.first_child = None;
        self.keys.clear();
        self.ends.clear();
        self.payloads.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn push(&mut self, key: &[u8], payload: &[u8]) {
        self.keys.extend_from_slice(key);
        self.ends.push(self.keys.len());
        self.payloads.extend_from_slice(payload);
    }

    pub(super) fn push_entries(&mut self, block: &Block<'_>, entries: Range<usize>) {
        for at in entries {
            block.push_key(at, &mut self.keys);
            self.ends.push(self.keys.len());
            self.payloads.extend_from_slice(block.payload_slice(at));
        }
    }

    pub(super) fn key(&self, at: usize) -> &[u8] {
        &self.keys[self.start(at)..self.ends[at]]
    }

    pub(super) fn payload(&self, at: usize) -> &[u8] {
        let bytes = payload_bytes(self.level);
        &self.payloads[at * bytes..(at + 1) * bytes]
    }

    /// The child that entry `at` of an inner node leads to.
    pub(super) fn child(&self, at: usize) -> NodeId {
        NodeId::from_bytes(*self.payload(at).first_chunk().expect("a child"))
    }

    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.ends[at - 1] }
    }

    /// Drops the first `count` entries.
    pub(super) fn drain(&mut self, count: usize) {
        let bytes = self.start(count);
        self.keys.drain(..bytes);
        self.ends.drain(..count);
        self.ends.iter_mut().for_each(|end| *end -= bytes);
        self.payloads.drain(..count * payload_bytes(self.level));
    }

    /// How `entries` would be laid out in a block without slack.
    fn layout(&self, entries: Range<usize>) -> Layout {
        let count = entries.len();
        let level = self.level;
        if count == 0 {
            return Layout { bytes: HEADER_BYTES, count, prefix: 0, stride: 0, level, ends: 0 };
        }
        let first = self.key(entries.start);
        let prefix = shared(first, self.key(entries.end - 1));
        let suffixes = self.ends[entries.end - 1] - self.start(entries.start) - count * prefix;
        let even = entries.clone().all(|at| self.ends[at] - self.start(at) == first.len());
        let ends = if even {
            0
        } else if suffixes <= usize::from(u16::MAX) {
            2
        } else {
            4
        };
        let stride = if even { first.len() - prefix } else { 0 };
        let layout = Layout { bytes: 0, count, prefix, stride, level, ends };
        Layout { bytes: layout.suffixes() + suffixes + count * layout.record(), ..layout }
    }

    /// Bytes of a block of `entries`, at least.
    pub(super) fn bytes(&self, entries: Range<usize>) -> usize {
        self.layout(entries).bytes
    }

    /// Whether `entries` are too much for one node.
    fn must_split(&self, entries: Range<usize>) -> bool {
        entries.len() >= MIN_SPLIT_ENTRIES && self.bytes(entries) > MAX_BYTES
    }

    /// Cuts all entries into as few nodes as need be. With `full_left`, all that may goes left.
    pub(super) fn parts(&self, full_left: bool) -> Vec<Range<usize>> {
        let all = 0..self.len();
        let mut parts = Vec::new();
        if full_left && self.must_split(all.clone()) {
            let lifted = self.lifted();
            self.push_parts(0..all.end - 1 - lifted, &mut parts);
            parts.push(all.end - 1..all.end);
        } else {
            self.push_parts(all, &mut parts);
        }
        parts
    }

    fn push_parts(&self, entries: Range<usize>, parts: &mut Vec<Range<usize>>) {
        if self.must_split(entries.clone()) {
            let (left, right) = self.halves(entries);
            self.push_parts(left, parts);
            self.push_parts(right, parts);
        } else {
            parts.push(entries);
        }
    }

    /// Inner nodes lift the entry between two parts.
    fn lifted(&self) -> usize {
        usize::from(self.level > 0)
    }

    /// Makes a node of `entries`.
    pub(super) fn store(
        &self,
        entries: Range<usize>,
        first_child: Option<NodeId>,
        arena: &mut Arena,
    ) -> NodeId {
        let node = arena.allocate(self.bytes(entries.clone()));
        self.write(entries, first_child, arena.get_mut(node));
        node
    }

    /// Fills `block`, which is long enough, with `entries`.
    pub(super) fn write(
        &self,
        entries: Range<usize>,
        first_child: Option<NodeId>,
        block: &mut [u8],
    ) {
        let layout = Layout { bytes: block.len(), ..self.layout(entries.clone()) };
        layout.write(block);
        block[12..16].copy_from_slice(&first_child.map_or([0; 4], NodeId::to_bytes));
        if entries.is_empty() {
            return;
        }
        let prefix = &self.key(entries.start)[..layout.prefix];
        block[HEADER_BYTES..layout.suffixes()].copy_from_slice(prefix);
        let mut end = 0;
        for (at, entry) in entries.enumerate() {
            let suffix = &self.key(entry)[layout.prefix..];
            let start = layout.suffixes() + end;
            block[start..start + suffix.len()].copy_from_slice(suffix);
            end += suffix.len();
            let payload = self.payload(entry);
            let record = layout.record_at(at);
            block[record..record + payload.len()].copy_from_slice(payload);
            if layout.ends > 0 {
                layout.write_end(block, at, end);
            }
        }
        layout.write_highest(block);
    }

    /// Two parts of about as many bytes, none of them empty.
    pub(super) fn halves(&self, entries: Range<usize>) -> (Range<usize>, Range<usize>) {
        let lifted = self.lifted();
        let Range { start, end } = entries;
        let weight = |at: usize| self.start(at) + at * payload_bytes(self.level);
        let half = usize::midpoint(weight(start), weight(end));
        let (mut low, mut high) = (start + 1, end - 1 - lifted);
        while low < high {
            let middle = usize::midpoint(low, high);
            if weight(middle) < half { low = middle + 1 } else { high = middle }
        }
        // One long key may lie across the middle.
        let heavier =
            |cut: usize| (weight(cut) - weight(start)).max(weight(end) - weight(cut + lifted));
        let cut = if low > start + 1 && heavier(low - 1) < heavier(low) { low - 1 } else { low };
        (start..cut, cut + lifted..end)
    }
}

/// Bytes that two keys start with alike.
pub(super) fn shared(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(a, b)| a == b).count()
}

/// Separators are cut to a multiple of this, so that those of a node tend to be of one length.
const SEPARATOR_BYTES: usize = 8;

/// A short key that is above `left` and not above `right`, which is above `left`.
pub(super) fn separator<'a>(left: &[u8], right: &'a [u8]) -> &'a [u8] {
    let least = shared(left, right) + 1;
    &right[..least.next_multiple_of(SEPARATOR_BYTES).min(right.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_lies_above_left_and_not_above_right() {
        let keys: [&[u8]; 7] = [b"", b"\0", b"a", b"a\0", b"abcdefg\0z", b"abcdefgh", b"abcdefgha"];
        for pair in keys.windows(2) {
            let between = separator(pair[0], pair[1]);
            assert!(pair[0] < between && between <= pair[1]);
        }
        assert_eq!(separator(b"abc", b"azzzzzzzzzzz"), b"azzzzzzz");
    }

    #[test]
    fn a_cut_leaves_something_on_both_sides() {
        for level in [0, 1] {
            for long in 0..MIN_SPLIT_ENTRIES {
                let mut draft = Draft::default();
                draft.clear(level);
                for at in 0..MIN_SPLIT_ENTRIES {
                    let len = if at == long { 60_000 } else { 3 };
                    draft.push(&vec![at as u8; len], &[0; 9][..payload_bytes(level)]);
                }
                for full_left in [false, true] {
                    let parts = draft.parts(full_left);
                    assert!(parts.len() == 2 && parts.iter().all(|part| !part.is_empty()));
                    assert_eq!(parts[1].start - parts[0].end, usize::from(level));
                }
            }
        }
    }

    #[test]
    fn one_key_without_the_prefix_does_not_bloat_the_others() {
        let mut draft = Draft::default();
        draft.clear(0);
        draft.push(b"a", &[0; 9]);
        for at in 0..100 {
            draft.push(&[&[b'x'; 1000][..], &[at]].concat(), &[0; 9]);
        }
        let parts = draft.parts(false);
        assert!(parts.iter().map(|part| draft.bytes(part.clone())).sum::<usize>() < 20_000);
    }
}
