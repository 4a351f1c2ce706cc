//! How fast what an extent holds dies, beside all the rest.

/// What is remembered is about the last of so many parts of the live bytes that died.
const MEMORY: f64 = 64.0;
/// The least heat: an extent in which nothing died lately may still come to do so.
const COLDEST: f64 = 1.0 / 16.0;

/// Bytes of an extent that died lately. Each counts for less the more have died since anywhere, so
/// that the clock runs as fast as the store is written to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heat {
    bytes: f64,
    /// When that was so much: bytes that had died in all extents.
    at: u64,
}

impl Heat {
    pub(super) const NONE: Self = Self { bytes: 0.0, at: 0 };

    /// So many `bytes` more died when `now` had died in all, of which `live` bytes are left.
    pub(super) fn add(&mut self, bytes: u64, now: u64, live: u64) {
        *self = Self { bytes: self.faded(now, live) + bytes as f64, at: now };
    }

    /// How much faster than the mean byte those in an extent die of which `own` are live.
    pub(super) fn relative(&self, now: u64, live: u64, own: u64) -> f64 {
        // A rate that lasts keeps as much in memory as dies in the time that is remembered.
        let mean = own as f64 / MEMORY;
        (self.faded(now, live) / mean.max(1.0)).max(COLDEST)
    }

    fn faded(&self, now: u64, live: u64) -> f64 {
        let span = (live as f64 / MEMORY).max(1.0);
        self.bytes * (-((now - self.at) as f64) / span).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: u64 = 1 << 30;

    /// The heat of an extent of 1 MiB in which `share` times as much dies as in the mean one.
    fn lasting(share: u64) -> (Heat, u64) {
        let (mut heat, mut now) = (Heat::NONE, 0);
        for _ in 0..1024 {
            now += 1 << 20;
            heat.add(share << 10, now, LIVE);
        }
        (heat, now)
    }

    #[test]
    fn what_dies_at_the_mean_rate_is_as_warm_as_the_rest() {
        let (heat, now) = lasting(1);
        assert!((heat.relative(now, LIVE, 1 << 20) - 1.0).abs() < 0.05);
        let (heat, now) = lasting(8);
        assert!((heat.relative(now, LIVE, 1 << 20) - 8.0).abs() < 0.4);
    }

    #[test]
    fn what_dies_no_more_cools_but_never_to_nothing() {
        let (heat, now) = lasting(8);
        let later = heat.relative(now + LIVE / 32, LIVE, 1 << 20);
        assert!((0.9..1.3).contains(&later), "{later}");
        assert!(heat.relative(now + 100 * LIVE, LIVE, 1 << 20) >= COLDEST);
    }
}
