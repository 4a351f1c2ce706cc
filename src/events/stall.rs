//! Writes that wait for longer than it takes to write them.
//!
//! A condition for which writes wait comes and goes many times a second while it lasts: the sync window
//! is full, then it is not, then it is. Waits for one reason that follow one another within [`QUIET`]
//! are one *episode*, and an episode is two events.

use super::event::Event;
use crate::sync::{self, Duration, Instant};
use std::fmt;

/// Without another wait for so long, an episode is over.
pub(super) const QUIET: Duration = Duration::from_millis(100);

/// Why writes wait. That batches of others are on their way is no such reason: the latency of
/// [`Stage::PutQueue`](crate::Stage::PutQueue) shows it.
///
/// ```
/// assert_eq!(extentdb::Stall::Window.to_string(), "the sync window is full");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stall {
    /// Garbage comes faster than it is collected: batches are held back, by 20 ms at most.
    Collection,
    /// There is no room: garbage is collected, or a checkpoint written, for the write.
    Space,
    /// The file has to grow for the write.
    Growth,
    /// The log's next extent is not ready: it is chosen, prepared, or made known on the device.
    Log,
    /// As much as the [`SyncWindow`](crate::SyncWindow) allows waits for a flush.
    Window,
}

const COUNT: usize = Stall::Window as usize + 1;
const ALL: [Stall; COUNT] =
    [Stall::Collection, Stall::Space, Stall::Growth, Stall::Log, Stall::Window];

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Collection => "garbage comes faster than it is collected",
            Self::Space => "room is being made",
            Self::Growth => "the file grows",
            Self::Log => "the log's next extent is not ready",
            Self::Window => "the sync window is full",
        })
    }
}

/// Waits for one reason.
#[derive(Debug, Clone, Copy)]
struct Episode {
    begun: Instant,
    /// When the last wait ended.
    last: Instant,
    /// Who waits now.
    waiting: u64,
    waits: u64,
    longest: Duration,
}

/// What writes wait for, or have waited for lately.
#[derive(Debug, Default)]
pub(super) struct Episodes([Option<Episode>; COUNT]);

impl Episodes {
    /// Somebody begins to wait. The event, if it is the first.
    pub(super) fn enter(&mut self, why: Stall) -> Option<Event> {
        let now = sync::now();
        let place = &mut self.0[why as usize];
        let is_new = place.is_none();
        let fresh =
            Episode { begun: now, last: now, waiting: 0, waits: 0, longest: Duration::ZERO };
        let episode = place.get_or_insert(fresh);
        episode.waiting += 1;
        episode.waits += 1;
        is_new.then_some(Event::StallBegan { why })
    }

    /// Who has waited since `begun` waits no more.
    pub(super) fn leave(&mut self, why: Stall, begun: Instant) {
        let now = sync::now();
        if let Some(episode) = &mut self.0[why as usize] {
            episode.waiting -= 1;
            episode.last = now;
            episode.longest = episode.longest.max(now.saturating_duration_since(begun));
        }
    }

    /// Whether any is not over.
    pub(super) fn is_open(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// An episode that is over: quiet for long enough, or `at_once` if nobody waits.
    pub(super) fn take_over(&mut self, at_once: bool) -> Option<Event> {
        let now = sync::now();
        let is_over = |episode: &Episode| {
            let quiet = now.saturating_duration_since(episode.last);
            episode.waiting == 0 && (at_once || quiet >= QUIET)
        };
        ALL.into_iter().find_map(|why| {
            let place = &mut self.0[why as usize];
            let Episode { begun, last, waits, longest, .. } = place.take_if(|it| is_over(it))?;
            let took = last.saturating_duration_since(begun);
            Some(Event::StallEnded { why, took, waits, longest })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_its_own_place_in_the_list() {
        assert!(ALL.into_iter().enumerate().all(|(place, why)| why as usize == place));
    }

    #[test]
    fn waits_that_follow_one_another_are_one_episode() {
        let mut episodes = Episodes::default();
        assert!(matches!(episodes.enter(Stall::Log), Some(Event::StallBegan { why: Stall::Log })));
        let begun = sync::now();
        assert!(episodes.enter(Stall::Log).is_none(), "it has begun");
        assert!(episodes.enter(Stall::Window).is_some(), "another reason is another episode");
        sync::sleep(Duration::from_millis(10));
        episodes.leave(Stall::Log, begun);
        assert!(episodes.take_over(true).is_none(), "somebody waits");
        episodes.leave(Stall::Log, sync::now());
        assert!(episodes.take_over(false).is_none(), "it may go on");
        assert!(episodes.enter(Stall::Log).is_none(), "it goes on");
        episodes.leave(Stall::Log, sync::now());
        sync::sleep(QUIET);
        let Some(Event::StallEnded { why: Stall::Log, took, waits, longest }) =
            episodes.take_over(false)
        else {
            panic!("it is over")
        };
        assert_eq!(waits, 3);
        assert!(took >= longest && longest >= Duration::from_millis(10));
        assert!(episodes.is_open(), "the other one");
        assert!(episodes.enter(Stall::Log).is_some(), "a new one");
    }
}
