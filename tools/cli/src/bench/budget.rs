//! How much may be written: a store that is full measures nothing.

use super::phase::Phase;
use super::setup::Plan;
use extentdb::{Info, Metrics};

const PAGE: u64 = 4096;
/// Bytes of a page that records may take.
const PAYLOAD: u64 = 4032;
/// Bytes of a record beside its value.
const HEAD: u64 = 64;

/// Space that is left for the slices of writing to come. A slice is one round of one phase.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes that the store may use once the phases of each value size are over.
    limits: Vec<Share>,
}

/// The space and the slices of one value size.
#[derive(Debug)]
struct Share {
    value_bytes: u64,
    limit: u64,
    slices: u64,
}

impl Budget {
    /// Seven eighths of the volume, three eighths of that for the smaller of two value sizes:
    /// lone small records take a page each, but there is time for few of those.
    pub(super) fn new(plan: &Plan, phases: &[Phase], info: &Info) -> Self {
        let usable = plan.volume_bytes.min(info.max_bytes) / 8 * 7;
        let mut limits: Vec<Share> = Vec::new();
        for phase in phases.iter().filter(|phase| phase.kind.writes()) {
            let value_bytes = phase.value_bytes;
            if limits.last().is_none_or(|share| share.value_bytes != value_bytes) {
                limits.push(Share { value_bytes, limit: usable / 8 * 3, slices: 0 });
            }
            if let Some(share) = limits.last_mut() {
                share.slices += u64::from(plan.rounds);
            }
        }
        if let Some(last) = limits.last_mut() {
            last.limit = usable;
        }
        Self { limits }
    }

    /// Seven eighths of the volume, the same for each of `value_sizes`, which are written in this
    /// order in so many `slices` each.
    pub(super) fn even(plan: &Plan, value_sizes: &[u64], slices: u64, info: &Info) -> Self {
        let usable = plan.volume_bytes.min(info.max_bytes) / 8 * 7;
        let each = usable / value_sizes.len().max(1) as u64;
        let share = |(n, &value_bytes): (usize, &u64)| Share {
            value_bytes,
            limit: each * (n as u64 + 1),
            slices,
        };
        Self { limits: value_sizes.iter().enumerate().map(share).collect() }
    }

    /// Operations that the next slice of writing such values by `threads` threads may do.
    pub(super) fn take(&mut self, value_bytes: u64, threads: usize, metrics: &Metrics) -> u64 {
        let used = metrics.log_bytes + metrics.large_bytes;
        let share = self.limits.iter_mut().find(|share| share.value_bytes == value_bytes);
        share.map_or(0, |share| {
            let bytes = share.limit.saturating_sub(used) / share.slices.max(1);
            share.slices = share.slices.saturating_sub(1);
            bytes / cost(value_bytes, threads)
        })
    }
}

/// Space that a put takes at most, so that slices end by their time where they can: the pages of
/// a record, alone in its batch if there is one writer, else with half a record of padding; and
/// for large values a quarter more, for the ends of extents that none fits.
fn cost(value_bytes: u64, threads: usize) -> u64 {
    let pages = (value_bytes + PAGE).div_ceil(PAGE) * PAGE;
    let lone = (value_bytes + HEAD).div_ceil(PAYLOAD) * PAGE;
    match threads {
        _ if pages > 2 * PAGE => pages * 5 / 4,
        1 => lone,
        _ => (value_bytes * 3 / 2 + HEAD).min(lone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_cost_the_pages_that_they_take() {
        assert_eq!((cost(1 << 10, 1), cost(1 << 10, 16)), (PAGE, 1600));
        assert_eq!((cost(128, 1), cost(128, 16)), (PAGE, 256));
        assert_eq!((cost(4 << 10, 1), cost(1 << 20, 1)), (2 * PAGE, 257 * PAGE * 5 / 4));
    }
}
