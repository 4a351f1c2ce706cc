//! A node's bytes: a sorted run of keys, each with a payload.
//!
//! ```text
//! 0   u32  length of the block
//! 4   u16  number of entries
//! 6   u16  length of the prefix that all keys share
//! 8   u16  length of every suffix, if `ends` is 0
//! 10  u8   level: 0 in a leaf, else the height above the leaves
//! 11  u8   ends: 0, or the bytes of a suffix end, 2 or 4, where suffixes differ in length
//! 12  u32  inner nodes: the child below all keys;
//!          leaves: the first four bytes of the last suffix as a big-endian number, if `ends` is 0
//! 16       prefix
//!          suffixes, ascending
//!          slack
//!          records, the last entry's first
//! ```
//!
//! A record is a payload (a leaf's is a packed location, an inner node's the child from its key
//! on), then where its suffix ends, counted from the first suffix, if `ends` says so. Numbers are
//! little-endian. A block without slack is *compact*: what checkpoints store.

use super::arena::NodeId;
use std::cmp::Ordering;
use std::hint::black_box;
use std::ops::Range;

/// How far from a guess a search looks first.
const FIRST_STEP: usize = 4;

pub(super) const HEADER_BYTES: usize = 16;

/// What a leaf says of a key: a packed location, or a code of the tree's owner.
pub(super) type Payload = [u8; 9];

/// Bytes of a payload at `level`.
pub(super) fn payload_bytes(level: u8) -> usize {
    if level == 0 { size_of::<Payload>() } else { size_of::<NodeId>() }
}

/// How a block is laid out.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) bytes: usize,
    pub(super) count: usize,
    pub(super) prefix: usize,
    pub(super) stride: usize,
    pub(super) level: u8,
    pub(super) ends: usize,
}

impl Layout {
    #[inline]
    pub(super) fn read(header: &[u8; HEADER_BYTES]) -> Self {
        let u16_at = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        Self {
            bytes: u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize,
            count: u16_at(4),
            prefix: u16_at(6),
            stride: u16_at(8),
            level: header[10],
            ends: usize::from(header[11]),
        }
    }

    #[inline]
    pub(super) fn of(block: &[u8]) -> Self {
        Self::read(block.first_chunk().expect("a block has a header"))
    }

    /// Writes all of the header but the first child.
    pub(super) fn write(&self, block: &mut [u8]) {
        block[0..4].copy_from_slice(&(self.bytes as u32).to_le_bytes());
        block[4..6].copy_from_slice(&(self.count as u16).to_le_bytes());
        block[6..8].copy_from_slice(&(self.prefix as u16).to_le_bytes());
        block[8..10].copy_from_slice(&(self.stride as u16).to_le_bytes());
        block[10] = self.level;
        block[11] = self.ends as u8;
    }

    /// Writes what a leaf says of its last suffix, after that has changed.
    pub(super) fn write_highest(&self, block: &mut [u8]) {
        if self.level == 0 {
            let highest = self.highest(block);
            block[12..16].copy_from_slice(&highest.to_le_bytes());
        }
    }

    /// What a leaf says of its last suffix.
    pub(super) fn highest(&self, block: &[u8]) -> u32 {
        if self.ends > 0 || self.count == 0 {
            return 0;
        }
        let start = self.suffixes() + (self.count - 1) * self.stride;
        (head(&block[start..start + self.stride]) >> 32) as u32
    }

    /// Bytes of a record.
    #[inline]
    pub(super) fn record(&self) -> usize {
        payload_bytes(self.level) + self.ends
    }

    /// Where the first suffix starts.
    #[inline]
    pub(super) fn suffixes(&self) -> usize {
        HEADER_BYTES + self.prefix
    }

    /// Where record `at` starts.
    #[inline]
    pub(super) fn record_at(&self, at: usize) -> usize {
        self.bytes - (at + 1) * self.record()
    }

    /// Where the record of the last entry starts, and so all of them.
    #[inline]
    pub(super) fn records(&self) -> usize {
        self.bytes - self.count * self.record()
    }

    /// Where suffix `at` starts, counted from the first; for `count`, where the last ends.
    #[inline]
    pub(super) fn start(&self, block: &[u8], at: usize) -> usize {
        if self.ends == 0 {
            at * self.stride
        } else if at == 0 {
            0
        } else {
            self.read_end(block, at - 1)
        }
    }

    pub(super) fn read_end(&self, block: &[u8], at: usize) -> usize {
        let start = self.record_at(at) + payload_bytes(self.level);
        if self.ends == 2 {
            usize::from(u16::from_le_bytes([block[start], block[start + 1]]))
        } else {
            let bytes = block[start..].first_chunk().expect("an end of four bytes");
            u32::from_le_bytes(*bytes) as usize
        }
    }

