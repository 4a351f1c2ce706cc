//! Free pages inside large extents, as runs.

use std::collections::BTreeMap;

/// Runs of free pages: start to length. Touching runs are one.
#[derive(Debug, Default)]
pub(super) struct FreeRuns {
    runs: BTreeMap<u64, u64>,
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
                self.runs.remove(&before);
                (start, len) = (before, before_len + len);
            }
        }
        if let Some((&after, &after_len)) = self.runs.range(start..).next() {
            assert!(start + len <= after, "G3: pages are freed once");
            if start + len == after {
                self.runs.remove(&after);
                len += after_len;
            }
        }
        self.runs.insert(start, len);
    }

    /// Takes `len` pages from the lowest run that has them.
    pub(super) fn take(&mut self, len: u64) -> Option<u64> {
        let (&start, &found) = self.runs.iter().find(|&(_, &found)| found >= len)?;
        self.runs.remove(&start);
        if found > len {
            self.runs.insert(start + len, found - len);
        }
        Some(start)
    }

    /// Removes `len` pages from `start` on, all of which must be free.
    pub(super) fn remove(&mut self, start: u64, len: u64) -> bool {
        let Some((&from, &found)) = self.runs.range(..=start).next_back() else { return false };
        if start + len > from + found {
            return false;
        }
        self.runs.remove(&from);
        if start > from {
            self.runs.insert(from, start - from);
        }
        if from + found > start + len {
            self.runs.insert(start + len, from + found - (start + len));
        }
        true
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
