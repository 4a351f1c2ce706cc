//! Memory for blocks: slabs of a few sizes, each kept dense.

use crate::device::AlignedBuf;
use crate::format::ids::PAGE_BYTES;

/// Largest block that shares a slab; longer ones are allocated one by one.
pub(super) const MAX_SLOT_BYTES: usize = 6144;

/// What the sizes of slots differ by.
pub(super) const STEP_BYTES: usize = 256;

/// Sizes below the first step, for trees of a few entries.
const SMALL_BYTES: [usize; 2] = [64, 128];

const CLASSES: usize = SMALL_BYTES.len() + MAX_SLOT_BYTES / STEP_BYTES;

/// Stands for all blocks longer than a slot.
const OVERSIZE: usize = CLASSES;

const SLOT_BITS: u32 = 26;

/// Slots in a chunk.
const CHUNK_SLOTS: usize = 64;

/// A class this small lives on the heap, so that a small tree needs no pages of its own.
const HEAP_BYTES: usize = 16 << 10;

const _: () = assert!(OVERSIZE < 1 << (32 - SLOT_BITS));

/// Which block: its class, and which slot of that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct NodeId(u32);

impl NodeId {
    fn new(class: usize, slot: usize) -> Self {
        assert!(slot < 1 << SLOT_BITS, "a slot within its class");
        Self(((class as u32) << SLOT_BITS) | slot as u32)
    }

    fn class(self) -> usize {
        (self.0 >> SLOT_BITS) as usize
    }

    fn slot(self) -> usize {
        (self.0 & ((1 << SLOT_BITS) - 1)) as usize
    }

    pub(super) fn to_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }
}

/// Blocks by class. Slots `0..n` of a class are in use and no others: freeing one moves the last
/// into it. So nothing fragments, and memory follows what the blocks hold.
#[derive(Default)]
pub(super) struct Arena {
    classes: Vec<Class>,
    oversize: Vec<Box<[u8]>>,
    oversize_bytes: usize,
}

impl Arena {
    /// Length of the smallest block that holds `bytes`.
    pub(super) fn fit(bytes: usize) -> usize {
        match class_of(bytes) {
            OVERSIZE => bytes.next_multiple_of(STEP_BYTES),
            class => slot_bytes(class),
        }
    }

    /// A block of [`fit(bytes)`](Self::fit) bytes of any content.
    pub(super) fn allocate(&mut self, bytes: usize) -> NodeId {
        let class = class_of(bytes);
        if class == OVERSIZE {
            let block = vec![0; Self::fit(bytes)].into_boxed_slice();
            self.oversize_bytes += block.len();
            self.oversize.push(block);
            return NodeId::new(OVERSIZE, self.oversize.len() - 1);
        }
        if self.classes.is_empty() {
            self.classes = (0..CLASSES).map(|class| Class::new(slot_bytes(class))).collect();
        }
        NodeId::new(class, self.classes[class].push())
    }

    /// Gives a block back. If another block took its place, returns which one that was.
    pub(super) fn free(&mut self, id: NodeId) -> Option<NodeId> {
        let last = if id.class() == OVERSIZE {
            self.oversize_bytes -= self.oversize.swap_remove(id.slot()).len();
            self.oversize.len()
        } else {
            self.classes[id.class()].swap_remove(id.slot())
        };
        (last != id.slot()).then(|| NodeId::new(id.class(), last))
    }

    #[inline]
    pub(super) fn get(&self, id: NodeId) -> &[u8] {
        match self.classes.get(id.class()) {
            Some(class) => class.get(id.slot()),
            None => &self.oversize[id.slot()],
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: NodeId) -> &mut [u8] {
        match self.classes.get_mut(id.class()) {
            Some(class) => class.get_mut(id.slot()),
            None => &mut self.oversize[id.slot()],
        }
    }

    /// Bytes taken from the system and touched, and what lists them.
    pub(super) fn memory_bytes(&self) -> usize {
        let classes: usize = self.classes.iter().map(Class::memory_bytes).sum();
        classes + self.oversize_bytes + self.oversize.capacity() * size_of::<Box<[u8]>>()
    }

    /// The blocks in use.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &[u8]> {
        let slots = self.classes.iter().flat_map(|class| (0..class.len).map(|at| class.get(at)));
        slots.chain(self.oversize.iter().map(|block| &block[..]))
    }

    /// Bytes of the blocks in use.
    pub(super) fn used_bytes(&self) -> usize {
        let bytes = self.classes.iter().map(|class| class.len * class.slot_bytes);
        bytes.sum::<usize>() + self.oversize_bytes
    }

    /// Blocks in use and their bytes.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> (usize, usize) {
        let slots = self.classes.iter().map(|class| class.len);
        (slots.sum::<usize>() + self.oversize.len(), self.used_bytes())
    }
}

fn class_of(bytes: usize) -> usize {
    if bytes > MAX_SLOT_BYTES {
        return OVERSIZE;
    }
    match SMALL_BYTES.iter().position(|&small| bytes <= small) {
        Some(class) => class,
        None => SMALL_BYTES.len() - 1 + bytes.div_ceil(STEP_BYTES),
    }
}

fn slot_bytes(class: usize) -> usize {
    match SMALL_BYTES.get(class) {
        Some(&small) => small,
        None => (class + 1 - SMALL_BYTES.len()) * STEP_BYTES,
    }
}

/// Slots of one size.
struct Class {
    slot_bytes: usize,
    len: usize,
    /// Most slots that were in use since their chunks were new. The system gives memory when it
    /// is first touched.
    touched: usize,
    chunks: Vec<Chunk>,
}

/// Memory of [`CHUNK_SLOTS`] slots, or of fewer on the heap if it is the only one.
enum Chunk {
    Heap(Vec<u8>),
    /// Pages straight from the system and back to it: the allocator would keep them.
    Mapped(AlignedBuf),
}

