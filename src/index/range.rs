//! Walking a view from both ends.

use super::block::Block;
use super::draft::Draft;
use super::page::{Found, Page};
use super::seek::{Place, Seek};
use super::shared::Handle;
use super::state::{ABSENT, State};
use super::tree::Tree;
use super::view::View;
#[cfg(test)]
use crate::format::location::Location;
use crate::sync::Arc;
use std::cmp::Ordering;
use std::iter::FusedIterator;
use std::ops::Bound;

/// The entries of a [`View`] between two bounds, in order from either end. Owns what it walks.
///
/// Copies a leaf's worth of entries at a time, which is all it needs the lock for.
pub(crate) struct Range {
    view: View,
    /// What neither page has come to: keys from `lower` on, below `upper` if there is one.
    lower: Vec<u8>,
    upper: Option<Vec<u8>>,
    front: Ahead,
    back: Ahead,
    merged: [Draft; 2],
}

/// Entries that were copied and not yet yielded.
#[derive(Default)]
struct Ahead {
    page: Arc<Page>,
    start: usize,
    end: usize,
}

impl Ahead {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    #[inline]
    fn first(&mut self) -> Option<Found> {
        (self.start < self.end).then(|| {
            self.start += 1;
            self.entry(self.start - 1)
        })
    }

    #[inline]
    fn last(&mut self) -> Option<Found> {
        (self.start < self.end).then(|| {
            self.end -= 1;
            self.entry(self.end)
        })
    }

    #[inline]
    fn entry(&self, at: usize) -> Found {
        Found::new(Arc::clone(&self.page), at)
    }

    /// A page to fill with what `pin` shows, the one at hand if nobody else holds it.
    fn page(&mut self, pin: &Arc<Handle>) -> &mut Page {
        if Arc::get_mut(&mut self.page).is_none() {
            self.page = Arc::default();
        }
        let page = Arc::get_mut(&mut self.page).expect("the page is not shared");
        page.clear();
        page.keep(pin);
        page
    }

    fn has_filled(&mut self) {
        (self.start, self.end) = (0, self.page.len());
    }
}

impl Range {
    pub(super) fn new(view: View, lower: Bound<Vec<u8>>, upper: Bound<Vec<u8>>) -> Self {
        let lower = match lower {
            Bound::Unbounded => Vec::new(),
            Bound::Included(key) => key,
            Bound::Excluded(key) => right_after(key),
        };
        let upper = match upper {
            Bound::Unbounded => None,
            Bound::Included(key) => Some(right_after(key)),
            Bound::Excluded(key) => Some(key),
        };
        let (front, back) = (Ahead::default(), Ahead::default());
        Self { view, lower, upper, front, back, merged: Default::default() }
    }

    /// Calls `visit` with every entry that is left, in order.
    #[cfg(test)]
    pub(crate) fn for_each_entry(mut self, mut visit: impl FnMut(&[u8], Location)) {
        loop {
            let Ahead { page, start, end } = &self.front;
            page.visit(*start..*end, &mut visit);
            self.front.start = self.front.end;
            if !self.advance() {
                break;
            }
        }
        self.back.page.visit(self.back.start..self.back.end, &mut visit);
    }

    fn is_exhausted(&self) -> bool {
        self.upper.as_ref().is_some_and(|upper| self.lower >= *upper)
    }

    fn exhaust(&mut self) {
        self.lower.clear();
        self.upper = Some(Vec::new());
    }

    /// Copies the next entries to the front page; false if there are none.
    fn advance(&mut self) -> bool {
        while self.front.is_empty() && !self.is_exhausted() {
            let state = self.view.pin.shared.state.read();
            let sources = Sources::new(&state, self.view.pin.id);
            let next = sources.copy_from(
                &self.lower,
                self.upper.as_deref(),
                self.front.page(&self.view.pin),
                &mut self.merged,
            );
            drop(state);
            self.front.has_filled();
            match next {
                Some(next) => self.lower = next,
                None => self.exhaust(),
            }
        }
        !self.front.is_empty()
    }

    /// Copies the entries before those of the back page; false if there are none.
    fn advance_back(&mut self) -> bool {
        while self.back.is_empty() && !self.is_exhausted() {
            let state = self.view.pin.shared.state.read();
            let sources = Sources::new(&state, self.view.pin.id);
            let next = sources.copy_below(
                &self.lower,
                self.upper.as_deref(),
                self.back.page(&self.view.pin),
                &mut self.merged,
            );
            drop(state);
            self.back.has_filled();
            match next {
                Some(next) => self.upper = Some(next),
                None => self.exhaust(),
            }
        }
        !self.back.is_empty()
    }
}

