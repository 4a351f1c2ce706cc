//! Memory by the span, kept dense whatever it is for.

use super::arena::STEP_BYTES;
use crate::device::{AlignedBuf, HUGE_PAGE_BYTES};
use crate::format::ids::PAGE_BYTES;

/// So many leave least unused: by slots of the sizes that most nodes have 0.6 % of a span (16 would
/// have 1.3 %), and by each class half a span.
const SPANS_A_HUGE_PAGE: usize = 13;

pub(super) const SPAN_BYTES: usize = HUGE_PAGE_BYTES / SPANS_A_HUGE_PAGE / STEP_BYTES * STEP_BYTES;

/// Spans of pages of the usual size, which take memory only as they are touched: 10 MiB, lest
/// small trees take huge pages that they have no use for.
const SMALL_SPANS: usize = 64;

/// The most that is kept of what is free.
const MOST_FREE: usize = 8;

/// Spans in the order that they were mapped in: first the small ones, each for itself, then those
/// in huge pages. A span that is given back is kept for the next class that needs one, up to a
/// sixteenth of what is in use; beyond that, the last span moves into it. So what is mapped
/// follows what is in use, and no hole lasts.
#[derive(Default)]
pub(super) struct Spans {
    chunks: Vec<AlignedBuf>,
    spans: Vec<Span>,
    free: Vec<usize>,
}

struct Span {
    /// `None` while it is free.
    owner: Option<Owner>,
    /// How much of it, from its start on, has been written since it was mapped.
    touched: usize,
}

/// Which of the spans of a class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Owner {
    pub(super) class: usize,
    pub(super) nth: usize,
}

/// A span moved.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) owner: Owner,
    pub(super) to: usize,
}

/// The chunk that a span is in, and where it starts there.
#[inline]
fn place(span: usize) -> (usize, usize) {
    match span.checked_sub(SMALL_SPANS) {
        None => (span, 0),
        Some(huge) => {
            (SMALL_SPANS + huge / SPANS_A_HUGE_PAGE, huge % SPANS_A_HUGE_PAGE * SPAN_BYTES)
        }
    }
}

impl Spans {
    /// A span of any content.
    pub(super) fn take(&mut self, owner: Owner) -> usize {
        if let Some(span) = self.free.pop() {
            self.spans[span].owner = Some(owner);
            return span;
        }
        let span = self.spans.len();
        if place(span).1 == 0 {
            let chunk = if span < SMALL_SPANS {
                AlignedBuf::new(SPAN_BYTES)
            } else {
                AlignedBuf::in_huge_pages(1)
            };
            self.chunks.push(chunk.expect("the system has memory for the index"));
        }
        self.spans.push(Span { owner: Some(owner), touched: 0 });
        span
    }

    /// Takes a span back. [`tighten`](Self::tighten) is to follow.
    pub(super) fn give_back(&mut self, span: usize) {
        self.spans[span].owner = None;
        self.free.push(span);
    }

    /// Unmaps what is free beyond what is kept, or moves a span so that it can be; then returns
    /// which one that was. To be called until it moves none.
    #[must_use]
    pub(super) fn tighten(&mut self) -> Option<Moved> {
        while self.free.len() > self.most_free() {
            let last = self.spans.len() - 1;
            let owner = self.spans[last].owner;
            let hole = match owner {
                None => self.free.iter().position(|&free| free == last),
                Some(_) => self.free.len().checked_sub(1),
            };
            let to = self.free.swap_remove(hole.expect("a free span is among the free"));
            if let Some(owner) = owner {
                let bytes = self.spans[last].touched;
                self.copy((last, 0), (to, 0), bytes);
                self.spans[to].owner = Some(owner);
                self.touch(to, bytes);
            }
            self.spans.pop();
            if place(last).1 == 0 {
                self.chunks.pop();
            }
            if let Some(owner) = owner {
                return Some(Moved { owner, to });
            }
        }
        None
    }

    /// Free spans that are kept, lest a class at the edge of a span have memory mapped and
    /// unmapped.
    fn most_free(&self) -> usize {
        match self.spans.len() - self.free.len() {
            0 => 0,
            used => (used / 16).clamp(2, MOST_FREE),
        }
    }

    /// The first `bytes` of the span are about to be written.
    #[inline]
    pub(super) fn touch(&mut self, span: usize, bytes: usize) {
        let touched = &mut self.spans[span].touched;
        *touched = (*touched).max(bytes);
    }

    #[inline]
    pub(super) fn get(&self, span: usize, start: usize, bytes: usize) -> &[u8] {
        let (chunk, first) = place(span);
        &self.chunks[chunk][first + start..][..bytes]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, span: usize, start: usize, bytes: usize) -> &mut [u8] {
        let (chunk, first) = place(span);
        &mut self.chunks[chunk][first + start..][..bytes]
    }

