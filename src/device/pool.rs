//! Buffers for I/O, reused.

use super::buffer::AlignedBuf;
use super::fork::ForkGuard;
use super::mapping::Mapping;
use crate::error::{Error, Result};
use crate::format::ids::PAGE_BYTES;
use crate::sync::{Arc, AtomicUsize, Mutex, Ordering};
use crossbeam_queue::ArrayQueue;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// Size classes: 1, 2, 4 .. 256 pages, and the largest.
const CLASSES: usize = 10;

/// Largest buffer that is reused: a mebibyte, and the header of a large value of that size.
/// Larger ones are mapped and unmapped each time.
const MAX_POOLED_PAGES: usize = 256 + 8;

/// Buffers are cut from mappings about this large, since a process may have only 65,530 mappings.
const SLAB_BYTES: usize = 2 << 20;

/// Most free buffers of a class, so that the queues themselves stay small.
const MAX_QUEUED: usize = 16_384;

/// Hands out buffers and takes them back when they are dropped. Clones share one pool.
///
/// Free buffers hold at most `budget` bytes of memory. A buffer that comes back above that is
/// not kept: its memory goes back to the kernel at once (MADV_DONTNEED), and its addresses once
/// the last buffer of its slab has gone the same way (munmap). A fresh slab's buffers are queued
/// whatever the budget says, as they take no memory before their first use; until they have been
/// used they count like the others. So memory is bounded by the buffers in use plus the budget,
/// and mappings by the number of buffers that are in use or kept.
#[derive(Clone)]
pub(crate) struct BufferPool(Arc<Shared>);

struct Shared {
    classes: [Class; CLASSES],
    budget: usize,
    /// Bytes of the free buffers, those never used included.
    retained: AtomicUsize,
    born_in: ForkGuard,
}

/// The free buffers of one size.
struct Class {
    free: ArrayQueue<Piece>,
    /// Held while a slab is cut, so that threads that find nothing free share one.
    cutting: Mutex<()>,
    bytes: usize,
}

/// Sole ownership of one buffer's part of a slab.
struct Piece {
    start: NonNull<u8>,
    slab: Arc<Mapping>,
}

// SAFETY: a piece is the only owner of its part of the slab, which belongs to no thread.
unsafe impl Send for Piece {}

/// A piece on loan from a pool, to which it goes back when dropped.
pub(super) struct Block {
    /// Taken out by `drop` alone.
    piece: ManuallyDrop<Piece>,
    class: usize,
    home: Arc<Shared>,
}

impl BufferPool {
    /// A pool that keeps free buffers of at most `budget` bytes.
    pub(crate) fn new(budget: usize) -> Self {
        let classes = std::array::from_fn(|class| Class::new(class, budget));
        let (retained, born_in) = (AtomicUsize::new(0), ForkGuard::new());
        Self(Arc::new(Shared { classes, budget, retained, born_in }))
    }

    /// A buffer of `pages` pages. It holds whatever it was last used for.
    pub(crate) fn take(&self, pages: usize) -> Result<AlignedBuf> {
        if self.0.born_in.is_child() {
            return Err(Error::Forked);
        }
        if pages > MAX_POOLED_PAGES {
            return AlignedBuf::new(pages.saturating_mul(PAGE_BYTES));
        }
        let class = class_of(pages);
        let piece = ManuallyDrop::new(self.0.take_piece(class)?);
        let block = Block { piece, class, home: Arc::clone(&self.0) };
        Ok(AlignedBuf::pooled(block, pages * PAGE_BYTES))
    }

    /// Bytes of the free buffers, those included that take no memory yet.
    pub(crate) fn retained_bytes(&self) -> usize {
        self.0.retained.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool")
            .field("budget", &self.0.budget)
            .field("retained", &self.retained_bytes())
            .finish_non_exhaustive()
    }
}

impl Class {
    fn new(class: usize, budget: usize) -> Self {
        let bytes = PAGE_BYTES * (1 << class).min(MAX_POOLED_PAGES);
        // Room for one slab beyond the budget, as a fresh one is queued whatever the budget.
        let queued = (budget / bytes).min(MAX_QUEUED) + SLAB_BYTES / bytes;
        Self { free: ArrayQueue::new(queued), cutting: Mutex::new(()), bytes }
    }
}

