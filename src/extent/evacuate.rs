//! Which large extents are emptied, and of what, so that whole extents, or as many adjacent ones
//! as are wanted, become free.
//!
//! A plan is tried out on what is free before anything is copied. So values move only where that
//! gains what is wanted: where the pages that are given back at the rate at which they are taken
//! are used again as they are, nothing is ever copied.

use super::reclaim::Candidate;
use super::reserve::Claim;
use super::runs::FreeRuns;
use super::space::{Space, bytes_of};
use super::table::{Collected, LargeRun, Table, extents_of, numbered, pages_of};
use crate::format::extent_state::Role;
use crate::format::ids::{ExtentNo, PageNo};
use std::cmp::Reverse;
use std::ops::Range;

/// The part of an extent that must be free, or dead, for emptying it to be worth it.
const LEAST_GAIN: u64 = 16;
/// So many of the emptiest extents are tried alone, then the first few of them together.
const ALONE: usize = 16;
const TOGETHER: [usize; 8] = [2, 3, 4, 6, 8, 12, 16, 24];
/// So many of the cheapest places for adjacent extents are tried.
const PLACES: usize = 64;

/// Extents that are emptied together.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) extents: Vec<ExtentNo>,
    /// Large values that lie in them, if only with some of their pages; the longest first.
    pub(crate) values: Vec<(PageNo, LargeRun)>,
    /// Those of them that hold records beside their keys.
    pub(crate) victims: Vec<Candidate>,
}

/// What emptying an extent takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Nothing: it is free.
    Free,
    /// Copies of the large values that touch it, of so many pages; so many are live in it.
    Large { pages: u64, within: u64 },
    /// Copies of small records, the victim at this place.
    Small(usize),
    /// It cannot be emptied now.
    Fixed,
}

/// What is free, for trying out.
#[derive(Debug, Clone)]
struct Layout {
    extent_pages: u64,
    /// Pages of large extents.
    holes: FreeRuns,
    /// Extents.
    free: FreeRuns,
    count: usize,
}

/// The table as it was looked at.
struct Survey {
    contents: Vec<Content>,
    layout: Layout,
    /// Free extents that copies leave, and those that puts leave.
    copy_floor: usize,
    large_floor: usize,
    /// Small records that can be moved.
    candidates: Vec<Candidate>,
}

impl Plan {
    /// Whether there is room already: others have made it.
    pub(crate) fn is_nothing(&self) -> bool {
        self.values.is_empty() && self.victims.is_empty()
    }
}

impl Space {
    /// Whether there are as many unused pages as a value of `pages` wants, wherever they are.
    pub(crate) fn has_pages(&self, pages: u64) -> bool {
        let image = self.image_extents(Claim::LargePut);
        let table = self.table.read();
        let free = table.free().saturating_sub(table.floor(Claim::LargePut, image)) as u64;
        let holes: u64 = table.runs.all().map(|(_, len)| len).sum();
        holes + free * u64::from(self.extent_pages) >= pages
    }

    /// Extents to empty of large values, so that there are more free ones after it.
    pub(crate) fn plan_gain(&self) -> Option<Plan> {
        let survey = self.survey(Vec::new());
        let whole = u64::from(self.extent_pages);
        let mut emptiest: Vec<_> = survey.movable(whole - (whole / LEAST_GAIN).max(1)).collect();
        emptiest.sort_unstable();
        let numbers: Vec<usize> = emptiest.into_iter().map(|(_, number)| number).collect();
        let alone = numbers.iter().take(ALONE).map(std::slice::from_ref);
        let together = TOGETHER.iter().filter_map(|&count| numbers.get(..count));
        alone.chain(together).find_map(|numbers| self.try_gain(&survey, numbers))
    }

    fn try_gain(&self, survey: &Survey, numbers: &[usize]) -> Option<Plan> {
        let plan = self.plan(survey, numbers.iter().copied())?;
        let layout = self.try_plan(survey, numbers.iter().copied(), &plan)?;
        (layout.count + numbers.len() > survey.layout.count).then_some(plan)
    }

    /// Extents to empty so that the holes in large extents are longer after it, though there are no
    /// more free extents: where holes are shorter than the values around them, they do not add up by
    /// themselves.
    pub(crate) fn plan_longer_holes(&self) -> Option<Plan> {
        let survey = self.survey(Vec::new());
        let whole = u64::from(self.extent_pages);
        let mut emptiest: Vec<_> = survey.movable(whole - 1).collect();
        emptiest.sort_unstable();
        let numbers: Vec<usize> = emptiest.into_iter().map(|(_, number)| number).collect();
        let together = [1].iter().chain(&TOGETHER).filter_map(|&count| numbers.get(..count));
        let tried = together.filter_map(|numbers| self.try_longer_holes(&survey, numbers));
        let best = tried.max_by_key(|(squares, _)| *squares);
        best.filter(|(squares, _)| *squares > survey.layout.squares()).map(|(_, plan)| plan)
    }

