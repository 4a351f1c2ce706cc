//! The workloads of YCSB, A to F: which operation comes next, and on which key.
//!
//! Keys are numbers: those that were loaded are below some limit, those that a workload inserts count
//! up from another. Scans begin and reads go where YCSB's own distributions have them: zipfian with
//! 0.99, spread over all keys by a hash, and for D those inserted last.

use crate::random::{Random, mix};
use crate::zipf::Zipf;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How skewed the choice of keys is.
const THETA: f64 = 0.99;
/// The most records of a scan.
pub const SCAN_RECORDS: u64 = 100;

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "`says` does")]
pub enum Mix {
    A,
    B,
    C,
    D,
    E,
    F,
}

impl Mix {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::A, Self::B, Self::C, Self::D, Self::E, Self::F];

    /// What it is made of.
    pub fn says(self) -> &'static str {
        match self {
            Self::A => "A: half gets, half overwrites",
            Self::B => "B: 95 % gets, 5 % overwrites",
            Self::C => "C: gets",
            Self::D => "D: 95 % gets of the latest, 5 % inserts",
            Self::E => "E: 95 % scans of up to 100, 5 % inserts",
            Self::F => "F: half gets, half get and overwrite",
        }
    }
}

/// What a client does next; keys by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Get its value, which is there.
    Read(u64),
    /// Put another value.
    Update(u64),
    /// Put the first value; then it is [`inserted`](Workload::inserted).
    Insert(u64),
    /// Read records in the order of keys.
    Scan {
        /// The key to begin with.
        first: u64,
        /// At most so many, from 1 to [`SCAN_RECORDS`].
        records: u64,
    },
    /// Get its value, then put another.
    ReadModifyWrite(u64),
}

/// A workload under way, shared by its clients.
#[derive(Debug)]
pub struct Workload {
    mix: Mix,
    keys: u64,
    first: u64,
    /// Inserts that were begun.
    begun: AtomicU64,
    inserts: Inserts,
    zipf: Zipf,
}

/// Which inserts have ended: they do not end in order.
#[derive(Debug, Default)]
struct Inserts {
    /// All before so many have.
    ended: AtomicU64,
    /// Those that have beyond these.
    early: Mutex<BTreeSet<u64>>,
}

impl Workload {
    /// A workload on `keys` loaded keys, numbers 0 to `keys - 1`, whose inserts count up from `first`.
    ///
    /// # Panics
    ///
    /// Where there are no keys.
    pub fn new(mix: Mix, keys: u64, first: u64) -> Self {
        Self {
            mix,
            keys,
            first,
            begun: AtomicU64::new(0),
            inserts: Inserts::default(),
            zipf: Zipf::new(keys, THETA),
        }
    }

    /// The next operation of a client with its own `random`.
    pub fn next(&self, random: &mut Random) -> Operation {
        let is_rare = random.below(100) < 5;
        let is_half = random.below(2) == 0;
        match self.mix {
            Mix::A if is_half => Operation::Update(self.choose(random)),
            Mix::B if is_rare => Operation::Update(self.choose(random)),
            Mix::D | Mix::E if is_rare => self.insert(),
            Mix::D => Operation::Read(self.latest(random)),
            Mix::E => {
                let first = self.choose(random);
                Operation::Scan { first, records: 1 + random.below(SCAN_RECORDS) }
            }
            Mix::F if is_half => Operation::ReadModifyWrite(self.choose(random)),
            Mix::A | Mix::B | Mix::C | Mix::F => Operation::Read(self.choose(random)),
        }
    }

    /// Whether it scans.
    pub fn scans(&self) -> bool {
        self.mix == Mix::E
    }

    /// The insert of key number `number` has ended: it may be read.
    pub fn inserted(&self, number: u64) {
        self.inserts.end(number - self.first);
    }

    /// Keys that were inserted, up to the first that was not.
    pub fn inserts(&self) -> u64 {
        self.inserts.ended.load(Ordering::Acquire)
    }

    fn insert(&self) -> Operation {
        Operation::Insert(self.first + self.begun.fetch_add(1, Ordering::Relaxed))
    }

    /// A loaded key: a few are common, and they are anywhere.
    fn choose(&self, random: &mut Random) -> u64 {
        mix(self.zipf.next(random)) % self.keys
    }

    /// A key that is there, the younger the likelier.
    fn latest(&self, random: &mut Random) -> u64 {
        let (inserts, age) = (self.inserts(), self.zipf.next(random));
        match age.checked_sub(inserts) {
            None => self.first + inserts - 1 - age,
            Some(before) => self.keys - 1 - before,
        }
    }
}

