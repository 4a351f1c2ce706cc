//! A small random generator: the same numbers for the same seed, everywhere.

use std::ops::Range;

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number under `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The seeds of a run: `usual` of them, unless the environment asks for one (`EXTENTDB_SEED=n`), for
/// another number (`EXTENTDB_SEEDS=n`), or for those of a range (`EXTENTDB_SEEDS=a..b`).
pub(crate) fn seeds(usual: u64) -> Range<u64> {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    if let Ok(seed) = std::env::var("EXTENTDB_SEED").map(|text| number(&text)) {
        return seed..seed + 1;
    }
    let Ok(asked) = std::env::var("EXTENTDB_SEEDS") else { return 0..usual };
    asked.split_once("..").map_or_else(|| 0..number(&asked), |(a, b)| number(a)..number(b))
}
