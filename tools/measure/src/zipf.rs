//! Numbers of which few are common and most are rare, as with the keys of many services.

use crate::random::Random;

/// Zipfian ranks: rank r is drawn in proportion to 1 / (r + 1)^theta (Gray et al., Quickly
/// generating billion-record synthetic databases, 1994).
#[derive(Debug)]
pub struct Zipf {
    ranks: f64,
    theta: f64,
    /// Sum of all 1 / (r + 1)^theta.
    zeta: f64,
    /// That of the first two.
    zeta_of_two: f64,
    eta: f64,
}

impl Zipf {
    /// Draws ranks below `ranks`. `theta` is above 0 and below 1.
    ///
    /// # Panics
    ///
    /// Where there are no ranks, or `theta` is another.
    pub fn new(ranks: u64, theta: f64) -> Self {
        assert!(ranks > 0 && theta > 0.0 && theta < 1.0);
        let sum = |ranks: u64| (1..=ranks).map(|rank| (rank as f64).powf(-theta)).sum::<f64>();
        let (zeta, zeta_of_two) = (sum(ranks), sum(2));
        let ranks = ranks as f64;
        let eta = (1.0 - (2.0 / ranks).powf(1.0 - theta)) / (1.0 - zeta_of_two / zeta);
        Self { ranks, theta, zeta, zeta_of_two, eta }
    }

    /// The next rank.
    pub fn next(&self, random: &mut Random) -> u64 {
        let drawn = random.share();
        let sum = drawn * self.zeta;
        if sum < 1.0 {
            return 0;
        }
        if sum < self.zeta_of_two {
            return 1;
        }
        let power = 1.0 / (1.0 - self.theta);
        let rank = self.ranks * (self.eta * (drawn - 1.0) + 1.0).powf(power);
        rank.min(self.ranks - 1.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 1_000_000;

    fn counts(ranks: u64, theta: f64) -> Vec<f64> {
        let (zipf, mut random) = (Zipf::new(ranks, theta), Random::new(5));
        let mut counts = vec![0.0; ranks as usize];
        (0..DRAWS).for_each(|_| counts[zipf.next(&mut random) as usize] += 1.0);
        counts
    }

    #[test]
    fn ranks_are_drawn_in_proportion() {
        let counts = counts(1000, 0.99);
        let zeta: f64 = (1..=1000).map(|rank| f64::from(rank).powf(-0.99)).sum();
        // The first two are exact, the others of a smooth curve.
        for (rank, slack) in [(0, 0.01), (1, 0.02), (9, 0.15), (99, 0.15)] {
            let expected = DRAWS as f64 * f64::from(rank + 1).powf(-0.99) / zeta;
            let found = counts[rank as usize];
            assert!((found / expected - 1.0).abs() < slack, "{rank}: {found} of {expected}");
        }
    }

    #[test]
    fn every_rank_may_come_and_none_beyond() {
        for ranks in [1, 2, 3, 50] {
            assert!(counts(ranks, 0.99).iter().all(|count| *count > 0.0), "{ranks}");
        }
    }
}