impl Iterator for Range {
    type Item = Found;

    #[inline]
    fn next(&mut self) -> Option<Found> {
        match self.front.first() {
            Some(found) => Some(found),
            None if self.advance() => self.front.first(),
            None => self.back.first(),
        }
    }
}

impl DoubleEndedIterator for Range {
    #[inline]
    fn next_back(&mut self) -> Option<Found> {
        match self.back.last() {
            Some(found) => Some(found),
            None if self.advance_back() => self.back.last(),
            None => self.front.last(),
        }
    }
}

impl FusedIterator for Range {}

/// The least key above `key`.
fn right_after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// Where a pin finds its entries: the first source that knows a key decides.
struct Sources<'a> {
    overlays: Vec<&'a Tree>,
    tree: &'a Tree,
}

impl<'a> Sources<'a> {
    fn new(state: &'a State, id: u64) -> Self {
        Self { overlays: state.overlays_from(id).collect(), tree: &state.tree }
    }

    fn places(&self, to: Seek<'_>) -> Vec<Place<'a>> {
        let sources = self.overlays.iter().copied().chain([self.tree]);
        sources.filter_map(|source| source.seek(to)).collect()
    }

    /// Fills `page` with entries from `lower` on, as far as the leaf of each source goes that
    /// `lower` belongs to. Returns where the next ones start.
    fn copy_from(
        &self,
        lower: &[u8],
        upper: Option<&[u8]>,
        page: &mut Page,
        merged: &mut [Draft; 2],
    ) -> Option<Vec<u8>> {
        if self.overlays.is_empty() {
            return self.copy_leaf(lower, upper, page);
        }
        let places = self.places(Seek::At(lower));
        let next = places.iter().filter_map(Place::upper).min();
        let end = match (&next, upper) {
            (Some(next), Some(upper)) => Some(upper.min(next)),
            (next, upper) => upper.or(next.as_deref()),
        };
        Self::merge(&places, (lower, end), page, merged);
        next
    }

    /// As [`copy_from`](Self::copy_from), of the tree alone.
    fn copy_leaf(&self, lower: &[u8], upper: Option<&[u8]>, page: &mut Page) -> Option<Vec<u8>> {
        let place = self.tree.seek(Seek::At(lower))?;
        let next = place.upper();
        let within = |upper: &&[u8]| next.as_ref().is_none_or(|next| *upper < next.as_slice());
        let entries = place.leaf.span(Some(lower), upper.filter(within));
        page.copy(&place.leaf, entries, self.tree.after(&place));
        next
    }

    /// Fills `page` with entries right below `upper`. Returns where those before them end.
    fn copy_below(
        &self,
        lower: &[u8],
        upper: Option<&[u8]>,
        page: &mut Page,
        merged: &mut [Draft; 2],
    ) -> Option<Vec<u8>> {
        let places = self.places(upper.map_or(Seek::Last, Seek::Below));
        let next = places.iter().filter_map(Place::lower).max();
        let start = next.as_deref().map_or(lower, |next| next.max(lower));
        Self::merge(&places, (start, upper), page, merged);
        next
    }

    /// Fills `page` with what `places` hold of keys from `lower` on and below `upper`.
    fn merge(
        places: &[Place<'_>],
        (lower, upper): (&[u8], Option<&[u8]>),
        page: &mut Page,
        [merged, spare]: &mut [Draft; 2],
    ) {
        merged.clear(0);
        for place in places.iter().rev() {
            std::mem::swap(merged, spare);
            merged.clear(0);
            merge_two(&place.leaf, place.leaf.span(Some(lower), upper), spare, merged);
        }
        page.take(merged, &ABSENT);
    }
}

/// Appends to `out` the entries of `first` and those of `second` whose keys `first` does not
/// have.
fn merge_two(first: &Block<'_>, entries: std::ops::Range<usize>, second: &Draft, out: &mut Draft) {
    let mut key = Vec::new();
    let mut rest = 0;
    for at in entries {
        key.clear();
        first.push_key(at, &mut key);
        while rest < second.len() {
            match second.key(rest).cmp(&key) {
                Ordering::Less => out.push(second.key(rest), second.payload(rest)),
                Ordering::Equal => {}
                Ordering::Greater => break,
            }
            rest += 1;
        }
        out.push(&key, first.payload(at));
    }
    (rest..second.len()).for_each(|at| out.push(second.key(at), second.payload(at)));
}
