//! Free pages inside large extents, as runs.

use std::collections::{BTreeMap, BTreeSet};

/// Runs of free pages: start to length. Touching runs are one.
#[derive(Debug, Default, Clone)]
pub(super) struct FreeRuns {
    runs: BTreeMap<u64, u64>,
    /// The same as (length, start), so that the shortest that fits is found at once.
    by_len: BTreeSet<(u64, u64)>,
}

impl FreeRuns {
    /// Adds a run; it must not overlap one that is there.
    pub(super) fn insert(&mut self, start: u64, len: u64) {
        if len == 0 {
            return;
        }
        let (mut start, mut len) = (start, len);
        if let Some((&before, &before_len)) = self.runs.range(..start).next_back() {
            assert!(before + before_len <= start, "G3: pages are freed once");
            if before + before_len == start {
                self.drop_run(before, before_len);
                (start, len) = (before, before_len + len);
            }
        }
        if let Some((&after, &after_len)) = self.runs.range(start..).next() {
            assert!(start + len <= after, "G3: pages are freed once");
            if start + len == after {
                self.drop_run(after, after_len);
                len += after_len;
            }
        }
        self.add_run(start, len);
    }

    fn add_run(&mut self, start: u64, len: u64) {
        if len > 0 {
            self.runs.insert(start, len);
            self.by_len.insert((len, start));
        }
    }

    fn drop_run(&mut self, start: u64, len: u64) {
        self.runs.remove(&start);
        self.by_len.remove(&(len, start));
    }

    /// Takes `len` pages from the shortest run that has them, the lowest of those.
    pub(super) fn take(&mut self, len: u64) -> Option<u64> {
        let &(found, start) = self.by_len.range((len, 0)..).next()?;
        self.drop_run(start, found);
        self.add_run(start + len, found - len);
        Some(start)
    }

    /// Removes `len` pages from `start` on, all of which must be free.
    pub(super) fn remove(&mut self, start: u64, len: u64) -> bool {
        let Some((&from, &found)) = self.runs.range(..=start).next_back() else { return false };
        if start + len > from + found {
            return false;
        }
        self.drop_run(from, found);
        self.add_run(from, start - from);
        self.add_run(start + len, from + found - (start + len));
        true
    }

    /// Of `free` extents, each the first and the number of adjacent ones, the fewest that make a run
    /// of `pages` with the runs beside them.
    pub(super) fn joined(
        &self,
        free: impl Iterator<Item = (u64, u64)>,
        pages: u64,
        extent_pages: u64,
    ) -> Option<(u64, u64)> {
        let joined = free.filter_map(|(first, count)| {
            let before = self.ending_at(first * extent_pages);
            let after = self.starting_at((first + count) * extent_pages);
            let fewest = pages.saturating_sub(before).div_ceil(extent_pages);
            let fits = before + count * extent_pages + after >= pages;
            (before + after > 0 && fits).then_some((first, fewest.min(count)))
        });
        joined.min_by_key(|&(_, count)| count)
    }

    /// Length of the run that starts at `at`; 0 if none does.
    fn starting_at(&self, at: u64) -> u64 {
        self.runs.get(&at).copied().unwrap_or(0)
    }

    /// Length of the run that ends before `at`; 0 if none does.
    fn ending_at(&self, at: u64) -> u64 {
        let before = self.runs.range(..at).next_back();
        before.filter(|&(&start, &len)| start + len == at).map_or(0, |(_, &len)| len)
    }

    /// Pages of the longest.
    pub(super) fn longest(&self) -> u64 {
        self.by_len.last().map_or(0, |&(len, _)| len)
    }

    /// All of them: start and length.
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs.iter().map(|(&start, &len)| (start, len))
    }

    /// The free parts of the `len` pages from `start` on.
    pub(super) fn within(&self, start: u64, len: u64) -> Vec<(u64, u64)> {
        let end = start + len;
        let first = self.runs.range(..=start).next_back().map_or(start, |(&from, _)| from);
        let parts = self.runs.range(first..end).map(|(&from, &found)| {
            let (from, to) = (from.max(start), (from + found).min(end));
            (from, to.saturating_sub(from))
        });
        parts.filter(|&(_, len)| len > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_runs_become_one() {
        let mut runs = FreeRuns::default();
        runs.insert(10, 5);
        runs.insert(20, 5);
        assert_eq!(runs.take(11), None);
        runs.insert(15, 5);
        assert_eq!(runs.take(15), Some(10));
        assert_eq!(runs.take(1), None);
    }

    #[test]
    fn the_rest_of_a_run_stays_free() {
        let mut runs = FreeRuns::default();
        runs.insert(8, 8);
        assert_eq!(runs.take(3), Some(8));
        assert_eq!(runs.take(3), Some(11));
        assert_eq!(runs.take(3), None);
        assert_eq!(runs.take(2), Some(14));
    }

    #[test]
    fn the_shortest_run_that_fits_is_taken() {
        let mut runs = FreeRuns::default();
        for (start, len) in [(0, 9), (20, 4), (40, 5), (60, 4)] {
            runs.insert(start, len);
        }
        assert_eq!(runs.take(4), Some(20));
        assert_eq!(runs.take(4), Some(60));
        assert_eq!(runs.take(4), Some(40));
        assert_eq!(runs.take(4), Some(0));
        assert_eq!(runs.take(1), Some(44));
        assert_eq!(runs.longest(), 5);
        assert_eq!(runs.take(6), None);
    }

    #[test]
    fn the_free_parts_of_a_range_are_cut_at_its_ends() {
        let mut runs = FreeRuns::default();
        runs.insert(0, 10);
        runs.insert(12, 2);
        runs.insert(18, 10);
        assert_eq!(runs.within(8, 12), [(8, 2), (12, 2), (18, 2)]);
        assert_eq!(runs.within(12, 2), [(12, 2)]);
        assert_eq!(runs.within(10, 2), []);
    }

    #[test]
    fn pages_are_removed_from_the_middle_only_if_all_are_free() {
        let mut runs = FreeRuns::default();
        runs.insert(0, 10);
        assert!(runs.remove(4, 2));
        assert!(!runs.remove(3, 2));
        assert!(!runs.remove(9, 2));
        assert_eq!(runs.take(5), None);
        assert_eq!(runs.take(4), Some(0));
        assert_eq!(runs.take(4), Some(6));
    }

    #[test]
    #[should_panic(expected = "G3")]
    fn freeing_twice_is_caught() {
        let mut runs = FreeRuns::default();
        runs.insert(0, 10);
        runs.insert(9, 1);
    }
}
