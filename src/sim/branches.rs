//! Crash images, told apart only where somebody looks.
//!
//! The images of a moment are a product: each pending page is one of a few candidates, whatever the
//! others are. What an open shows, and all the reading after it, follows from the pages that they read.
//! So what one image shows, all show that have the same candidates for the pages that were read: it
//! stands for them. The others part from it at the first page that was read and that they have another
//! candidate for, which makes each of them part of one branch, and all branches all of the product. In
//! which order pages are read does not matter.

use super::device::{Page, SimDevice};
use super::image::{for_every_image, torn};
use super::random::Random;
use super::trace::{Moment, Pages};
use crate::format::ids::PAGE_BYTES;
use crate::sync::Arc;
use std::collections::{BTreeMap, BTreeSet};

/// How often sectors are chosen until a torn page is neither the old one nor the new.
const TRIES: usize = 64;

/// Branches of a moment with many pending pages, if they do not stand for all images before.
const MOST_BRANCHES: usize = 500;

/// What a page may be.
#[derive(Debug, Clone)]
pub(crate) enum Candidate {
    Whole(Page),
    /// This, over that.
    Torn(Box<Candidate>, Page),
}

impl Candidate {
    /// Of a torn page, one of the many that there are: another each time. `format::torn_test` shows that
    /// none is taken for a page, so which it is makes a difference only within values.
    fn draw(&self, at: u64, random: &mut Random) -> Page {
        match self {
            Self::Whole(page) => Arc::clone(page),
            Self::Torn(old, new) => {
                let old = old.draw(at, random);
                let may_be_garbage = at > 0 || old[..] != [0; PAGE_BYTES];
                let mut all = (0..TRIES).map(|_| torn(&old, new, may_be_garbage, random));
                // Where all that is new is in one sector, the others make no difference.
                let torn = all.find(|page| *page != old && page != new);
                torn.unwrap_or(old)
            }
        }
    }

    fn is(&self, page: &Page) -> bool {
        matches!(self, Self::Whole(own) if own == page)
    }
}

/// What the pages may be of which that is not settled. The first candidate is what is there without the
/// writes that are pending.
pub(crate) type Candidates = BTreeMap<u64, Vec<Candidate>>;

/// The images of a moment that have one length.
#[derive(Debug)]
struct Images {
    /// With the first candidate of each page.
    pages: Pages,
    candidates: Candidates,
}

/// Images that agree where somebody looks, as one of them.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) device: SimDevice,
    /// For which candidates of their pages all of them are: their numbers.
    pub(crate) chosen: BTreeMap<u64, usize>,
    /// Of the other pages.
    candidates: Candidates,
}

/// What branches stood for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Covered {
    pub(crate) images: u64,
    pub(crate) opened: u64,
    /// Whether that is all images of the moment, each once.
    pub(crate) is_all: bool,
}

/// Visits all images of `moment`: in branches, each of which `visit` reads from its device, or from one
/// that has the same there. Of more than so many pending pages that may take too many: then it is a part
/// of them, and a sample. `unsettled` has the candidates of pages that were not settled before the
/// moment's history began.
pub(crate) fn for_each_branch(
    moment: &Moment,
    unsettled: &Candidates,
    most_pending: usize,
    random: &mut Random,
    visit: &mut dyn FnMut(&Branch),
) -> Covered {
    let mut covered = Covered { images: 0, opened: 0, is_all: true };
    let is_small = moment.pending.len() <= most_pending;
    for images in Images::all_of(moment, unsettled) {
        let most = if is_small { usize::MAX } else { MOST_BRANCHES };
        images.for_each_branch(most, random, visit, &mut covered);
    }
    if !covered.is_all {
        for images in Images::sample_of(moment, unsettled, random) {
            images.for_each_branch(1, random, visit, &mut covered);
        }
    }
    covered
}

impl Images {
    fn sample_of(moment: &Moment, unsettled: &Candidates, random: &mut Random) -> Vec<Self> {
        let mut moment = moment.clone();
        for (&at, candidates) in unsettled.iter().filter(|(at, _)| !moment.settled.contains(at)) {
            let number = random.below(candidates.len() as u64) as usize;
            moment.durable.set(at, candidates[number].draw(at, random));
        }
        let mut sample = Vec::new();
        for_every_image(&moment, 0, random, &mut |pages| {
            sample.push(Self { pages, candidates: Candidates::new() });
        });
        sample
    }

