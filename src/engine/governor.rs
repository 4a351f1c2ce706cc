//! How hard garbage is collected, and how far writers are held back for it, by how much room is
//! left.
//!
//! *Slack* is the number of extents until the space contract would be broken, or puts refused.
//! From `ease` extents up nothing is done. Below, the collector works the more of the time the
//! less there is, and all of the time from half of it down. Below that, writers are slowed as well:
//! at a quarter they are admitted just as fast as the collector gains space. So a load that lasts
//! finds the slack at which both keep step, and no put waits for a whole collection.

use crate::sync::{AtomicBool, AtomicU64, Duration, Ordering};

/// Time left to others per time that collecting takes, where it is least urgent.
const IDLE_AT_EASE: f64 = 19.0;
/// The part of the extents, and the numbers, between which `ease` is.
const EASE_FRACTION: u64 = 16;
const LEAST_EASE: u64 = 2;
const MOST_EASE: u64 = 8;
/// The part of what is known of the collector's speed that one measurement replaces.
const LEARNED: f64 = 0.25;
/// Writers are slowed down to this part of the collector's speed, and not further.
const SLOWEST: f64 = 1.0 / 8.0;
/// The longest that a batch is held back.
const LONGEST_DELAY: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct Governor {
    slack: AtomicU64,
    ease: AtomicU64,
    /// Whether collecting gains anything at present.
    gains: AtomicBool,
    /// Bytes a second that it gains while it works, as the bits of a float.
    speed: AtomicU64,
    /// Those who wait for what it does.
    hurried: AtomicU64,
}

