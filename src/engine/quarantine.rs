//! Space that nothing refers to any more, until it can be used again (G3): once the last records
//! that removed a reference are durable and proved, and every reader who was there has left.

use super::apply::record_bytes;
use super::core::Core;
use crate::extent::Retired;
use crate::format::ids::BatchNo;
use crate::format::location::Home;
use crate::seeded::{Bug, seeded};
use crate::sync::Arc;
use crate::wal::Log;
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Quarantine {
    core: Arc<Core>,
    log: Arc<Log>,
    waiting: VecDeque<Waiting>,
}

/// What was retired together, and what it waits for.
#[derive(Debug)]
struct Waiting {
    retired: Vec<Retired>,
    /// The last batch that can have removed a reference.
    batch: BatchNo,
    /// The epoch in which every reader has left that was there.
    epoch: u64,
}

impl Quarantine {
    pub(super) fn new(core: &Arc<Core>, log: &Arc<Log>) -> Self {
        Self { core: Arc::clone(core), log: Arc::clone(log), waiting: VecDeque::new() }
    }

    /// Takes in what nothing refers to, and frees what has been there long enough. Whether any was.
    pub(super) fn turn_over(&mut self) -> bool {
        self.release_what_views_let_go();
        self.take_in();
        let freed = self.free();
        if freed {
            self.core.take_stock();
        }
        freed
    }

    /// Whether what came first waits for nothing but readers.
    pub(super) fn waits_for_readers(&self) -> bool {
        let proved = self.log.proved();
        self.waiting.front().is_some_and(|waiting| waiting.batch <= proved)
    }

    /// The batch whose proof is waited for, by those that came first and last.
    pub(super) fn wanted(&self) -> Option<(BatchNo, BatchNo)> {
        Some((self.waiting.front()?.batch, self.waiting.back()?.batch))
    }

    fn release_what_views_let_go(&self) {
        let Core { index, space, .. } = &*self.core;
        for released in index.take_released() {
            let location = released.location;
            match location.home() {
                Home::Large => space.release_large(location.page()),
                Home::Log | Home::Value => space.release_record(
                    space.extent_of(location.page()),
                    record_bytes(released.key_len, location),
                ),
            }
        }
    }

    fn take_in(&mut self) {
        let unfinished = self.log.unfinished();
        let retired = self.core.space.retire(|extent| unfinished.contains(&extent));
        if !retired.is_empty() {
            // After it was found that nothing refers to it: what removed the last reference has a
            // number by now, and whoever may have seen it has entered.
            let (batch, epoch) = (self.log.newest(), self.core.readers.all_gone());
            self.waiting.push_back(Waiting { retired, batch, epoch });
        }
    }

    fn free(&mut self) -> bool {
        let proved =
            if seeded(Bug::FreedBeforeProof) { self.log.durable() } else { self.log.proved() };
        let at_once = seeded(Bug::FreedAtOnce);
        let mut freed = false;
        while let Some(waiting) = self.waiting.front()
            && (waiting.batch <= proved || at_once)
            && (self.core.readers.reach(waiting.epoch) || seeded(Bug::ReadersIgnored))
        {
            self.core.space.free(&waiting.retired);
            self.waiting.pop_front();
            freed = true;
        }
        freed
    }
}