impl Shared {
    fn take_piece(&self, class: usize) -> Result<Piece> {
        if let Some(piece) = self.take_free(class) {
            return Ok(piece);
        }
        let _cutting = self.classes[class].cutting.lock();
        match self.take_free(class) {
            Some(piece) => Ok(piece),
            None => self.cut_slab(class),
        }
    }

    fn take_free(&self, class: usize) -> Option<Piece> {
        let class = &self.classes[class];
        let piece = class.free.pop()?;
        self.retained.fetch_sub(class.bytes, Ordering::Relaxed);
        Some(piece)
    }

    /// Cuts a fresh slab up, returns the first piece and queues the others.
    fn cut_slab(&self, class: usize) -> Result<Piece> {
        let bytes = self.classes[class].bytes;
        let slab_bytes = SLAB_BYTES / bytes * bytes;
        let slab = Arc::new(Mapping::new(slab_bytes)?);
        for offset in (bytes..slab_bytes).step_by(bytes) {
            self.retained.fetch_add(bytes, Ordering::Relaxed);
            self.queue(Piece::of(&slab, offset), class);
        }
        Ok(Piece::of(&slab, 0))
    }

    fn give_back(&self, piece: Piece, class: usize) {
        let bytes = self.classes[class].bytes;
        let before = self.retained.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.budget {
            self.queue(piece, class);
        } else {
            self.retained.fetch_sub(bytes, Ordering::Relaxed);
            piece.release(bytes);
        }
    }

    /// Makes `piece`, which counts as retained already, free for the next taker.
    fn queue(&self, piece: Piece, class: usize) {
        let class = &self.classes[class];
        if let Err(piece) = class.free.push(piece) {
            self.retained.fetch_sub(class.bytes, Ordering::Relaxed);
            piece.release(class.bytes);
        }
    }
}

impl Piece {
    /// The piece at `offset`; the caller takes each offset of a slab once.
    fn of(slab: &Arc<Mapping>, offset: usize) -> Self {
        debug_assert!(offset < SLAB_BYTES);
        // SAFETY: the offset is within the slab's mapping.
        let start = unsafe { slab.start().add(offset) };
        Self { start, slab: Arc::clone(slab) }
    }

    /// Gives its `bytes` of memory back to the kernel.
    fn release(self, bytes: usize) {
        // SAFETY: the piece owns these bytes of the slab alone, and ends here.
        unsafe { self.slab.release(self.start, bytes) };
    }
}

impl Block {
    pub(super) fn start(&self) -> NonNull<u8> {
        self.piece.start
    }

    pub(super) fn bytes(&self) -> usize {
        PAGE_BYTES << self.class
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the piece is taken only here, once, and not used after.
        let piece = unsafe { ManuallyDrop::take(&mut self.piece) };
        // In a child the queue may be as a thread that is not here was about to change it.
        if !self.home.born_in.is_child() {
            self.home.give_back(piece, self.class);
        }
    }
}

