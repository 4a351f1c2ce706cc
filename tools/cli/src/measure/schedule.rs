//! When puts arrive: at random, at a given rate, whether or not the store keeps up.

use super::random::Random;
use std::fs;
use std::time::Duration;

/// Arrivals of a Poisson process, counted from its beginning. Never ends.
#[derive(Debug)]
pub(crate) struct Schedule {
    random: Random,
    mean_s: f64,
    last_s: f64,
}

impl Schedule {
    /// Arrivals at `rate` per second.
    pub(crate) fn new(rate: f64, seed: u64) -> Self {
        assert!(rate > 0.0, "something arrives");
        Self { random: Random::new(seed), mean_s: 1.0 / rate, last_s: 0.0 }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // Above 0, at most 1.
        let share = 1.0 - self.random.share();
        self.last_s -= share.ln() * self.mean_s;
        Some(Duration::from_secs_f64(self.last_s))
    }
}

/// Has the threads that begin from now on wake when they want to, rather than 50 us later.
pub(crate) fn sharpen_timers() {
    // Without it latencies are that much longer, in all slices alike.
    let _ = fs::write("/proc/self/timerslack_ns", "1");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_have_the_rate_and_come_in_order() {
        let arrivals: Vec<_> = Schedule::new(1000.0, 1).take(100_000).collect();
        assert!(arrivals.is_sorted());
        let last = arrivals.last().unwrap().as_secs_f64();
        assert!((98.0..102.0).contains(&last), "{last}");
    }

    #[test]
    fn arrivals_are_as_irregular_as_those_of_a_poisson_process() {
        let arrivals: Vec<_> = Schedule::new(1.0, 2).take(100_000).collect();
        let gaps = arrivals.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64());
        let longer = gaps.filter(|gap| *gap > 1.0).count() as f64 / 1e5;
        // e^-1
        assert!((0.36..0.376).contains(&longer), "{longer}");
    }
}
