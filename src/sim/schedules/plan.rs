//! What each thread of a schedule does.

use super::super::history::{Changes, History, own_key};
use super::super::random::Random;
use super::super::workload::{Model, value};
use super::SHAPE;
use crate::db::Db;
use crate::durability::{Durability, SyncWindow};
use crate::engine::Background;
use crate::options::Options;
use crate::sync::Duration;

/// Threads that write; one more looks, and takes the steps beside the commits.
pub(super) const WRITERS: usize = 2;

/// A key that all writers count up.
pub(super) const COUNTER: &[u8] = b"counter";

/// One call. Writers change the keys `a`, `b` and `c` of their own.
#[derive(Debug, Clone)]
pub(super) enum Call {
    /// A batch: `a` and `b` always have one value, or none.
    Write(Changes, Durability),
    /// A put, or a delete.
    Change(Vec<u8>, Option<Vec<u8>>, Durability),
    /// The same of a task, which is woken.
    Task(Vec<u8>, Option<Vec<u8>>, Durability),
    /// A conditional put of a key, and whether it has to succeed.
    PutIfAbsent(Vec<u8>, Vec<u8>, bool),
    /// Replaces what is surely there.
    Swap(Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>),
    /// Counts the common counter up, unless another thread comes between.
    Count(Durability),
    Sync,
    Get(Vec<u8>),
    /// A snapshot, read key by key.
    Snapshot,
    /// As long as the number of calls says, a scan is under way.
    Scan(usize),
    Backwards,
    MultiGet,
    Step,
    Slice,
    Checkpoint,
    /// Collects all garbage, and empties large extents.
    Collect,
    CollectStep,
    /// One of the large values that are there from the beginning.
    Resident(usize),
    Close,
}

/// What all threads do.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) threads: Vec<Vec<Call>>,
    pub(super) history: History,
    pub(super) background: Background,
    window_bytes: u64,
    worth_bytes: usize,
    pub(super) latency: Duration,
    /// Whether large values are in the way of each other, and somebody moves them.
    pub(super) moves: bool,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let background =
            if random.below(4) == 0 { Background::Threads } else { Background::Manual };
        let mut threads: Vec<_> =
            (0..WRITERS).map(|thread| writer_calls(thread, &mut random)).collect();
        threads.push(bystander_calls(background, &mut random));
        let window_bytes = [1500, 20_000][random.below(2) as usize];
        let worth_bytes = worth_bytes(&mut random);
        let latency = latency(&mut random);
        let moves = random.below(3) == 0;
        if moves {
            threads.push(collector_calls(background, &mut random));
        }
        let changes = |calls: &Vec<Call>| calls.iter().map(Call::changes).collect::<Vec<_>>();
        let history = History::new(&threads.iter().map(changes).collect::<Vec<_>>());
        Self { threads, history, background, window_bytes, worth_bytes, latency, moves }
    }

    /// Takes the values out of `found` that nobody writes, which must be all there where it shows all
    /// keys.
    pub(super) fn without_residents(&self, mut found: Model, all: bool) -> Model {
        for number in 0..RESIDENTS {
            let resident = found.remove(&resident_key(number));
            let there = resident.is_some_and(|value| value == resident_value(number));
            assert!(there || !(all && self.moves), "what moves is there, and is what it was");
        }
        found
    }

    pub(super) fn options(&self) -> Options {
        let options = SHAPE
            .options()
            .sync_window(SyncWindow { bytes: self.window_bytes, time: Duration::from_millis(1) });
        // Threads of the engine's own rest in between, else they hold up the others.
        let evidence_after = match self.background {
            Background::Threads => Duration::from_millis(5),
            Background::Manual => Duration::ZERO,
        };
        let worth_bytes = self.worth_bytes;
        Options { evidence_after, worth_bytes, checkpoint_log_bytes: 40_000, ..options }
    }
}

impl Call {
    /// What it makes of the writer's own keys.
    fn changes(&self) -> Changes {
        match self {
            Self::Write(changes, _) => changes.clone(),
            Self::Change(key, value, _) | Self::Task(key, value, _) | Self::Swap(key, _, value) => {
                vec![(key.clone(), value.clone())]
            }
            Self::PutIfAbsent(key, value, true) => vec![(key.clone(), Some(value.clone()))],
            _ => Vec::new(),
        }
    }
}

/// From how many bytes on a batch goes out behind others: from any, so that several are under way, or
/// none.
pub(super) fn worth_bytes(random: &mut Random) -> usize {
    [1, 32 << 10][random.below(2) as usize]
}

/// How often others come first while something is written.
pub(super) fn latency(random: &mut Random) -> Duration {
    Duration::from_micros([0, 1, 6][random.below(3) as usize])
}

