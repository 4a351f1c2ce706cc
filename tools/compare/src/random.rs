//! Random numbers, and those of which few are common and most are rare.

/// A xorshift64* generator: fast, and random enough for contents and orders.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator of its own for each `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed) | 1)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from 0 to `limit - 1`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// A number from 0 up to, but not, 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Sends numbers to numbers, one to one, without visible order.
pub(crate) fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Zipfian ranks: rank r is drawn in proportion to 1 / (r + 1)^0.99, as YCSB does (Gray et al.,
/// Quickly generating billion-record synthetic databases, 1994).
#[derive(Debug)]
pub(crate) struct Zipf {
    ranks: f64,
    /// Sum of all 1 / (r + 1)^theta.
    zeta: f64,
    eta: f64,
}

const THETA: f64 = 0.99;

impl Zipf {
    /// Draws ranks below `ranks`.
    pub(crate) fn new(ranks: u64) -> Self {
        let sum = |ranks: u64| (1..=ranks).map(|rank| (rank as f64).powf(-THETA)).sum::<f64>();
        let zeta = sum(ranks);
        let ranks = ranks as f64;
        let eta = (1.0 - (2.0 / ranks).powf(1.0 - THETA)) / (1.0 - sum(2) / zeta);
        Self { ranks, zeta, eta }
    }

    /// The next rank.
    pub(crate) fn next(&self, random: &mut Random) -> u64 {
        let drawn = random.share();
        let sum = drawn * self.zeta;
        if sum < 1.0 {
            return 0;
        }
        if sum < 1.0 + 0.5_f64.powf(THETA) {
            return 1;
        }
        let rank = self.ranks * (self.eta * (drawn - 1.0) + 1.0).powf(1.0 / (1.0 - THETA));
        rank.min(self.ranks - 1.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_drawn_in_proportion() {
        let (zipf, mut random) = (Zipf::new(1000), Random::new(5));
        let mut counts = [0.0; 1000];
        (0..1_000_000).for_each(|_| counts[zipf.next(&mut random) as usize] += 1.0);
        let zeta: f64 = (1..=1000).map(|rank| f64::from(rank).powf(-THETA)).sum();
        for (rank, slack) in [(0, 0.01), (1, 0.02), (9, 0.15), (99, 0.15)] {
            let expected = 1e6 * f64::from(rank + 1).powf(-THETA) / zeta;
            let found: f64 = counts[rank as usize];
            assert!((found / expected - 1.0).abs() < slack, "{rank}: {found} of {expected}");
        }
    }

    #[test]
    fn numbers_stay_below_the_limit_and_reach_all_of_it() {
        let mut random = Random::new(0);
        let mut met = [false; 10];
        (0..1000).for_each(|_| met[random.below(10) as usize] = true);
        assert_eq!(met, [true; 10]);
    }
}