    /// The sum of the squares of what holes there would be: the larger, the fewer and longer.
    fn try_longer_holes(&self, survey: &Survey, numbers: &[usize]) -> Option<(u64, Plan)> {
        let plan = self.plan(survey, numbers.iter().copied())?;
        let layout = self.try_plan(survey, numbers.iter().copied(), &plan)?;
        let gains = layout.count + numbers.len() >= survey.layout.count;
        gains.then(|| (layout.squares(), plan))
    }

    /// What is free when the values of `plan` have left the extents of these `numbers`, but for
    /// those.
    fn try_plan(
        &self,
        survey: &Survey,
        numbers: impl Iterator<Item = usize>,
        plan: &Plan,
    ) -> Option<Layout> {
        let mut layout = survey.layout.clone();
        numbers.for_each(|number| layout.withhold(number));
        plan.values.iter().try_for_each(|(_, run)| layout.take(run.pages, survey.copy_floor))?;
        Some(layout)
    }

    /// Extents to empty so that a value of `pages` pages, which is one of several extents, finds as
    /// many adjacent ones. Small records are moved as well, those of the `candidates`.
    pub(crate) fn plan_adjacent(&self, pages: u64, candidates: Vec<Candidate>) -> Option<Plan> {
        let need = pages.div_ceil(u64::from(self.extent_pages)) as usize;
        let survey = self.survey(candidates);
        let places = survey.contents.len().checked_sub(need)?;
        let mut cheapest: Vec<_> = (0..=places)
            .filter_map(|first| Some((survey.cost(first..first + need)?, first)))
            .collect();
        cheapest.sort_unstable();
        let places = cheapest.into_iter().take(PLACES).map(|(_, first)| first..first + need);
        places.into_iter().find_map(|place| self.try_adjacent(&survey, place))
    }

    fn try_adjacent(&self, survey: &Survey, place: Range<usize>) -> Option<Plan> {
        let plan = self.plan(survey, place.clone())?;
        let layout = self.try_plan(survey, place, &plan)?;
        // A sixteenth of an extent may stay empty at its end, and one is begun.
        let live: u64 = plan.victims.iter().map(|victim| victim.live).sum();
        let small = (live * 17 / 16).div_ceil(bytes_of(u64::from(self.extent_pages))) as usize;
        let small = small + usize::from(!plan.victims.is_empty());
        (layout.count >= small + survey.large_floor).then_some(plan)
    }

    /// What has to leave the extents of these `numbers`.
    fn plan(&self, survey: &Survey, numbers: impl Iterator<Item = usize>) -> Option<Plan> {
        let table = self.table.read();
        let mut plan = Plan::default();
        for number in numbers {
            let extent = ExtentNo(number as u32);
            plan.extents.push(extent);
            match survey.contents[number] {
                Content::Free => {}
                Content::Large { .. } => {
                    plan.values.extend(table.values_in(extent, self.extent_pages))
                }
                Content::Small(at) => plan.victims.push(survey.candidates[at]),
                Content::Fixed => return None,
            }
        }
        plan.values.sort_unstable_by_key(|&(page, run)| (Reverse(run.pages), page));
        plan.values.dedup();
        Some(plan)
    }

    fn survey(&self, candidates: Vec<Candidate>) -> Survey {
        let [copy_image, put_image] =
            [Claim::LargeCopies, Claim::LargePut].map(|claim| self.image_extents(claim));
        let table = self.table.read();
        let mut contents = table.contents(self.extent_pages);
        for (at, candidate) in candidates.iter().enumerate() {
            contents[candidate.extent.0 as usize] = Content::Small(at);
        }
        let mut free = FreeRuns::default();
        for (number, _) in numbered(&table.extents).filter(|(_, extent)| extent.is_free()) {
            free.insert(u64::from(number.0), 1);
        }
        let layout = Layout {
            extent_pages: u64::from(self.extent_pages),
            holes: table.runs.clone(),
            free,
            count: table.free(),
        };
        let copy_floor = table.floor(Claim::LargeCopies, copy_image);
        let large_floor = table.floor(Claim::LargePut, put_image);
        Survey { contents, layout, copy_floor, large_floor, candidates }
    }

    /// Nothing goes to the extents of `plan` from now on.
    pub(crate) fn withhold(&self, plan: &Plan) {
        let pages = self.extent_pages;
        self.change(|table| {
            plan.extents.iter().for_each(|&extent| table.move_free(extent, pages, true));
        });
    }

