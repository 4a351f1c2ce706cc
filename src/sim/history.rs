//! What several threads did to a store, each to keys of its own, and what of it may be seen.

use super::trace::Event;
use super::workload::Model;
use std::ops::RangeInclusive;

/// Numbers of operations that each thread has.
const STRIDE: usize = 64;

/// What an operation makes of each key it touches, all at once.
pub(crate) type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// How many of the operations of each thread a state of the store reflects.
pub(crate) type Counts = Vec<RangeInclusive<usize>>;

/// The operations of all threads.
#[derive(Debug)]
pub(crate) struct History {
    /// For each thread, what its keys are after the first 0, 1, 2 .. of its operations.
    states: Vec<Vec<Model>>,
}

/// The number that operation `at` of `thread` has in a trace.
pub(crate) fn op_number(thread: usize, at: usize) -> usize {
    assert!(at < STRIDE, "so many operations have numbers");
    thread * STRIDE + at
}

/// The thread whose operation it is that has this number in a trace, and which of its own it is.
#[cfg(extentdb_schedules)]
pub(crate) fn thread_of(op: usize) -> (usize, usize) {
    (op / STRIDE, op % STRIDE)
}

/// A key that only `thread` changes.
pub(crate) fn own_key(thread: usize, name: impl std::fmt::Display) -> Vec<u8> {
    format!("{thread}-{name}").into_bytes()
}

/// Where an event is in a trace.
pub(crate) fn position(events: &[Event], wanted: impl Fn(&Event) -> bool) -> Option<usize> {
    events.iter().position(wanted)
}

impl History {
    pub(crate) fn new(threads: &[Vec<Changes>]) -> Self {
        Self { states: threads.iter().map(|ops| states(ops)).collect() }
    }

    /// The counts of operations that a power cut after `events` may leave: what was acknowledged
    /// as durable (P1), up to what was called.
    pub(crate) fn after_power_cut(&self, events: &[Event]) -> Counts {
        self.counts(events, events, |durable| durable)
    }

    /// The counts of operations that may be seen: what was acknowledged before `from`, up to what
    /// was called before `until`.
    #[cfg(extentdb_schedules)]
    pub(crate) fn between(&self, events: &[Event], from: usize, until: usize) -> Counts {
        self.counts(&events[..from], &events[..until], |_| true)
    }

    fn counts(&self, before: &[Event], until: &[Event], counts: impl Fn(bool) -> bool) -> Counts {
        let of = |thread| {
            let number = move |op: usize| (op / STRIDE == thread).then_some(op % STRIDE + 1);
            let least = before.iter().filter_map(|event| match *event {
                Event::Ack { op, durable } if counts(durable) => number(op),
                _ => None,
            });
            let most = until.iter().filter_map(|event| match *event {
                Event::Issue(op) => number(op),
                _ => None,
            });
            least.max().unwrap_or(0)..=most.max().unwrap_or(0)
        };
        (0..self.states.len()).map(of).collect()
    }

    /// Those of `allowed` that `found` can be, where it shows all keys or the one that is given.
    pub(crate) fn matching(
        &self,
        found: &Model,
        key: Option<&[u8]>,
        allowed: &Counts,
    ) -> Result<Counts, String> {
        let shown = |thread: usize, model: &Model| -> Model {
            let own = own_key(thread, "");
            let keys = model.iter().filter(|(k, _)| k.starts_with(&own));
            let keys = keys.filter(|(k, _)| key.is_none_or(|key| **k == key));
            keys.map(|(k, value)| (k.clone(), value.clone())).collect()
        };
        let of = |(thread, allowed): (usize, &RangeInclusive<usize>)| {
            let found = shown(thread, found);
            let matches = |&count: &usize| shown(thread, &self.states[thread][count]) == found;
            let mut matching = allowed.clone().filter(matches);
            let first = matching.next();
            let first = first.ok_or_else(|| {
                let elsewhere = (0..self.states[thread].len()).find(matches);
                format!("thread {thread} shows state {elsewhere:?}, {allowed:?} allowed")
            })?;
            Ok(first..=matching.next_back().unwrap_or(first))
        };
        allowed.iter().enumerate().map(of).collect()
    }
}

fn states(ops: &[Changes]) -> Vec<Model> {
    let mut model = Model::new();
    let mut states = vec![model.clone()];
    for changes in ops {
        for (key, value) in changes {
            match value {
                Some(value) => model.insert(key.clone(), value.clone()),
                None => model.remove(key),
            };
        }
        states.push(model.clone());
    }
    states
}

/// P2 across threads: what was acked before a shown operation was issued is shown too.
pub(crate) fn check_no_holes(shown: &Counts, events: &[Event]) -> Result<(), String> {
    for (thread, counts) in shown.iter().enumerate() {
        // The last operation that must be there, whichever state it is.
        let Some(last) = counts.start().checked_sub(1) else { continue };
        let op = op_number(thread, last);
        let issued = position(events, |event| *event == Event::Issue(op)).unwrap_or(0);
        for (other, limit) in shown.iter().enumerate() {
            let acked = events[..issued].iter().filter_map(|event| match *event {
                Event::Ack { op, .. } if op / STRIDE == other => Some(op % STRIDE),
                _ => None,
            });
            if let Some(acked) = acked.max().filter(|acked| acked + 1 > *limit.end()) {
                return Err(format!(
                    "operation {last} of thread {thread} is there, {acked} of thread {other}, \
                     acked before it was issued, is not"
                ));
            }
        }
    }
    Ok(())
}