    fn all_of(moment: &Moment, unsettled: &Candidates) -> Vec<Self> {
        let mut pages = moment.durable.clone();
        pages.grow(moment.lengths.iter().max().copied().unwrap_or(0));
        let is_open = |(at, _): &(&u64, &Vec<Candidate>)| !moment.settled.contains(at);
        let mut candidates: Candidates =
            unsettled.iter().filter(is_open).map(|(at, all)| (*at, all.clone())).collect();
        // What was cut off and is there again may hold what it held, or zeros.
        let zeros: Page = Arc::new([0; PAGE_BYTES]);
        for (at, page) in pages.there_again().filter(|(_, page)| *page != zeros) {
            let all = [page, Arc::clone(&zeros)].map(Candidate::Whole);
            candidates.entry(at).or_insert_with(|| all.to_vec());
        }
        for (&at, versions) in &moment.pending {
            let old = pages.get(at).unwrap_or_else(|| Arc::new([0; PAGE_BYTES]));
            let all = candidates.entry(at).or_insert_with(|| vec![Candidate::Whole(old)]);
            let newest = &versions[versions.len() - 1];
            let torn = |old: &Candidate| Candidate::Torn(Box::new(old.clone()), Arc::clone(newest));
            let torn: Vec<_> = all.iter().map(torn).collect();
            for version in versions {
                if !all.iter().any(|candidate| candidate.is(version)) {
                    all.push(Candidate::Whole(Arc::clone(version)));
                }
            }
            all.extend(torn);
        }
        // The length is metadata of its own: it may lag behind the data (F3c).
        let lengths: BTreeSet<u64> = moment.lengths.iter().copied().collect();
        let of_length = |len: u64| {
            let mut pages = pages.clone();
            pages.truncate(len);
            let mut candidates = candidates.clone();
            candidates.split_off(&len);
            Self { pages, candidates }
        };
        lengths.into_iter().map(of_length).collect()
    }

    /// How many there are.
    fn count(&self) -> u64 {
        product(&self.candidates)
    }

    /// Visits branches until they stand for every image, or are `most`.
    fn for_each_branch(
        &self,
        most: usize,
        random: &mut Random,
        visit: &mut dyn FnMut(&Branch),
        covered: &mut Covered,
    ) {
        type Chosen = BTreeMap<u64, (usize, Page)>;
        let (mut images, mut opened) = (0_u64, 0);
        let mut ahead = vec![Chosen::new()];
        while let Some(mut chosen) = ahead.pop() {
            let mut pages = self.pages.clone();
            let mut candidates = self.candidates.clone();
            for (&at, (_, page)) in &chosen {
                pages.set(at, Arc::clone(page));
                candidates.remove(&at);
            }
            let device = SimDevice::new(pages);
            device.watch(candidates.keys().copied().collect());
            let numbers = chosen.iter().map(|(&at, &(number, _))| (at, number)).collect();
            let branch = Branch { device, chosen: numbers, candidates };
            visit(&branch);
            for at in branch.device.looked_at() {
                let candidates = &self.candidates[&at];
                for (number, candidate) in candidates.iter().enumerate().skip(1) {
                    let mut other = chosen.clone();
                    other.insert(at, (number, candidate.draw(at, random)));
                    ahead.push(other);
                }
                chosen.insert(at, (0, candidates[0].draw(at, random)));
            }
            images = images.saturating_add(product(&branch.unsettled()));
            opened += 1;
            if opened == most {
                break;
            }
        }
        let is_all = ahead.is_empty();
        assert!(!is_all || images == self.count(), "every image is part of one branch");
        covered.images = covered.images.saturating_add(images);
        covered.opened += opened as u64;
        covered.is_all &= is_all;
    }
}

impl Branch {
    /// The candidates of pages that nobody has looked at.
    pub(crate) fn unsettled(&self) -> Candidates {
        let mut candidates = self.candidates.clone();
        for at in self.device.looked_at() {
            candidates.remove(&at);
        }
        candidates
    }

    /// What is on the device by now, in one of the images.
    pub(crate) fn pages_by_now(&self, random: &mut Random) -> Pages {
        let mut pages = self.device.pages();
        for at in self.device.unseen() {
            let candidates = &self.candidates[&at];
            let number = random.below(candidates.len() as u64) as usize;
            pages.set(at, candidates[number].draw(at, random));
        }
        pages
    }

