//! Which extents are collected.

use super::core::Core;
use crate::extent::{Candidate, bytes_of};
use crate::format::ids::{ExtentNo, Incarnation};

/// The part of an extent, and the pages, that must be garbage for it to be worth collecting.
const LEAST_GAIN: u64 = 16;
const LEAST_GAIN_PAGES: u64 = 2;
/// The most extents that are collected together.
const MOST_VICTIMS: usize = 16;

/// What is to be collected.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) victims: Vec<Candidate>,
    /// Bytes that must be moved for each that is gained, where that is least.
    pub(super) price: f64,
}

/// The extents of lives up to `since` that are best collected now, together, so that one write to
/// the log is for all of them. The log still needs those that are `unfinished`.
///
/// What a byte of space costs is what must be moved for it, live bytes for garbage; it falls while
/// one waits, as more dies. The best are those where it falls least (declining cost, Lomet and
/// Luo, 2021): where all dies alike, the emptiest; otherwise cold ones sooner than hot ones.
pub(super) fn choose(core: &Core, since: Incarnation, unfinished: &[ExtentNo]) -> Choice {
    let whole = core.extent_bytes();
    let decline = |candidate: &Candidate| {
        let garbage = (whole - candidate.live) as f64;
        candidate.heat * candidate.live as f64 / (garbage * garbage)
    };
    let gain = least_gain(core);
    let mut candidates = core.space.candidates(|extent| unfinished.contains(&extent));
    candidates
        .retain(|candidate| candidate.live + gain <= whole && candidate.state.incarnation <= since);
    candidates.sort_by(|a, b| decline(a).total_cmp(&decline(b)));
    let dearest = (whole - gain) as f64 / gain as f64;
    let price = |candidate: &Candidate| candidate.live as f64 / (whole - candidate.live) as f64;
    let price = candidates.iter().map(price).fold(dearest, f64::min);
    candidates.truncate(together(&candidates, whole).max(1));
    Choice { victims: candidates, price }
}

/// Garbage in an extent that makes it worth collecting.
pub(super) fn least_gain(core: &Core) -> u64 {
    (core.extent_bytes() / LEAST_GAIN).max(bytes_of(LEAST_GAIN_PAGES))
}

/// How many of the first leave no more than half an extent to move.
fn together(candidates: &[Candidate], whole: u64) -> usize {
    let mut live = 0;
    let fits = |candidate: &&Candidate| {
        live += candidate.live;
        live <= whole / 2
    };
    candidates.iter().take(MOST_VICTIMS).take_while(fits).count()
}