    /// The extents of `plan` are there for all again. Whether all of them are free.
    pub(crate) fn release(&self, plan: &Plan) -> bool {
        let pages = self.extent_pages;
        self.change(|table| {
            plan.extents.iter().for_each(|&extent| table.move_free(extent, pages, false));
            plan.extents.iter().all(|extent| table.extents[extent.0 as usize].is_free())
        })
    }

    /// A large value cannot be read, or not be moved: neither can the extents that it touches be
    /// emptied. If it was freed before its extents were withheld, others are there by now.
    pub(crate) fn set_run_aside(&self, page: PageNo, run: LargeRun) {
        let mut table = self.table.write();
        let known = table.large.get(&page.0).map(|known| known.incarnation);
        if known == Some(run.incarnation) {
            for extent in extents_of(page.0, run.pages, self.extent_pages) {
                table.extents[extent.0 as usize].collected = Collected::Done;
            }
        }
    }

    /// Whether puts leave fewer extents than they should: others have taken of those.
    pub(crate) fn is_short_of_reserve(&self) -> bool {
        self.shortage() > 0
    }
}

impl Survey {
    /// Extents with large values, of which no more than `most` pages are live, by what moving those
    /// costs.
    fn movable(&self, most: u64) -> impl Iterator<Item = (u64, usize)> {
        self.contents.iter().enumerate().filter_map(move |(number, &content)| match content {
            Content::Large { pages, within } if within > 0 && within <= most => {
                Some((pages, number))
            }
            _ => None,
        })
    }

    /// Pages that must be moved to empty these extents.
    fn cost(&self, extents: Range<usize>) -> Option<u64> {
        self.contents[extents].iter().try_fold(0, |cost, &content| match content {
            Content::Free => Some(cost),
            Content::Large { pages, .. } => Some(cost + pages),
            Content::Small(at) => Some(cost + self.candidates[at].live / bytes_of(1)),
            Content::Fixed => None,
        })
    }
}

impl Layout {
    fn squares(&self) -> u64 {
        self.holes.all().map(|(_, len)| len * len).sum()
    }

    /// Nothing goes to this extent.
    fn withhold(&mut self, number: usize) {
        if self.free.remove(number as u64, 1) {
            self.count -= 1;
        }
        let start = number as u64 * self.extent_pages;
        for (from, len) in self.holes.within(start, self.extent_pages) {
            self.holes.remove(from, len);
        }
    }

    /// Takes pages for a large value; as [`Table::take_run`] does.
    fn take(&mut self, pages: u64, floor: usize) -> Option<()> {
        if self.holes.take(pages).is_none() {
            let joined = self.holes.joined(self.free.all(), pages, self.extent_pages);
            let need = joined.map_or(pages.div_ceil(self.extent_pages), |(_, count)| count);
            if self.count < need as usize + floor {
                return None;
            }
            let first = match joined {
                Some((first, _)) => self.free.remove(first, need).then_some(first)?,
                None => self.free.take(need)?,
            };
            self.count -= need as usize;
            self.holes.insert(first * self.extent_pages, need * self.extent_pages);
            self.holes.take(pages)?;
        }
        Some(())
    }
}

impl Table {
    fn contents(&self, extent_pages: u32) -> Vec<Content> {
        // Pages of each extent that are known to be free or in a value, of values that touch it,
        // and live in it.
        let mut known = vec![(0, 0, 0); self.extents.len()];
        let mut fixed = vec![false; self.extents.len()];
        let mut add = |start: u64, pages: u64, run: Option<&LargeRun>| {
            for extent in extents_of(start, pages, extent_pages) {
                let (from, end) = pages_of(extent, extent_pages);
                let within = end.min(start + pages) - from.max(start);
                let at = extent.0 as usize;
                known[at].0 += within;
                if let Some(run) = run {
                    known[at].1 += if run.live { pages } else { 0 };
                    known[at].2 += if run.live { within } else { 0 };
                    fixed[at] |= run.held;
                }
            }
        };
        self.large.iter().for_each(|(&start, run)| add(start, run.pages, Some(run)));
        self.runs.all().for_each(|(start, pages)| add(start, pages, None));
        let content = |(number, extent): (ExtentNo, &super::table::Extent)| {
            let at = number.0 as usize;
            // Where pages are missing, a value is on its way.
            let is_movable = extent.collected == Collected::No
                && !fixed[at]
                && known[at].0 == u64::from(extent_pages);
            match extent.state.role {
                Role::Free if extent.is_free() => Content::Free,
                Role::Large if is_movable => {
                    Content::Large { pages: known[at].1, within: known[at].2 }
                }
                _ => Content::Fixed,
            }
        };
        numbered(&self.extents).map(content).collect()
    }

