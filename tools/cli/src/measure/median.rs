//! Medians of rounds.

use super::sample::Summary;

/// The median of `figures`; the mean of the two in the middle where there are two; 0 of none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    match (figures.len(), figures.len() / 2) {
        (0, _) => 0.0,
        (len, middle) if len % 2 == 1 => figures[middle],
        (_, middle) => f64::midpoint(figures[middle - 1], figures[middle]),
    }
}

/// Latencies in seconds: medians over rounds of what each round shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quantiles {
    p50: f64,
    p99: f64,
    p999: f64,
}

impl Quantiles {
    /// The medians of `rounds`.
    pub(crate) fn of(rounds: &[Summary]) -> Self {
        let seconds = |ns: fn(&Summary) -> u64| median(rounds.iter().map(|s| ns(s) as f64 / 1e9));
        Self {
            p50: seconds(|s| s.p50_ns),
            p99: seconds(|s| s.p99_ns),
            p999: seconds(|s| s.p999_ns),
        }
    }

    /// Each with its name.
    pub(crate) fn named(self) -> [(&'static str, f64); 3] {
        [("p50", self.p50), ("p99", self.p99), ("p99.9", self.p999)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }
}