impl Inserts {
    fn end(&self, number: u64) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        early.insert(number);
        let mut ended = self.ended.load(Ordering::Relaxed);
        while early.remove(&ended) {
            ended += 1;
        }
        self.ended.store(ended, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const DRAWS: u64 = 200_000;

    fn kind(operation: Operation) -> &'static str {
        match operation {
            Operation::Read(_) => "read",
            Operation::Update(_) => "update",
            Operation::Insert(_) => "insert",
            Operation::Scan { .. } => "scan",
            Operation::ReadModifyWrite(_) => "read-modify-write",
        }
    }

    /// Percent of each kind of operation.
    fn shares(mix: Mix) -> BTreeMap<&'static str, f64> {
        let (workload, mut random) = (Workload::new(mix, 1000, 1000), Random::new(1));
        let mut shares = BTreeMap::new();
        for _ in 0..DRAWS {
            *shares.entry(kind(workload.next(&mut random))).or_default() += 100.0 / DRAWS as f64;
        }
        shares
    }

    #[test]
    fn mixes_are_those_of_ycsb() {
        let expected = [
            (Mix::A, vec![("read", 50.0), ("update", 50.0)]),
            (Mix::B, vec![("read", 95.0), ("update", 5.0)]),
            (Mix::C, vec![("read", 100.0)]),
            (Mix::D, vec![("insert", 5.0), ("read", 95.0)]),
            (Mix::E, vec![("insert", 5.0), ("scan", 95.0)]),
            (Mix::F, vec![("read", 50.0), ("read-modify-write", 50.0)]),
        ];
        for (mix, expected) in expected {
            let found = shares(mix);
            assert!(found.keys().eq(expected.iter().map(|(kind, _)| kind)), "{mix:?}: {found:?}");
            for (kind, share) in expected {
                assert!((found[kind] - share).abs() < 0.5, "{mix:?}: {found:?}");
            }
        }
    }

    #[test]
    fn common_keys_are_zipfian_and_lie_apart() {
        let (workload, mut random) = (Workload::new(Mix::C, 10_000, 10_000), Random::new(2));
        let mut times = BTreeMap::<u64, u64>::new();
        for _ in 0..DRAWS {
            let Operation::Read(number) = workload.next(&mut random) else {
                panic!("C only reads")
            };
            assert!(number < 10_000);
            *times.entry(number).or_default() += 1;
        }
        let mut ranked: Vec<_> = times.into_iter().collect();
        ranked.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        let zeta: f64 = (1..=10_000).map(|rank| f64::from(rank).powf(-THETA)).sum();
        let share = ranked[0].1 as f64 / DRAWS as f64;
        assert!((share * zeta - 1.0).abs() < 0.05, "{share}");
        let twice = ranked[1].1 as f64 / ranked[0].1 as f64;
        assert!((twice * 2.0_f64.powf(THETA) - 1.0).abs() < 0.05, "{twice}");
        assert!(ranked[..10].windows(2).all(|pair| pair[0].0.abs_diff(pair[1].0) > 1));
    }

    #[test]
    fn scans_are_of_every_length_up_to_the_most() {
        let (workload, mut random) = (Workload::new(Mix::E, 1000, 1000), Random::new(3));
        let mut lengths = BTreeSet::new();
        for _ in 0..10_000 {
            if let Operation::Scan { first, records } = workload.next(&mut random) {
                assert!(first < 1000);
                lengths.insert(records);
            }
        }
        assert!(lengths.into_iter().eq(1..=SCAN_RECORDS));
    }

    /// How often each key is read of 10 that were loaded and those that were inserted.
    fn read_of_d(workload: &Workload) -> BTreeMap<u64, u64> {
        let (mut random, mut times) = (Random::new(4), BTreeMap::new());
        for _ in 0..DRAWS {
            if let Operation::Read(number) = workload.next(&mut random) {
                *times.entry(number).or_default() += 1;
            }
        }
        times
    }

    #[test]
    fn the_latest_are_read_most_and_none_before_it_is_there() {
        let workload = Workload::new(Mix::D, 10, 100);
        let times = read_of_d(&workload);
        assert!(times.keys().copied().eq(0..10));
        assert!((1..10).all(|number| times[&number] > times[&(number - 1)]), "{times:?}");
        // What ends early is not read before all that came before it are there.
        workload.inserted(101);
        assert!(read_of_d(&workload).keys().all(|number| *number < 10));
        workload.inserted(100);
        assert_eq!(workload.inserts(), 2);
        let times = read_of_d(&workload);
        assert!(times.keys().copied().eq((2..10).chain(100..102)));
        assert!(times[&101] > times[&100] && times[&100] > times[&9], "{times:?}");
    }

    #[test]
    fn inserts_count_up() {
        let (workload, mut random) = (Workload::new(Mix::D, 10, 100), Random::new(5));
        let inserts = (0..1000).filter_map(|_| match workload.next(&mut random) {
            Operation::Insert(number) => Some(number),
            _ => None,
        });
        let numbers: Vec<_> = inserts.collect();
        assert!(numbers.len() > 20 && numbers.iter().copied().eq(100..100 + numbers.len() as u64));
    }
}