fn durability(random: &mut Random) -> Durability {
    match random.below(6) {
        0 | 1 => Durability::Buffered,
        2 => Durability::Written,
        _ => Durability::Synced,
    }
}

fn writer_calls(thread: usize, random: &mut Random) -> Vec<Call> {
    let mut model = Model::new();
    let count = 3 + random.below(3) as usize;
    let calls = (0..count).map(|at| {
        let call = writer_call(thread, at, &model, random);
        for (key, value) in call.changes() {
            match value {
                Some(value) => model.insert(key, value),
                None => model.remove(&key),
            };
        }
        call
    });
    calls.collect()
}

fn writer_call(thread: usize, at: usize, model: &Model, random: &mut Random) -> Call {
    let own = |name| own_key(thread, name);
    let len = [20, 700, 2600][random.below(3) as usize];
    let fresh = value(super::super::history::op_number(thread, at), 0, len);
    match random.below(19) {
        16 | 17 => Call::Task(own('c'), Some(fresh), durability(random)),
        18 => Call::Task(own('c'), None, durability(random)),
        0..5 => {
            let pair = (random.below(4) > 0).then_some(fresh);
            let changes = vec![(own('a'), pair.clone()), (own('b'), pair)];
            Call::Write(changes, durability(random))
        }
        5..8 => Call::Change(own('c'), Some(fresh), durability(random)),
        8 => Call::Change(own('c'), None, durability(random)),
        9 => Call::PutIfAbsent(own('c'), fresh, !model.contains_key(&own('c'))),
        10 => {
            let new = (random.below(3) > 0).then_some(fresh);
            Call::Swap(own('c'), model.get(&own('c')).cloned(), new)
        }
        11..14 => Call::Count(durability(random)),
        14 => Call::Get(own(['a', 'b', 'c'][random.below(3) as usize])),
        _ => Call::Sync,
    }
}

fn bystander_calls(background: Background, random: &mut Random) -> Vec<Call> {
    // The steps are for one thread: it may be the engine's own.
    let kinds = if background == Background::Manual { 20 } else { 17 };
    let call = |random: &mut Random| match random.below(kinds) {
        0 | 1 => {
            let name = ['a', 'b', 'c'][random.below(3) as usize];
            Call::Get(own_key(random.below(WRITERS as u64) as usize, name))
        }
        2..4 => Call::Snapshot,
        4..7 => Call::Scan(1 + random.below(3) as usize),
        7 => Call::Backwards,
        8..10 => Call::MultiGet,
        10..16 => Call::Slice,
        16 => Call::Checkpoint,
        _ => Call::Step,
    };
    let mut calls: Vec<_> = (0..3 + random.below(4)).map(|_| call(random)).collect();
    if random.below(4) == 0 {
        calls.push(Call::Close);
    }
    calls
}

fn collector_calls(background: Background, random: &mut Random) -> Vec<Call> {
    // The steps are for one thread: it may be the engine's own.
    let kinds = if background == Background::Manual { 8 } else { 6 };
    let call = |random: &mut Random| match random.below(kinds) {
        0..4 => Call::Collect,
        4 | 5 => Call::Resident(random.below(RESIDENTS as u64) as usize),
        _ => Call::CollectStep,
    };
    (0..2 + random.below(3)).map(|_| call(random)).collect()
}

/// Large values that nobody writes. Each begins alone in its extent, so that one gains an extent where
/// it moves to the other.
pub(super) const RESIDENTS: usize = 2;

pub(super) fn resident_key(number: usize) -> Vec<u8> {
    format!("resident-{number}").into_bytes()
}

pub(super) fn resident_value(number: usize) -> Vec<u8> {
    value(usize::MAX >> 20, number, 2600)
}

/// Has them there, in an empty store.
pub(super) fn put_residents(db: &Db) {
    let fillers = |number: usize| (0..3).map(move |at| format!("filler-{number}-{at}"));
    for number in 0..RESIDENTS {
        db.put(resident_key(number), resident_value(number)).unwrap();
        fillers(number).for_each(|key| db.put(key, [0; 2600]).unwrap());
    }
    (0..RESIDENTS).flat_map(fillers).for_each(|key| db.delete(key).unwrap());
    db.checkpoint().unwrap();
    db.put("filler", "").unwrap();
    db.delete("filler").unwrap();
    db.checkpoint().unwrap();
}

/// All keys there can be.
pub(super) fn all_keys() -> Vec<Vec<u8>> {
    let own = (0..WRITERS).flat_map(|thread| ['a', 'b', 'c'].map(|name| own_key(thread, name)));
    own.chain([COUNTER.to_vec()]).collect()
}
