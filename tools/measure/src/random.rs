//! Random numbers, and bytes that do not compress.

/// A xorshift64* generator: fast, and random enough for contents and orders.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator of its own for each `seed`.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed) | 1)
    }

    /// The next number.
    #[allow(clippy::should_implement_trait, reason = "it never ends, and is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from 0 to `limit - 1`.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// A number from 0 up to, but not, 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }

    /// The numbers below `len` in random order.
    pub fn order(&mut self, len: u64) -> Vec<u32> {
        let mut order: Vec<u32> = (0..len.min(u64::from(u32::MAX)) as u32).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, self.below(last as u64 + 1) as usize);
        }
        order
    }
}

/// Sends numbers to numbers, one to one, without visible order.
pub fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A pool of random bytes, of which every value is a part.
#[derive(Debug)]
pub struct Bytes(Vec<u8>);

impl Bytes {
    /// Bytes beyond the longest value: the values start at as many different places.
    const SPARE: usize = 4 << 20;

    /// A pool for values up to `longest` bytes.
    pub fn new(longest: usize) -> Self {
        let mut bytes = vec![0; longest + Self::SPARE];
        Random::new(1).fill(&mut bytes);
        Self(bytes)
    }

    /// `len` bytes from a random place.
    pub fn pick(&self, random: &mut Random, len: usize) -> &[u8] {
        let start = random.below(Self::SPARE as u64) as usize;
        &self.0[start..start + len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_every_number_once() {
        let order = Random::new(7).order(10_000);
        assert!(!order.is_sorted());
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..10_000));
    }

    #[test]
    fn numbers_stay_below_the_limit_and_reach_all_of_it() {
        let mut random = Random::new(0);
        let mut met = [false; 10];
        (0..1000).for_each(|_| met[random.below(10) as usize] = true);
        assert_eq!(met, [true; 10]);
    }

    #[test]
    fn shares_are_of_one() {
        let mut random = Random::new(2);
        let shares: Vec<_> = (0..10_000).map(|_| random.share()).collect();
        assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
        let mean = shares.iter().sum::<f64>() / 1e4;
        assert!((0.49..0.51).contains(&mean), "{mean}");
    }

    #[test]
    fn values_differ() {
        let (bytes, mut random) = (Bytes::new(4096), Random::new(3));
        let first = bytes.pick(&mut random, 4096).to_vec();
        assert_eq!(first.len(), 4096);
        assert_ne!(first, bytes.pick(&mut random, 4096));
        assert_ne!(first[..8], first[8..16]);
    }
}
