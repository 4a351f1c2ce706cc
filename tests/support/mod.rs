//! What the tests of behaviour share: reproducible bytes, a place on a real disk, and one way to
//! compare a store with what it should hold.
#![allow(dead_code, reason = "every test file uses a part of it")]

use extentdb::{Db, Durability, Entry, Result};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Bytes that the model and its frozen copies share.
pub(crate) type Bytes = Arc<[u8]>;
/// What a store should hold.
pub(crate) type Model = BTreeMap<Bytes, Bytes>;

/// Bytes of a log page that records have to themselves.
pub(crate) const PAYLOAD: usize = 4032;
/// Longest key.
pub(crate) const LONGEST_KEY: usize = 65_535;
/// All durabilities, weakest first.
pub(crate) const MODES: [Durability; 3] =
    [Durability::Buffered, Durability::Written, Durability::Synced];

/// The environment variable that replaces the seeds of a test by one.
const SEED_VARIABLE: &str = "EXTENTDB_SEED";

/// SplitMix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `times`.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        bytes
    }
}

/// Bytes that `seed` decides.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    Rng::new(seed).bytes(len)
}

/// Runs `test` with each of `seeds`, or with the one in `EXTENTDB_SEED`; says how to repeat the
/// one that fails.
pub(crate) fn for_seeds(seeds: impl IntoIterator<Item = u64>, test: impl Fn(u64)) {
    struct Repeat(u64);
    impl Drop for Repeat {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let name = std::thread::current().name().unwrap_or("?").to_owned();
                eprintln!("repeat: {SEED_VARIABLE}={} cargo test -- --exact {name}", self.0);
            }
        }
    }
    let asked = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok());
    let seeds: Vec<u64> = asked.map_or_else(|| seeds.into_iter().collect(), |seed| vec![seed]);
    for seed in seeds {
        let _repeat = Repeat(seed);
        without_hanging(&format!("seed {seed}"), || test(seed));
    }
}

/// Runs `test`, and ends the process with a word if it does not come back: a thread that spins or
/// waits for ever cannot be ended otherwise.
pub(crate) fn without_hanging(what: &str, test: impl FnOnce()) {
    const PATIENCE: Duration = Duration::from_secs(120);
    let (running, ended) = mpsc::channel::<()>();
    let name = thread::current().name().unwrap_or("?").to_owned();
    let message = format!("{name}, {what}: hangs");
    thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            // Past the capture of the harness, which an abort would lose.
            let _ = writeln!(std::io::stderr(), "{message}");
            std::process::abort();
        }
    });
    test();
    drop(running);
}

/// A directory on the disk that holds the build, not in memory.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory")
}

/// A volume with default options, and the directory that goes with it.
pub(crate) fn fresh() -> (TempDir, Db) {
    let dir = directory();
    let db = Db::open(dir.path().join("data.vol")).expect("a new volume");
    (dir, db)
}

/// A batch that fits a log of which one extent has `extent_bytes`, whatever its headers are.
pub(crate) fn surely_fits(extent_bytes: usize, record_bytes: usize) -> bool {
    record_bytes <= extent_bytes / 4096 / 4 * PAYLOAD / 2
}

pub(crate) fn shared(bytes: impl AsRef<[u8]>) -> Bytes {
    Arc::from(bytes.as_ref())
}

/// Long byte strings by their length and first bytes.
pub(crate) fn brief(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(24)];
    format!("\"{}\" ({} bytes)", shown.escape_ascii(), bytes.len())
}

/// As `assert_eq`, without printing megabytes.
pub(crate) fn assert_bytes(found: Option<&[u8]>, expected: Option<&[u8]>, what: &str) {
    if found != expected {
        let differs = || {
            let (found, expected) = (found?, expected?);
            found.iter().zip(expected).position(|(a, b)| a != b)
        };
        panic!(
            "{what}: found {:?}, expected {:?}, first difference at {:?}",
            found.map(brief),
            expected.map(brief),
            differs()
        );
    }
}

/// The entry is that of `key` and `value`; its value is read if `read` says so.
pub(crate) fn assert_entry(entry: &Entry, key: &[u8], value: &[u8], read: bool) {
    assert_bytes(Some(entry.key()), Some(key), "key of a scan");
    assert_eq!(entry.value_len(), value.len() as u64, "length for key {}", brief(key));
    if read {
        let found = entry.value().expect("the value of an entry");
        assert_bytes(Some(&found), Some(value), &format!("scanned value of key {}", brief(key)));
    }
}

/// The entries are all those of the model, in this order.
pub(crate) fn assert_entries<'a>(
    mut entries: impl Iterator<Item = Result<Entry>>,
    expected: impl Iterator<Item = (&'a Bytes, &'a Bytes)>,
) {
    for (key, value) in expected {
        let entry = entries.next().expect("as many entries as the model has");
        assert_entry(&entry.expect("an entry"), key, value, true);
    }
    assert!(entries.next().is_none(), "no entry that the model does not have");
}

/// The store holds what the model holds, seen from every side, and nothing is damaged.
pub(crate) fn assert_same(db: &Db, model: &Model) {
    assert_eq!(db.len(), model.len() as u64);
    assert_eq!(db.is_empty(), model.is_empty());
    assert_entries(db.iter(), model.iter());
    assert_entries(db.iter().rev(), model.iter().rev());
    for (key, value) in model {
        let found = db.get(key).expect("a get");
        assert_bytes(found.as_deref(), Some(value), &format!("key {}", brief(key)));
    }
    let report = assert_clean(db);
    assert_eq!(report.keys, model.len() as u64);
    assert_eq!(report.value_bytes, model.values().map(|value| value.len() as u64).sum::<u64>());
}

/// Nothing is damaged.
pub(crate) fn assert_clean(db: &Db) -> extentdb::CheckReport {
    let report = db.check().expect("a check");
    assert!(report.is_clean(), "{:?}", report.problems);
    report
}