impl Chunk {
    fn mapped(bytes: usize) -> Self {
        Self::Mapped(AlignedBuf::new(bytes).expect("the system has memory for the index"))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }
}

impl Class {
    fn new(slot_bytes: usize) -> Self {
        Self { slot_bytes, len: 0, touched: 0, chunks: Vec::new() }
    }

    #[inline]
    fn get(&self, slot: usize) -> &[u8] {
        let start = slot % CHUNK_SLOTS * self.slot_bytes;
        &self.chunks[slot / CHUNK_SLOTS].bytes()[start..start + self.slot_bytes]
    }

    #[inline]
    fn get_mut(&mut self, slot: usize) -> &mut [u8] {
        let start = slot % CHUNK_SLOTS * self.slot_bytes;
        &mut self.chunks[slot / CHUNK_SLOTS].bytes_mut()[start..start + self.slot_bytes]
    }

    fn push(&mut self) -> usize {
        if self.len == self.capacity() {
            self.grow();
        }
        self.len += 1;
        self.touched = self.touched.max(self.len);
        self.len - 1
    }

    /// Slots there is memory for.
    fn capacity(&self) -> usize {
        match &self.chunks[..] {
            [only] => only.bytes().len() / self.slot_bytes,
            chunks => chunks.len() * CHUNK_SLOTS,
        }
    }

    fn chunk_bytes(&self) -> usize {
        CHUNK_SLOTS * self.slot_bytes
    }

    fn grow(&mut self) {
        let whole = self.chunk_bytes();
        match &mut self.chunks[..] {
            [] => self.chunks.push(Chunk::Heap(vec![0; self.slot_bytes])),
            [Chunk::Heap(small)] if small.len() < whole => {
                let grown = (small.len() * 2).min(whole);
                if grown <= HEAP_BYTES {
                    small.reserve_exact(grown - small.len());
                    small.resize(grown, 0);
                } else {
                    let mut chunk = Chunk::mapped(whole);
                    chunk.bytes_mut()[..small.len()].copy_from_slice(small);
                    self.chunks[0] = chunk;
                }
            }
            _ => self.chunks.push(Chunk::mapped(whole)),
        }
    }

    /// Puts the last slot where `slot` was; returns which one that was.
    fn swap_remove(&mut self, slot: usize) -> usize {
        assert!(slot < self.len, "a slot in use");
        let last = self.len - 1;
        self.copy(last, slot);
        self.len = last;
        self.release();
        last
    }

    fn copy(&mut self, from: usize, to: usize) {
        let (from_chunk, to_chunk) = (from / CHUNK_SLOTS, to / CHUNK_SLOTS);
        let (from_start, to_start) =
            (from % CHUNK_SLOTS * self.slot_bytes, to % CHUNK_SLOTS * self.slot_bytes);
        let from_range = from_start..from_start + self.slot_bytes;
        if from_chunk == to_chunk {
            self.chunks[from_chunk].bytes_mut().copy_within(from_range, to_start);
        } else {
            let (head, tail) = self.chunks.split_at_mut(from_chunk);
            head[to_chunk].bytes_mut()[to_start..to_start + self.slot_bytes]
                .copy_from_slice(&tail[0].bytes()[from_range]);
        }
    }

    /// Gives back what is empty but for one chunk, lest a class at the edge of a chunk come and
    /// go.
    fn release(&mut self) {
        let keep = if self.len == 0 { 0 } else { self.len.div_ceil(CHUNK_SLOTS) + 1 };
        if self.chunks.len() > keep {
            self.chunks.truncate(keep);
            self.touched = self.touched.min(keep * CHUNK_SLOTS);
            self.chunks.shrink_to(keep.next_power_of_two());
        }
    }

    fn memory_bytes(&self) -> usize {
        let bytes = self.touched * self.slot_bytes;
        let pages = if bytes <= HEAP_BYTES { bytes } else { bytes.next_multiple_of(PAGE_BYTES) };
        pages + self.chunks.capacity() * size_of::<Chunk>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_as_long_as_what_they_are_for() {
        for bytes in 1..=MAX_SLOT_BYTES {
            let class = class_of(bytes);
            assert!(slot_bytes(class) >= bytes && Arena::fit(bytes) == slot_bytes(class));
            assert!(class == 0 || slot_bytes(class - 1) < bytes);
        }
        assert_eq!(class_of(MAX_SLOT_BYTES), CLASSES - 1);
        assert_eq!(
            (class_of(MAX_SLOT_BYTES + 1), Arena::fit(MAX_SLOT_BYTES + 1)),
            (OVERSIZE, MAX_SLOT_BYTES + STEP_BYTES)
        );
    }

    #[test]
    fn freeing_moves_the_last_block_into_the_hole() {
        for bytes in [10, 300, MAX_SLOT_BYTES, 9000] {
            let mut arena = Arena::default();
            let ids: Vec<_> = (0..1000).map(|_| arena.allocate(bytes)).collect();
            for (tag, &id) in ids.iter().enumerate() {
                arena.get_mut(id)[..8].copy_from_slice(&tag.to_le_bytes());
            }
            assert_eq!(arena.free(ids[3]), Some(ids[999]));
            assert_eq!(arena.get(ids[3])[..8], 999usize.to_le_bytes());
            assert_eq!(arena.free(ids[998]), None);
            assert_eq!(arena.in_use(), (998, 998 * Arena::fit(bytes)));
            for &id in ids[..998].iter().rev() {
                assert_eq!(arena.free(id), None);
            }
            assert_eq!(arena.in_use(), (0, 0));
            assert!(arena.memory_bytes() < 64 << 10, "empty chunks are given back");
        }
    }
}