    /// Pages that the device may have had besides those that it had, in some image.
    pub(crate) fn whole_candidates(&self) -> Vec<(u64, Page)> {
        let whole = |(at, candidates): (u64, Vec<Candidate>)| {
            candidates.into_iter().filter_map(move |candidate| match candidate {
                Candidate::Whole(page) => Some((at, page)),
                Candidate::Torn(..) => None,
            })
        };
        self.unsettled().into_iter().flat_map(whole).collect()
    }
}

fn product(candidates: &Candidates) -> u64 {
    let counts = candidates.values().map(|candidates| candidates.len() as u64);
    counts.fold(1, u64::saturating_mul)
}

#[cfg(test)]
mod tests {
    use super::super::canonical::{Workload, canonical};
    use super::super::oracle::{Promise, verify_branch};
    use super::super::tell;
    use super::super::workload::{Model, run, states};
    use super::*;

    /// Moments of no more images than this are opened image by image.
    const FEW: u64 = 250;
    /// Every so many moments.
    const STRIDE: usize = 7;

    /// What an open of a branch showed.
    fn outcome(branch: &Branch, (_, shape, ops): &Workload) -> Result<usize, String> {
        let all = Promise { least: 0, most: ops.len() };
        verify_branch(branch, *shape, &states(ops, &Model::new()), all)
    }

    /// Every image, opened by itself, shows what the one branch showed that it is part of.
    #[test]
    fn a_branch_shows_what_each_of_its_images_shows() {
        let (mut images, mut branches) = (0_u64, 0_u64);
        for workload in canonical() {
            let (name, shape, ops) = &workload;
            let device = SimDevice::new(Pages::zeros(0));
            run(&device, *shape, ops, &Model::new()).unwrap();
            let trace = device.trace();
            let mut random = Random::new(17);
            for position in (0..=trace.events.len()).step_by(STRIDE) {
                for all in Images::all_of(&trace.moment(position), &Candidates::new()) {
                    let all = all.drawn(&mut random);
                    if all.count() > FEW {
                        continue;
                    }
                    let mut shown = Vec::new();
                    let mut covered = Covered { images: 0, opened: 0, is_all: true };
                    let mut visit = |branch: &Branch| {
                        let outcome = outcome(branch, &workload);
                        let mut chosen = branch.chosen.clone();
                        chosen.extend(branch.device.looked_at().into_iter().map(|at| (at, 0)));
                        shown.push((chosen, outcome));
                    };
                    all.for_each_branch(usize::MAX, &mut random, &mut visit, &mut covered);
                    assert_eq!(covered.images, all.count());
                    branches += shown.len() as u64;
                    for number in 0..all.count() {
                        images += 1;
                        let (chosen, image) = all.one(number, &mut random);
                        let is_of =
                            |part: &BTreeMap<_, _>| part.iter().all(|(at, n)| chosen[at] == *n);
                        let of: Vec<_> = shown.iter().filter(|(part, _)| is_of(part)).collect();
                        assert_eq!(of.len(), 1, "{name}, event {position}, image {number}");
                        assert_eq!(outcome(&image, &workload), of[0].1, "{name}, event {position}");
                    }
                }
            }
        }
        assert!(branches < images, "something is not looked at");
        tell(&format!("{images} crash images show what {branches} branches show"));
    }

    impl Images {
        /// With one page each of the torn ones: of a value, it may be torn where it ends already.
        fn drawn(self, random: &mut Random) -> Self {
            let mut candidates = self.candidates;
            for (&at, all) in &mut candidates {
                for candidate in all {
                    *candidate = Candidate::Whole(candidate.draw(at, random));
                }
            }
            Self { candidates, ..self }
        }

        /// Image number so-and-so, by itself.
        fn one(&self, mut number: u64, random: &mut Random) -> (BTreeMap<u64, usize>, Branch) {
            let (mut pages, mut chosen) = (self.pages.clone(), BTreeMap::new());
            for (&at, candidates) in &self.candidates {
                let own = (number % candidates.len() as u64) as usize;
                number /= candidates.len() as u64;
                pages.set(at, candidates[own].draw(at, random));
                chosen.insert(at, own);
            }
            let device = SimDevice::new(pages);
            let branch = Branch { device, chosen: chosen.clone(), candidates: Candidates::new() };
            (chosen, branch)
        }
    }
}