    /// Copies so many bytes from one span and offset to another.
    pub(super) fn copy(&mut self, from: (usize, usize), to: (usize, usize), bytes: usize) {
        let ((from_chunk, from_first), (to_chunk, to_first)) = (place(from.0), place(to.0));
        let from_range = from_first + from.1..from_first + from.1 + bytes;
        let to_start = to_first + to.1;
        if from_chunk == to_chunk {
            return self.chunks[from_chunk].copy_within(from_range, to_start);
        }
        let chunks = self.chunks.get_disjoint_mut([from_chunk, to_chunk]);
        let [from, to] = chunks.expect("two chunks there are");
        to[to_start..to_start + bytes].copy_from_slice(&from[from_range]);
    }

    /// Bytes taken from the system and touched, and what lists them. Huge pages are touched
    /// whole.
    pub(super) fn memory_bytes(&self) -> usize {
        let small = self.spans.iter().take(SMALL_SPANS);
        let touched: usize = small.map(|span| span.touched.next_multiple_of(PAGE_BYTES)).sum();
        let huge = self.chunks.len().saturating_sub(SMALL_SPANS) * HUGE_PAGE_BYTES;
        let lists = self.chunks.capacity() * size_of::<AlignedBuf>()
            + self.spans.capacity() * size_of::<Span>()
            + self.free.capacity() * size_of::<usize>();
        touched + huge + lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::tests::random::Random;

    /// Spans with what each of their owners has written.
    #[derive(Default)]
    struct Model {
        spans: Spans,
        /// Of each owner: its span.
        held: Vec<(usize, usize)>,
        next: usize,
    }

    impl Model {
        fn take(&mut self) {
            let (class, nth) = (self.next, self.held.len());
            self.next += 1;
            let span = self.spans.take(Owner { class, nth });
            let mark = class.to_le_bytes();
            self.spans.touch(span, SPAN_BYTES);
            self.spans.get_mut(span, 0, mark.len()).copy_from_slice(&mark);
            let end = SPAN_BYTES - mark.len();
            self.spans.get_mut(span, end, mark.len()).copy_from_slice(&mark);
            self.held.push((class, span));
        }

        fn give_back(&mut self, nth: usize) {
            let (_, span) = self.held.swap_remove(nth);
            if let Some(&(class, span)) = self.held.get(nth) {
                self.spans.spans[span].owner = Some(Owner { class, nth });
            }
            self.spans.give_back(span);
            while let Some(Moved { owner, to }) = self.spans.tighten() {
                assert_eq!(self.held[owner.nth].0, owner.class);
                self.held[owner.nth].1 = to;
            }
            self.check();
        }

        fn check(&self) {
            for &(class, span) in &self.held {
                for start in [0, SPAN_BYTES - 8] {
                    assert_eq!(self.spans.get(span, start, 8), class.to_le_bytes());
                }
            }
            let (spans, used) = (self.spans.spans.len(), self.held.len());
            assert_eq!(self.spans.free.len(), spans - used);
            assert!(self.spans.free.iter().all(|&free| self.spans.spans[free].owner.is_none()));
            assert!(spans <= used + (used / 16).clamp(2, MOST_FREE));
            let chunks = spans.checked_sub(1).map_or(0, |last| place(last).0 + 1);
            assert_eq!(self.spans.chunks.len(), chunks, "no chunk without a span");
        }
    }

    #[test]
    fn what_is_mapped_follows_what_is_in_use() {
        let mut model = Model::default();
        let mut random = Random::new(7);
        for most in [3, SMALL_SPANS + 3, 20, SMALL_SPANS + 5 * SPANS_A_HUGE_PAGE, 0] {
            while model.held.len() < most {
                model.take();
                if random.below(4) == 0 {
                    model.give_back(random.below(model.held.len() as u64) as usize);
                }
            }
            while model.held.len() > most {
                model.give_back(random.below(model.held.len() as u64) as usize);
                if random.below(4) == 0 {
                    model.take();
                }
            }
        }
        assert!(model.spans.chunks.is_empty());
    }

    #[test]
    fn small_spans_count_as_far_as_they_are_touched() {
        let mut spans = Spans::default();
        let owner = Owner { class: 0, nth: 0 };
        let first = spans.take(owner);
        spans.touch(first, 5000);
        let lists = |spans: &Spans| spans.memory_bytes() % PAGE_BYTES;
        assert_eq!(spans.memory_bytes() - lists(&spans), 2 * PAGE_BYTES);
        (1..=SMALL_SPANS).for_each(|_| _ = spans.take(owner));
        let huge = spans.memory_bytes() - 2 * PAGE_BYTES;
        assert!((HUGE_PAGE_BYTES..HUGE_PAGE_BYTES + 4 * PAGE_BYTES).contains(&huge));
    }

    #[test]
    fn slots_of_any_size_leave_little_of_a_span() {
        use crate::index::arena::MAX_SLOT_BYTES;
        for slot in (256..=MAX_SLOT_BYTES).step_by(256) {
            assert!(SPAN_BYTES % slot <= SPAN_BYTES / 40, "{slot}");
        }
    }
}