    /// Live values with pages in `extent`.
    fn values_in(&self, extent: ExtentNo, extent_pages: u32) -> Vec<(PageNo, LargeRun)> {
        let (start, end) = pages_of(extent, extent_pages);
        let first = self.large.range(..=start).next_back().map_or(start, |(&first, _)| first);
        let touching =
            self.large.range(first..end).filter(|(first, run)| **first + run.pages > start);
        touching.filter(|(_, run)| run.live).map(|(&page, &run)| (PageNo(page), run)).collect()
    }

    /// Withholds an extent, or lets it be used again.
    fn move_free(&mut self, extent: ExtentNo, extent_pages: u32, withheld: bool) {
        let (start, end) = pages_of(extent, extent_pages);
        let free = self.runs_of(extent).within(start, end - start);
        for &(from, len) in &free {
            self.runs_of(extent).remove(from, len);
        }
        self.extents[extent.0 as usize].withheld = withheld;
        for (from, len) in free {
            self.runs_of(extent).insert(from, len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::extent_state::ExtentState;
    use crate::format::ids::Incarnation;

    const EXTENT_PAGES: u32 = 10;

    /// A table of `roles`; large extents have these values, and holes elsewhere.
    fn table(roles: &[Role], values: &[(u64, u64)]) -> Table {
        let mut table = Table::new(roles.len() as u64 * u64::from(EXTENT_PAGES), EXTENT_PAGES);
        for (number, &role) in roles.iter().enumerate() {
            table.extents[number].state = ExtentState { role, incarnation: Incarnation::default() };
            if role == Role::Large {
                let (start, end) = pages_of(ExtentNo(number as u32), EXTENT_PAGES);
                table.runs.insert(start, end - start);
            }
        }
        for &(start, pages) in values {
            assert!(table.runs.remove(start, pages));
            let incarnation = Incarnation::default();
            table.large.insert(start, LargeRun { pages, incarnation, live: true, held: false });
        }
        table
    }

    use Role::{Free, Large, Log, Super};

    #[test]
    fn what_emptying_takes_counts_values_that_reach_into_an_extent() {
        let mut table = table(&[Super, Large, Large, Free, Log], &[(10, 3), (17, 5)]);
        let contents = table.contents(EXTENT_PAGES);
        let large = |pages, within| Content::Large { pages, within };
        let expected = [Content::Fixed, large(8, 6), large(5, 2), Content::Free, Content::Fixed];
        assert_eq!(contents, expected);
        let starts = |number| {
            let values = table.values_in(ExtentNo(number), EXTENT_PAGES);
            values.into_iter().map(|(page, _)| page.0).collect::<Vec<_>>()
        };
        assert_eq!((starts(1), starts(2)), (vec![10, 17], vec![17]));
        // A value is on its way; a view holds one; one cannot be read.
        table.runs.take(5);
        assert_eq!(table.contents(EXTENT_PAGES)[2], Content::Fixed);
        table.large.get_mut(&10).unwrap().held = true;
        assert_eq!(table.contents(EXTENT_PAGES)[1], Content::Fixed);
    }

    #[test]
    fn nothing_goes_to_what_is_withheld() {
        let mut table = table(&[Super, Large, Large, Free], &[(14, 2)]);
        table.move_free(ExtentNo(1), EXTENT_PAGES, true);
        table.move_free(ExtentNo(3), EXTENT_PAGES, true);
        assert_eq!((table.runs.longest(), table.free()), (10, 0));
        assert_eq!(table.withheld.all().collect::<Vec<_>>(), [(10, 4), (16, 4)]);
        // What dies in it is withheld as well.
        table.add_free(14, 2, EXTENT_PAGES);
        assert_eq!(table.take_run(11, EXTENT_PAGES, 0), None);
        table.move_free(ExtentNo(1), EXTENT_PAGES, false);
        assert_eq!(table.take_run(11, EXTENT_PAGES, 0), Some(10));
        table.move_free(ExtentNo(3), EXTENT_PAGES, false);
        assert_eq!(table.free(), 1);
    }

    #[test]
    fn trying_out_takes_what_the_table_would() {
        let mut table = table(&[Super, Large, Free, Free, Large, Free], &[(10, 4), (41, 9)]);
        let mut free = FreeRuns::default();
        [2, 3, 5].iter().for_each(|&number| free.insert(number, 1));
        let mut layout = Layout { extent_pages: 10, holes: table.runs.clone(), free, count: 3 };
        for (pages, floor) in [(1, 0), (5, 0), (2, 2), (1, 2), (15, 1), (2, 1), (1, 1), (9, 0)] {
            let taken = table.take_run(pages, EXTENT_PAGES, floor).is_some();
            assert_eq!(layout.take(pages, floor).is_some(), taken, "{pages}");
            assert_eq!(
                (layout.count, layout.holes.longest()),
                (table.free(), table.runs.longest())
            );
        }
    }
}