/// The smallest class that holds `pages` pages, at most [`MAX_POOLED_PAGES`].
fn class_of(pages: usize) -> usize {
    pages.max(1).next_power_of_two().trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Whether there is memory behind the address.
    fn is_resident(page: *const u8) -> bool {
        let mut state = 0u8;
        // SAFETY: asks about one page, and `state` has room for one answer.
        let asked = unsafe { libc::mincore(page.cast_mut().cast(), PAGE_BYTES, &mut state) };
        asked == 0 && state & 1 == 1
    }

    #[test]
    fn a_buffer_shows_exactly_its_pages() {
        let pool = BufferPool::new(64 << 20);
        for pages in [0, 1, 2, 3, 5, 255, 256, 257, 264, 265, 1000] {
            let buf = pool.take(pages).unwrap();
            assert_eq!(buf.len(), pages * PAGE_BYTES);
            assert_eq!(buf.as_pages().len(), pages * PAGE_BYTES);
            assert_eq!(buf.as_ptr().addr() % PAGE_BYTES, 0);
        }
    }

    #[test]
    fn an_impossible_size_is_an_error() {
        assert!(BufferPool::new(0).take(usize::MAX).is_err());
    }

    #[test]
    fn classes_are_powers_of_two_and_the_largest() {
        let classes = [0, 1, 2, 3, 4, 5, 128, 129, 256, 257, 264].map(class_of);
        assert_eq!(classes, [0, 0, 1, 2, 2, 3, 7, 8, 8, 9, 9]);
    }

    #[test]
    fn a_dropped_buffer_is_taken_again() {
        let pool = BufferPool::new(64 << 20);
        let mut first = BTreeSet::new();
        let taken: Vec<_> = (0..512).map(|_| pool.take(1).unwrap()).collect();
        first.extend(taken.iter().map(|buf| buf.as_ptr().addr()));
        assert_eq!(first.len(), 512, "no two live buffers share memory");
        drop(taken);
        let again: Vec<_> = (0..512).map(|_| pool.take(1).unwrap()).collect();
        assert!(again.iter().all(|buf| first.contains(&buf.as_ptr().addr())));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let budget = 4 << 20;
        let pool = BufferPool::new(budget);
        for pages in [1, 16, 256] {
            let mut taken: Vec<_> = (0..2048 / pages).map(|_| pool.take(pages).unwrap()).collect();
            taken.iter_mut().for_each(|buf| buf.fill(1));
            drop(taken);
            assert!(pool.retained_bytes() <= budget, "{pages}: {pool:?}");
        }
        assert!(pool.retained_bytes() > 0);
    }

    #[test]
    fn memory_above_the_budget_goes_back() {
        let pool = BufferPool::new(0);
        let mut kept = pool.take(256).unwrap();
        let mut dropped = pool.take(256).unwrap();
        kept.fill(1);
        dropped.fill(1);
        let (kept_at, dropped_at) = (kept.as_ptr(), dropped.as_ptr());
        drop(dropped);
        assert!(is_resident(kept_at) && !is_resident(dropped_at));
        assert_eq!(kept[0], 1);
        drop(kept);
        assert!(!is_resident(kept_at), "the slab is gone with its last buffer");
        assert_eq!(pool.retained_bytes(), 0);
    }

    #[test]
    fn buffers_outlive_the_pool() {
        let pool = BufferPool::new(1 << 20);
        let mut buf = pool.take(2).unwrap();
        drop(pool);
        buf.fill(3);
        assert!(buf.iter().all(|&b| b == 3));
    }

    #[test]
    fn eight_threads_never_share_a_buffer() {
        let pool = BufferPool::new(8 << 20);
        std::thread::scope(|scope| {
            for thread in 0..8u8 {
                let pool = pool.clone();
                scope.spawn(move || churn(&pool, thread));
            }
        });
        // A fresh slab is kept whatever the budget says: one of each class that is used.
        let fresh = (class_of(40) + 1) * SLAB_BYTES;
        assert!(pool.retained_bytes() <= (8 << 20) + fresh, "{pool:?}");
    }

    /// Takes, marks, checks and drops buffers, some of them late.
    fn churn(pool: &BufferPool, thread: u8) {
        let mut held = std::collections::VecDeque::new();
        for round in 0..4000usize {
            let mut buf = pool.take(1 + (round * 7 + thread as usize) % 40).unwrap();
            for page in buf.chunks_mut(PAGE_BYTES) {
                page[0] = thread;
            }
            held.push_back(buf);
            if held.len() > 20 {
                let buf: AlignedBuf = held.pop_front().unwrap();
                assert!(buf.chunks(PAGE_BYTES).all(|page| page[0] == thread));
            }
        }
    }

    #[test]
    fn a_forked_child_gets_nothing_and_may_drop_what_it_inherits() {
        let pool = BufferPool::new(1 << 20);
        let mut taken = pool.take(1).ok();
        let verdict = crate::device::fork::tests::in_child(|| {
            drop(taken.take());
            u8::from(matches!(pool.take(1), Err(Error::Forked)))
        });
        assert_eq!(verdict, 1);
        assert!(taken.is_some(), "the parent's is untouched");
    }
}