    pub(super) fn write_end(&self, block: &mut [u8], at: usize, end: usize) {
        let start = self.record_at(at) + payload_bytes(self.level);
        block[start..start + self.ends].copy_from_slice(&(end as u32).to_le_bytes()[..self.ends]);
    }

    /// Bytes in use.
    pub(super) fn used(&self, block: &[u8]) -> usize {
        self.suffixes() + self.start(block, self.count) + self.count * self.record()
    }
}

/// A block to read.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    bytes: &'a [u8],
    layout: Layout,
}

impl<'a> Block<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, layout: Layout::of(bytes) }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.layout.count
    }

    #[inline]
    pub(super) fn level(&self) -> u8 {
        self.layout.level
    }

    pub(super) fn used(&self) -> usize {
        self.layout.used(self.bytes)
    }

    #[inline]
    pub(super) fn prefix(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..self.layout.suffixes()]
    }

    #[inline]
    pub(super) fn suffix(&self, at: usize) -> &'a [u8] {
        let first = self.layout.suffixes();
        let start = self.layout.start(self.bytes, at);
        let end = self.layout.start(self.bytes, at + 1);
        &self.bytes[first + start..first + end]
    }

    /// The bytes from suffix `at` on.
    #[inline]
    pub(super) fn suffixes_from(&self, at: usize) -> &'a [u8] {
        &self.bytes[self.layout.suffixes() + self.layout.start(self.bytes, at)..]
    }

    /// The records of `entries`, the last one's first.
    pub(super) fn records(&self, entries: Range<usize>) -> &'a [u8] {
        let end = |at: usize| self.layout.bytes - at * self.layout.record();
        &self.bytes[end(entries.end)..end(entries.start)]
    }

    pub(super) fn key_bytes(&self, at: usize) -> usize {
        self.layout.prefix + self.suffix(at).len()
    }

    pub(super) fn push_key(&self, at: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.prefix());
        out.extend_from_slice(self.suffix(at));
    }

    pub(super) fn key(&self, at: usize) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.key_bytes(at));
        self.push_key(at, &mut key);
        key
    }

    /// The payload of entry `at`, of as many bytes as its level has.
    pub(super) fn payload_slice(&self, at: usize) -> &'a [u8] {
        let start = self.layout.record_at(at);
        &self.bytes[start..start + payload_bytes(self.layout.level)]
    }

    /// The payload of entry `at` of a leaf.
    #[inline]
    pub(super) fn payload(&self, at: usize) -> &'a Payload {
        self.bytes[self.layout.record_at(at)..].first_chunk().expect("a leaf's payload")
    }

    /// Child `rank` of an inner node: 0 is below all keys, `i` from key `i - 1` on.
    #[inline]
    pub(super) fn child(&self, rank: usize) -> NodeId {
        let start = if rank == 0 { 12 } else { self.layout.record_at(rank - 1) };
        NodeId::from_bytes(*self.bytes[start..].first_chunk().expect("a child"))
    }

    /// Which child of an inner node `key` belongs to.
    #[inline]
    pub(super) fn route(&self, key: &[u8]) -> usize {
        match self.locate(key) {
            Ok(at) => at + 1,
            Err(at) => at,
        }
    }

    /// Where `key` is, or would be.
    #[inline]
    pub(super) fn locate(&self, key: &[u8]) -> Result<usize, usize> {
        let prefix = self.prefix();
        let Some(suffix) = key.strip_prefix(prefix) else {
            return Err(if key < prefix { 0 } else { self.layout.count });
        };
        if self.layout.ends == 0 && self.layout.stride > 0 {
            self.locate_fixed(suffix)
        } else {
            self.locate_variable(suffix)
        }
    }

    fn locate_variable(&self, suffix: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.layout.count);
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.suffix(middle).cmp(suffix) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// Guesses where `suffix` is as if suffixes were evenly spread, closes in on it in growing
    /// steps, then halves. Random keys are found in two cache lines where halving alone takes
    /// four, one after another.
    #[inline]
    fn locate_fixed(&self, suffix: &[u8]) -> Result<usize, usize> {
        let suffixes = Suffixes::new(self);
        let wanted = suffixes.head_of(suffix);
        let compare = |at: usize| suffixes.compare(at, wanted, suffix);
        let guess = suffixes.guess(wanted, self.highest(&suffixes));
        // The record is far from the suffix: fetched now, it comes while the suffix does.
        black_box(self.bytes[self.layout.record_at(guess)]);
        let (mut low, mut high) = (0, self.layout.count);
        let mut step = FIRST_STEP;
        match compare(guess) {
            Ordering::Equal => return Ok(guess),
            Ordering::Less => {
                low = guess + 1;
                while low + step < high {
                    match compare(low + step) {
                        Ordering::Equal => return Ok(low + step),
                        Ordering::Less => low += step + 1,
                        Ordering::Greater => high = low + step,
                    }
                    step *= 2;
                }
            }
            Ordering::Greater => {
                high = guess;
                while low + step < high {
                    match compare(high - step) {
                        Ordering::Equal => return Ok(high - step),
                        Ordering::Less => low = high - step + 1,
                        Ordering::Greater => high -= step,
                    }
                    step *= 2;
                }
            }
        }
        while low < high {
            let middle = usize::midpoint(low, high);
            match compare(middle) {
                Ordering::Equal => return Ok(middle),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// The head of the last suffix, or about that: a leaf's header spares a look there.
    #[inline]
    fn highest(&self, suffixes: &Suffixes<'_>) -> u64 {
        if self.layout.level > 0 {
            return suffixes.head(self.layout.count - 1);
        }
        let start =
            u32::from_le_bytes([self.bytes[12], self.bytes[13], self.bytes[14], self.bytes[15]]);
        (u64::from(start) << 32 | u64::from(u32::MAX)) >> suffixes.unused_bits
    }

    /// The entries whose keys lie in `lower..upper`, `None` being without bound.
    pub(super) fn span(&self, lower: Option<&[u8]>, upper: Option<&[u8]>) -> Range<usize> {
        let place = |key| self.locate(key).unwrap_or_else(|at| at);
        let start = lower.map_or(0, place);
        start..upper.map_or(self.layout.count, place).max(start)
    }

    /// Appends the block without its slack.
    pub(super) fn write_compact(&self, out: &mut Vec<u8>) {
        let at = out.len();
        let front = self.layout.suffixes() + self.layout.start(self.bytes, self.layout.count);
        out.extend_from_slice(&self.bytes[..front]);
        out.extend_from_slice(&self.bytes[self.layout.records()..self.layout.bytes]);
        let len = out.len() - at;
        Layout { bytes: len, ..self.layout }.write(&mut out[at..]);
    }
}

/// Suffixes of one length, compared by their first bytes as numbers, and by the rest where those
/// are equal.
struct Suffixes<'a> {
    bytes: &'a [u8],
    stride: usize,
    unused_bits: u32,
}

impl<'a> Suffixes<'a> {
    #[inline]
    fn new(block: &Block<'a>) -> Self {
        let Layout { stride, count, .. } = block.layout;
        let first = block.layout.suffixes();
        let bytes = &block.bytes[first..first + count * stride];
        Self { bytes, stride, unused_bits: 64 - 8 * stride.min(8) as u32 }
    }

    #[inline]
    fn head_of(&self, suffix: &[u8]) -> u64 {
        head(suffix) >> self.unused_bits
    }

    #[inline]
    fn head(&self, at: usize) -> u64 {
        self.head_of(&self.bytes[at * self.stride..])
    }

    #[inline]
    fn compare(&self, at: usize, wanted: u64, suffix: &[u8]) -> Ordering {
        let ordering = self.head(at).cmp(&wanted);
        ordering.then_with(|| self.bytes[at * self.stride..][..self.stride].cmp(suffix))
    }

    /// Where `wanted` would be if heads were evenly spread from the first to `highest`.
    #[inline]
    fn guess(&self, wanted: u64, highest: u64) -> usize {
        let lowest = self.head(0);
        let last = self.bytes.len() / self.stride - 1;
        if highest <= lowest {
            return last / 2;
        }
        let share = wanted.saturating_sub(lowest) as f64 / (highest - lowest) as f64;
        ((share * last as f64) as usize).min(last)
    }
}

/// The first eight bytes as a number, zeros standing in for missing ones. Different heads order
/// as their bytes do; equal heads say nothing.
#[inline]
pub(super) fn head(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    bytes.iter().enumerate().fold(0, |head, (at, &byte)| head | u64::from(byte) << (56 - 8 * at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_never_contradict_the_order_of_keys() {
        let keys: [&[u8]; 9] =
            [b"", b"\0", b"\0\0", b"a", b"a\0", b"abcdefg", b"abcdefg\0", b"abcdefg\0z", b"b"];
        assert!(keys.is_sorted());
        assert!(keys.map(head).is_sorted());
    }
}
