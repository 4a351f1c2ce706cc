//! Which keys are overwritten.

use crate::measure::random::Random;
use extentdb_measure::zipf::Zipf;

/// How skewed the skewed choice is.
const THETA: f64 = 0.99;

/// Chooses among the keys of the numbers below some limit.
#[derive(Debug)]
pub(super) enum Choice {
    /// Any of so many alike.
    Uniform(u64),
    /// Few of them often. The order says which: the common ones are not those that were put
    /// together.
    Zipf { ranks: Zipf, order: Vec<u32> },
}

impl Choice {
    /// Zipfian choices among `keys`.
    pub(super) fn zipf(keys: u64) -> Self {
        Self::Zipf { ranks: Zipf::new(keys, THETA), order: Random::new(4).order(keys) }
    }

    /// The number of the next key.
    pub(super) fn next(&self, random: &mut Random) -> u64 {
        match self {
            Self::Uniform(keys) => random.below(*keys),
            Self::Zipf { ranks, order } => order[ranks.next(random) as usize].into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn times_chosen(choice: &Choice) -> BTreeMap<u64, u64> {
        let (mut times, mut random) = (BTreeMap::new(), Random::new(9));
        (0..100_000).for_each(|_| *times.entry(choice.next(&mut random)).or_default() += 1);
        times
    }

    #[test]
    fn a_uniform_choice_has_no_favourites() {
        let times = times_chosen(&Choice::Uniform(100));
        assert!(times.len() == 100 && times.values().all(|times| (800..1200).contains(times)));
    }

    #[test]
    fn a_zipfian_choice_has_some_and_they_lie_apart() {
        let times = times_chosen(&Choice::zipf(100));
        assert_eq!(times.len(), 100);
        let mut favourites: Vec<_> =
            times.into_iter().filter(|(_, times)| *times > 4_500).collect();
        favourites.sort_unstable();
        assert_eq!(favourites.len(), 4, "{favourites:?}");
        assert!(favourites.windows(2).all(|pair| pair[1].0 - pair[0].0 > 1), "{favourites:?}");
    }
}