/// Somebody waits for the collector, until this is dropped.
#[derive(Debug)]
pub(super) struct Hurry<'a>(&'a AtomicU64);

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Governor {
    pub(super) fn new() -> Self {
        Self {
            slack: AtomicU64::new(u64::MAX),
            ease: AtomicU64::new(LEAST_EASE),
            gains: AtomicBool::new(false),
            speed: AtomicU64::new(0),
            hurried: AtomicU64::new(0),
        }
    }

    /// The collector takes no rest from now on.
    pub(super) fn hurry(&self) -> Hurry<'_> {
        self.hurried.fetch_add(1, Ordering::Relaxed);
        Hurry(&self.hurried)
    }

    /// There are `slack` extents left of a volume that may have `extents`.
    pub(super) fn set_slack(&self, slack: u64, extents: u64) {
        let ease = (extents / EASE_FRACTION).clamp(LEAST_EASE, MOST_EASE);
        self.ease.store(ease, Ordering::Relaxed);
        self.slack.store(slack, Ordering::Relaxed);
    }

    /// Whether garbage is to be collected, if there is any that is worth it.
    pub(super) fn is_due(&self) -> bool {
        self.share() < 1.0
    }

    /// Whether there is so little room that anything that gives space back is worth it.
    pub(super) fn is_short(&self) -> bool {
        self.share() <= 0.5
    }

    /// Time to leave to others per time that collecting takes.
    pub(super) fn idle_per_busy(&self) -> f64 {
        if self.hurried.load(Ordering::Relaxed) > 0 {
            return 0.0;
        }
        IDLE_AT_EASE * (self.share() * 2.0 - 1.0).clamp(0.0, 1.0)
    }

    /// The collector gained `bytes` in so much time of its own; nothing if there was no garbage.
    pub(super) fn learn(&self, bytes: u64, time: Duration) {
        self.gains.store(bytes > 0, Ordering::Relaxed);
        if bytes == 0 {
            return;
        }
        let now = bytes as f64 / time.as_secs_f64().max(1e-6);
        let before = f64::from_bits(self.speed.load(Ordering::Relaxed));
        let known = if before == 0.0 { now } else { before + (now - before) * LEARNED };
        self.speed.store(known.to_bits(), Ordering::Relaxed);
    }

    /// The least time between a batch of so many `bytes` and the one before, where `fill` of the
    /// log's extent is used.
    pub(super) fn delay(&self, bytes: u64, fill: f64) -> Duration {
        let left = self.share() - fill / self.ease.load(Ordering::Relaxed) as f64;
        if left >= 0.5 || !self.gains.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        // All of the speed at a quarter, twice as much at a half.
        let part = (left * 4.0).max(SLOWEST);
        let speed = f64::from_bits(self.speed.load(Ordering::Relaxed)) * part;
        Duration::from_secs_f64(bytes as f64 / speed.max(1.0)).min(LONGEST_DELAY)
    }

    /// Slack for each that there is at ease.
    fn share(&self) -> f64 {
        self.slack.load(Ordering::Relaxed) as f64 / self.ease.load(Ordering::Relaxed) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Db;
    use crate::engine::Engine;
    use crate::events::{Event, Stall};
    use crate::options::Options;
    use crate::sync::Arc;

    const SECOND: Duration = Duration::from_secs(1);

    /// With `slack` extents of 1,000: 8 are ease.
    fn governor(slack: u64) -> Governor {
        let governor = Governor::new();
        governor.set_slack(slack, 1000);
        governor.learn(100 << 20, SECOND);
        governor
    }

    #[test]
    fn nothing_is_done_at_ease() {
        let governor = governor(8);
        assert!(!governor.is_due() && !governor.is_short());
        assert_eq!(governor.delay(1 << 20, 0.0), Duration::ZERO);
    }

    #[test]
    fn the_collector_works_the_more_the_less_is_left() {
        let idle: Vec<f64> = (0..8).rev().map(|slack| governor(slack).idle_per_busy()).collect();
        assert!(idle.is_sorted_by(|a, b| a >= b), "{idle:?}");
        assert!(idle[0] < IDLE_AT_EASE && idle[0] > 0.0, "{idle:?}");
        assert!(idle[3..].iter().all(|&idle| idle == 0.0), "{idle:?}");
    }

    #[test]
    fn writers_keep_step_with_the_collector_at_a_quarter() {
        let bytes = 1 << 20;
        let step = |slack, fill| governor(slack).delay(bytes, fill).as_secs_f64() * 100.0;
        assert_eq!(step(4, 0.0), 0.0, "as many as half of ease");
        assert!((step(2, 0.0) - 1.0).abs() < 1e-6);
        assert!(step(3, 0.5) < 1.0 && step(3, 0.0) < step(3, 0.5) && step(2, 0.5) > 1.0);
        assert!(governor(0).delay(bytes, 1.0) == LONGEST_DELAY);
    }

    #[test]
    fn nobody_waits_for_a_collector_that_gains_nothing() {
        let governor = governor(0);
        governor.learn(0, SECOND);
        assert_eq!(governor.delay(1 << 20, 1.0), Duration::ZERO);
    }

    #[test]
    fn that_writers_are_held_back_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, events) = std::sync::mpsc::channel();
        let options = Options::new()
            .volume_bytes(64 << 20)
            .event_listener(move |event: &Event| drop(sender.send(event.clone())));
        let engine = Engine::open(&dir.path().join("data.vol"), &options).unwrap();
        let db = Db::new(Arc::clone(&engine));
        let stalls = || -> Vec<Event> {
            let stall = |event: &Event| {
                matches!(event, Event::StallBegan { .. } | Event::StallEnded { .. })
            };
            events.try_iter().filter(stall).collect()
        };
        db.put("k", "v").unwrap();
        assert!(stalls().is_empty());
        let governor = &engine.core.governor;
        governor.set_slack(0, 1000);
        // As slow as that a page takes as long as any batch is held back.
        governor.learn(1 << 10, SECOND);
        (0..5).for_each(|_| db.put("k", "v").unwrap());
        governor.set_slack(1000, 1000);
        db.close().unwrap();
        let told = stalls();
        let [
            Event::StallBegan { why: Stall::Collection },
            Event::StallEnded { why: Stall::Collection, waits, took, longest },
        ] = told[..]
        else {
            panic!("{told:?}")
        };
        assert!((1..=5).contains(&waits) && took >= longest, "{told:?}");
        assert!(longest > LONGEST_DELAY / 2, "{longest:?}");
    }

    #[test]
    fn small_volumes_are_at_ease_with_less() {
        let governor = Governor::new();
        governor.set_slack(2, 16);
        assert!(!governor.is_due());
        governor.set_slack(1, 16);
        assert!(governor.is_short());
    }
}
