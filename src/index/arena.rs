//! Memory for blocks: slabs of a few sizes, each kept dense.

use super::spans::{Moved, Owner, SPAN_BYTES, Spans};

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
    spans: Spans,
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
            self.classes = (0..CLASSES).map(Class::new).collect();
        }
        NodeId::new(class, self.classes[class].push(&mut self.spans))
    }

    /// Gives a block back. If another block took its place, returns which one that was.
    pub(super) fn free(&mut self, id: NodeId) -> Option<NodeId> {
        let last = if id.class() == OVERSIZE {
            self.oversize_bytes -= self.oversize.swap_remove(id.slot()).len();
            self.oversize.len()
        } else {
            let last = self.classes[id.class()].swap_remove(id.slot(), &mut self.spans);
            while let Some(Moved { owner, to }) = self.spans.tighten() {
                self.classes[owner.class].spans[owner.nth] = to;
            }
            last
        };
        (last != id.slot()).then(|| NodeId::new(id.class(), last))
    }

    #[inline]
    pub(super) fn get(&self, id: NodeId) -> &[u8] {
        match self.classes.get(id.class()) {
            Some(class) => class.get(id.slot(), &self.spans),
            None => &self.oversize[id.slot()],
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: NodeId) -> &mut [u8] {
        match self.classes.get_mut(id.class()) {
            Some(class) => class.get_mut(id.slot(), &mut self.spans),
            None => &mut self.oversize[id.slot()],
        }
    }

    /// Bytes taken from the system and touched, and what lists them.
    pub(super) fn memory_bytes(&self) -> usize {
        let classes: usize = self.classes.iter().map(Class::memory_bytes).sum();
        let spans = self.spans.memory_bytes();
        classes + spans + self.oversize_bytes + self.oversize.capacity() * size_of::<Box<[u8]>>()
    }

    /// The blocks in use.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &[u8]> {
        let slots = self
            .classes
            .iter()
            .flat_map(|class| (0..class.len).map(|slot| class.get(slot, &self.spans)));
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
    class: usize,
    slot_bytes: usize,
    span_slots: usize,
    len: usize,
    /// The slots, while they are so few that there are no spans.
    heap: Vec<u8>,
    spans: Vec<usize>,
}

impl Class {
    fn new(class: usize) -> Self {
        let slot_bytes = slot_bytes(class);
        let span_slots = SPAN_BYTES / slot_bytes;
        Self { class, slot_bytes, span_slots, len: 0, heap: Vec::new(), spans: Vec::new() }
    }

    /// The span of a slot, and where the slot starts there.
    #[inline]
    fn place(&self, slot: usize) -> (usize, usize) {
        (self.spans[slot / self.span_slots], slot % self.span_slots * self.slot_bytes)
    }

    #[inline]
    fn get<'a>(&'a self, slot: usize, spans: &'a Spans) -> &'a [u8] {
        if self.spans.is_empty() {
            return &self.heap[slot * self.slot_bytes..][..self.slot_bytes];
        }
        let (span, start) = self.place(slot);
        spans.get(span, start, self.slot_bytes)
    }

    #[inline]
    fn get_mut<'a>(&'a mut self, slot: usize, spans: &'a mut Spans) -> &'a mut [u8] {
        if self.spans.is_empty() {
            return &mut self.heap[slot * self.slot_bytes..][..self.slot_bytes];
        }
        let (span, start) = self.place(slot);
        spans.get_mut(span, start, self.slot_bytes)
    }

    /// A slot after the last.
    fn push(&mut self, spans: &mut Spans) -> usize {
        let slot = self.len;
        self.len += 1;
        let bytes = self.len * self.slot_bytes;
        if self.spans.is_empty() && bytes <= HEAP_BYTES {
            if self.heap.len() < bytes {
                let grown = (self.heap.len() * 2).clamp(bytes, HEAP_BYTES);
                self.heap.reserve_exact(grown - self.heap.len());
                self.heap.resize(grown, 0);
            }
            return slot;
        }
        if slot == self.spans.len() * self.span_slots || self.spans.is_empty() {
            self.spans.push(spans.take(Owner { class: self.class, nth: self.spans.len() }));
        }
        let (span, start) = self.place(slot);
        spans.touch(span, start + self.slot_bytes);
        // The first span takes over from the heap.
        if !self.heap.is_empty() {
            let bytes = slot * self.slot_bytes;
            spans.get_mut(span, 0, bytes).copy_from_slice(&self.heap[..bytes]);
            self.heap = Vec::new();
        }
        slot
    }

    /// Puts the last slot where `slot` was; returns which one that was. Spans are to be tightened.
    fn swap_remove(&mut self, slot: usize, spans: &mut Spans) -> usize {
        assert!(slot < self.len, "a slot in use");
        let last = self.len - 1;
        self.len = last;
        if self.spans.is_empty() {
            let (from, to) = (last * self.slot_bytes, slot * self.slot_bytes);
            self.heap.copy_within(from..from + self.slot_bytes, to);
        } else {
            spans.copy(self.place(last), self.place(slot), self.slot_bytes);
            if last.is_multiple_of(self.span_slots) {
                spans.give_back(self.spans.pop().expect("the span of the last slot"));
            }
        }
        if last == 0 {
            self.heap = Vec::new();
        }
        last
    }

    fn memory_bytes(&self) -> usize {
        self.heap.capacity() + self.spans.capacity() * size_of::<usize>()
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
