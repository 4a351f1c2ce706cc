//! Making room for a put that was refused.

use super::Engine;
use crate::error::{Error, Result};
use crate::events::Stall;
use crate::format::ids::Incarnation;

/// What was done to have room for one put.
pub(super) struct Room {
    /// How many adjacent pages it wants, if it is of a large value.
    pages: Option<u64>,
    /// The newest refusals, as long as no other put found room between them.
    refused: Option<Refused>,
}

struct Refused {
    /// What came to be later is not moved for it.
    since: Incarnation,
    times: u32,
    /// Puts that had found room before.
    placed: u64,
}

impl Room {
    pub(super) fn new(pages: Option<u64>) -> Self {
        Self { pages, refused: None }
    }

    /// Has garbage collected for a put that was refused as `full`, which is the answer if there is
    /// nothing to be had. Where others took what there was, the volume is not full: all begins anew, as
    /// what they replaced is garbage too.
    pub(super) fn make(&mut self, engine: &Engine, full: Error) -> Result<()> {
        let placed = engine.log.puts_placed();
        let refused = match &mut self.refused {
            Some(refused) if refused.placed == placed => refused,
            refused => {
                let since = engine.core.space.newest_incarnation();
                refused.insert(Refused { since, times: 0, placed })
            }
        };
        refused.times += 1;
        let stalled = engine.core.volume.events.stall(Stall::Space);
        let made = engine.collector.make_room(refused.since, refused.times, self.pages)?;
        drop(stalled);
        if made { Ok(()) } else { Err(engine.full(full)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durability::Durability;
    use crate::extent::large::Source;
    use crate::options::Options;

    const FULL: Error = Error::Full { pinned_by: None };
    const KEYS: u32 = 3_000;

    fn put(engine: &Engine, keys: impl Iterator<Item = u32>) {
        for key in keys {
            let (key, value) = (key.to_be_bytes(), [7; 1000]);
            let (len, source) = (value.len() as u64, Source::Slice(&value));
            engine.put(&key, len, source, None, Durability::Buffered).unwrap();
        }
        engine.sync().unwrap();
    }

    #[test]
    fn who_loses_room_to_others_is_not_told_that_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new().extent_bytes(256 << 10).volume_bytes(8 << 20);
        let engine = Engine::open(&dir.path().join("data.vol"), &options).unwrap();
        let mut room = Room::new(None);
        put(&engine, 0..KEYS);
        let mut exhaust = || {
            let refusal = (0..100).find_map(|_| room.make(&engine, FULL).err());
            assert!(matches!(refusal, Some(Error::Full { .. })), "who is alone is told in the end");
            engine.metrics().used_bytes
        };
        let used = exhaust();
        // All of it is newer than what was looked at for the first refusal, and some is garbage.
        put(&engine, 0..KEYS);
        put(&engine, (0..KEYS).step_by(3));
        (0..2).for_each(|_| engine.checkpoint().unwrap());
        let then = exhaust();
        let spare = 2 * engine.core.extent_bytes();
        assert!(then <= used + spare, "it is told while there is garbage: {used}, then {then}");
    }
}
