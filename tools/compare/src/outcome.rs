//! What a piece of work took.

use serde::{Deserialize, Serialize};

/// What it took. Times are in seconds, sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Items for each second.
    pub(crate) rate: f64,
    pub(crate) seconds: f64,
    pub(crate) calls: u64,
    /// Latency of a call.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    /// User and system time for each item, in microseconds.
    pub(crate) cpu_us: f64,
    /// The most memory that the process had, mapped files included.
    pub(crate) resident: f64,
    /// Its memory at the end, without mapped files.
    pub(crate) anonymous: f64,
    /// Keys and values that were put, where puts are all that was done.
    pub(crate) put_bytes: f64,
    /// Written until the store was closed: as accounted to this process, and by the whole disk.
    pub(crate) process_written: f64,
    pub(crate) device_written: f64,
    /// What the store took of the disk: once closed, and at the most.
    pub(crate) stored: f64,
    pub(crate) most_stored: f64,
}

impl Outcome {
    /// The median of each figure of `rounds`; `None` of none.
    pub(crate) fn median(rounds: &[Self]) -> Option<Self> {
        let first = rounds.first()?;
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure)).unwrap_or(0.0);
        Some(Self {
            rate: of(|o| o.rate),
            seconds: of(|o| o.seconds),
            calls: first.calls,
            p50: of(|o| o.p50),
            p99: of(|o| o.p99),
            p999: of(|o| o.p999),
            max: of(|o| o.max),
            cpu_us: of(|o| o.cpu_us),
            resident: of(|o| o.resident),
            anonymous: of(|o| o.anonymous),
            put_bytes: of(|o| o.put_bytes),
            process_written: of(|o| o.process_written),
            device_written: of(|o| o.device_written),
            stored: of(|o| o.stored),
            most_stored: of(|o| o.most_stored),
        })
    }

    /// Bytes written for each that was put, as accounted to the process and by the disk.
    pub(crate) fn write_amplification(&self) -> Option<(f64, f64)> {
        let put = (self.put_bytes > 0.0).then_some(self.put_bytes)?;
        Some((self.process_written / put, self.device_written / put))
    }
}

/// The number in the middle, or between the two there; `None` of none.
pub(crate) fn median(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<_> = numbers.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let high = *sorted.get(sorted.len() / 2)?;
    let low = sorted[(sorted.len() - 1) / 2];
    Some(low.midpoint(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }
}
