//! A process with sixteen writers is killed, again and again, on one volume. `Synced` and
//! `Written`: every acknowledged operation is there. `Buffered`: what is lost is the newest part
//! of the log, no more than the window. In every mode all that is there is right to the byte.
//!
//! Where the build is, and on ext4 and XFS on loop devices where they can be mounted.
//! EXTENTDB_KILLS sets the kills of each test.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Mount, Random, again, disk_dir, noise, role, skip, tell};
use extentdb::{Db, Durability, WriteBatch};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const WRITERS: u32 = 16;
const KEYS_OF_A_WRITER: u64 = 60;
const WINDOW_BYTES: u64 = 8 << 20;
const LARGEST_VOLUME: u64 = 300 << 20;

/// Which operation of which writer in which life of the process put a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Version {
    life: u32,
    op: u32,
}

/// One change: the key's number, and the length of its new value, or none.
type Change = (u32, Option<usize>);

/// What a writer does as its `op`th operation: the same whenever it is asked.
fn operation(writer: u32, version: Version) -> Vec<Change> {
    let seed = u64::from(version.life) << 40 | u64::from(version.op) << 8 | u64::from(writer);
    let mut random = Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let changes = if random.below(10) == 0 { 3 } else { 1 };
    let first = random.below(KEYS_OF_A_WRITER);
    (0..changes)
        .map(|i| {
            let key = ((first + 7 * i) % KEYS_OF_A_WRITER) as u32;
            let len = match random.below(100) {
                0..15 => None,
                15..65 => Some(100 + random.below(2_000)),
                65..88 => Some(2_000 + random.below(28_000)),
                _ => Some(30_000 + random.below(170 << 10)),
            };
            (key, len.map(|len| len as usize))
        })
        .collect()
}

fn key_of(writer: u32, key: u32) -> String {
    format!("writer{writer:02}-key{key:03}")
}

/// A value that says what it is, then bytes that follow from that.
fn value_of(writer: u32, key: u32, version: Version, len: usize) -> Vec<u8> {
    let numbers = [writer, key, version.life, version.op, len as u32];
    let mut value: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let seed = numbers.iter().fold(0, |seed: u64, &n| seed.rotate_left(13) ^ u64::from(n));
    value.extend(noise(seed, len - value.len()));
    value
}

/// What a value says it is, if it is right to the last byte.
fn version_in(writer: u32, key: u32, value: &[u8]) -> Version {
    let number = |i: usize| u32::from_le_bytes(value[4 * i..4 * i + 4].try_into().unwrap());
    let version = Version { life: number(2), op: number(3) };
    let expected = value_of(writer, key, version, value.len());
    assert!(value == expected, "{} has bytes that nobody put", key_of(writer, key));
    version
}

// ---- the process that is killed ----

/// An acknowledged operation: its writer and number, and when it began and had ended, in ticks
/// of a clock that all writers share.
struct Ack {
    writer: u32,
    op: u32,
    begun: u64,
    ended: u64,
}

const ACK_BYTES: usize = 24;

impl Ack {
    fn to_bytes(&self) -> [u8; ACK_BYTES] {
        let mut bytes = [0; ACK_BYTES];
        bytes[..4].copy_from_slice(&self.writer.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.op.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.begun.to_le_bytes());
        bytes[16..].copy_from_slice(&self.ended.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let first = long(0);
        Self { writer: first as u32, op: (first >> 32) as u32, begun: long(8), ended: long(16) }
    }
}

fn apply(db: &Db, writer: u32, version: Version) {
    let changes = operation(writer, version);
    if let [(key, len)] = changes[..] {
        match len {
            Some(len) => db.put(key_of(writer, key), value_of(writer, key, version, len)),
            None => db.delete(key_of(writer, key)),
        }
        .unwrap();
        return;
    }
    let mut batch = WriteBatch::new();
    for (key, len) in changes {
        match len {
            Some(len) => batch.put(key_of(writer, key), value_of(writer, key, version, len)),
            None => batch.delete(key_of(writer, key)),
        }
    }
    db.write(&batch).unwrap();
}

fn write_for_ever(db: &Db, acks: &File, clock: &AtomicU64, writer: u32, life: u32) {
    for op in 0.. {
        let begun = clock.fetch_add(1, Ordering::SeqCst);
        apply(db, writer, Version { life, op });
        let ended = clock.fetch_add(1, Ordering::SeqCst);
        let ack = Ack { writer, op, begun, ended };
        (&mut &*acks).write_all(&ack.to_bytes()).unwrap();
    }
}

fn durability_named(name: &str) -> Durability {
    match name {
        "synced" => Durability::Synced,
        "written" => Durability::Written,
        _ => Durability::Buffered,
    }
}

#[test]
fn victim() {
    let Some(role) = role() else { return };
    let parts: Vec<&str> = role.split('|').collect();
    let [directory, mode, life] = parts[..] else { panic!("{role}") };
    let acks = Path::new(directory).join("acks");
    let acks = File::options().create(true).append(true).open(acks).unwrap();
    let db = Db::open(Path::new(directory).join("data.vol")).unwrap();
    let db = db.with_durability(durability_named(mode));
    let (life, clock) = (life.parse().unwrap(), AtomicU64::new(0));
    println!("READY");
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (db, acks, clock) = (&db, &acks, &clock);
            scope.spawn(move || write_for_ever(db, acks, clock, writer, life));
        }
    });
}

// ---- the process that kills, and looks ----

type State = BTreeMap<u32, Version>;

/// What a writer's acknowledged operations and the state found say about how far it came.
struct Survival {
    /// The shortest and the longest run of its operations that give what was found.
    runs: RangeInclusive<usize>,
    acks: Vec<Ack>,
}

struct Totals {
    kills: u32,
    acked: usize,
    lost: usize,
    most_lost_bytes: u64,
    dropped_tails: u32,
    volumes: u32,
}

struct Hunt {
    directory: PathBuf,
    mode: &'static str,
    states: Vec<State>,
    random: Random,
    totals: Totals,
}

impl Hunt {
    fn volume(&self) -> PathBuf {
        self.directory.join("data.vol")
    }

    /// Lets the process write for a while and kills it.
    fn kill_once(&mut self, life: u32) {
        let _ = fs::remove_file(self.directory.join("acks"));
        let role = format!("{}|{}|{life}", self.directory.display(), self.mode);
        let mut child = again("victim", &role).stdout(Stdio::piped()).spawn().unwrap();
        // Now and then while it opens; mostly while it writes.
        let early = self.random.below(6) == 0;
        if !early {
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let ready = lines.map_while(Result::ok).any(|line| line.contains("READY"));
            assert!(ready, "the process has opened the volume");
        }
        let wait = if early { self.random.below(40) } else { 30 + self.random.below(270) };
        thread::sleep(Duration::from_millis(wait));
        assert!(child.try_wait().unwrap().is_none(), "it runs until it is killed");
        child.kill().unwrap();
        child.wait().unwrap();
        self.totals.kills += 1;
    }

    fn read_acks(&self) -> Vec<Vec<Ack>> {
        let bytes = fs::read(self.directory.join("acks")).unwrap_or_default();
        let mut acks: Vec<Vec<Ack>> = (0..WRITERS).map(|_| Vec::new()).collect();
        for ack in bytes.chunks_exact(ACK_BYTES).map(Ack::from_bytes) {
            let of_writer = &mut acks[ack.writer as usize];
            assert_eq!(ack.op as usize, of_writer.len());
            of_writer.push(ack);
        }
        acks
    }

    /// Opens the volume and holds what is there against what was acknowledged.
    fn look(&mut self, life: u32) {
        let db = match Db::open(self.volume()) {
            Ok(db) => db,
            Err(error) => panic!("{} life {life}: {error}", self.mode),
        };
        self.totals.dropped_tails += u32::from(db.open_report().dropped_tail.is_some());
        let found = read_all(&db);
        let survivals: Vec<_> = self
            .read_acks()
            .into_iter()
            .enumerate()
            .map(|(writer, acks)| {
                let before = &self.states[writer];
                let runs = runs_that_give(writer as u32, life, before, &found[writer], acks.len());
                let runs = runs.unwrap_or_else(|| {
                    panic!("{} life {life}: writer {writer} is in no state it was in", self.mode)
                });
                Survival { runs, acks }
            })
            .collect();
        self.judge(life, &survivals);
        self.states = found;
        if life.is_multiple_of(5) {
            let report = db.check().unwrap();
            assert!(report.is_clean(), "{report:?}");
        }
        db.close().unwrap();
    }

    fn judge(&mut self, life: u32, survivals: &[Survival]) {
        let acked: usize = survivals.iter().map(|survival| survival.acks.len()).sum();
        let lost: usize = survivals.iter().map(|survival| survival.lost().len()).sum();
        let bytes: u64 = survivals
            .iter()
            .flat_map(Survival::lost)
            .map(|ack| log_bytes(ack.writer, Version { life, op: ack.op }))
            .sum();
        self.totals.acked += acked;
        self.totals.lost += lost;
        self.totals.most_lost_bytes = self.totals.most_lost_bytes.max(bytes);
        let allowed = if self.mode == "buffered" { WINDOW_BYTES } else { 0 };
        assert!(
            lost == 0 || bytes <= allowed,
            "{} life {life}: {lost} of {acked} acknowledged operations are lost, {bytes} bytes",
            self.mode
        );
        // Suffix: nothing lost had ended before something that survived began.
        let last_begun = survivals.iter().filter_map(Survival::last_begun).max();
        let first_ended = survivals.iter().flat_map(Survival::lost).map(|ack| ack.ended).min();
        if let (Some(begun), Some(ended)) = (last_begun, first_ended) {
            assert!(ended > begun, "{} life {life}: what is lost is no suffix", self.mode);
        }
    }

    fn replace_if_large(&mut self) {
        let len = fs::metadata(self.volume()).map_or(0, |meta| meta.len());
        if len > LARGEST_VOLUME {
            fs::remove_file(self.volume()).unwrap();
            self.states = vec![State::new(); WRITERS as usize];
            self.totals.volumes += 1;
        }
    }
}

impl Survival {
    fn lost(&self) -> &[Ack] {
        self.acks.get(*self.runs.end()..).unwrap_or_default()
    }

    /// When the last acknowledged operation began that has survived for sure.
    fn last_begun(&self) -> Option<u64> {
        let survived = (*self.runs.start()).min(self.acks.len());
        self.acks[..survived].last().map(|ack| ack.begun)
    }
}

/// Bytes of log that an operation took, at least.
fn log_bytes(writer: u32, version: Version) -> u64 {
    let in_log = |len: Option<usize>| len.filter(|&len| len <= 32 << 10).unwrap_or(0);
    operation(writer, version).iter().map(|&(_, len)| 16 + in_log(len) as u64).sum()
}

/// Every key and value, each of them verified.
fn read_all(db: &Db) -> Vec<State> {
    let mut states = vec![State::new(); WRITERS as usize];
    let mut keys = 0;
    for entry in db.iter() {
        let entry = entry.unwrap();
        let name = String::from_utf8(entry.key().to_vec()).unwrap();
        let writer: u32 = name[6..8].parse().unwrap();
        let key: u32 = name[12..].parse().unwrap();
        assert_eq!(name, key_of(writer, key), "a key that was never put");
        let version = version_in(writer, key, &entry.value().unwrap());
        states[writer as usize].insert(key, version);
        keys += 1;
    }
    assert_eq!(keys, db.len());
    states
}

/// How many of a writer's operations, from state `before` on, give state `found`; one more than
/// was acknowledged may have been under way.
fn runs_that_give(
    writer: u32,
    life: u32,
    before: &State,
    found: &State,
    acked: usize,
) -> Option<RangeInclusive<usize>> {
    let mut state = before.clone();
    let differs = |state: &State, key: u32| state.get(&key) != found.get(&key);
    let mut wrong = (0..KEYS_OF_A_WRITER as u32).filter(|&key| differs(&state, key)).count();
    let mut runs = None;
    for done in 0..=acked + 1 {
        if wrong == 0 {
            runs = Some(runs.map_or(done, |runs: RangeInclusive<usize>| *runs.start())..=done);
        }
        let version = Version { life, op: done as u32 };
        for (key, len) in operation(writer, version) {
            wrong -= usize::from(differs(&state, key));
            match len {
                Some(_) => state.insert(key, version),
                None => state.remove(&key),
            };
            wrong += usize::from(differs(&state, key));
        }
    }
    runs
}

/// Kills of each mode: where the build is, and on file systems of their own.
const KILLS: u32 = 40;
const KILLS_ON_A_FILE_SYSTEM: u32 = 30;
const FILE_SYSTEM_BYTES: u64 = 1 << 30;

fn hunt_on(kind: &str, mode: &'static str) {
    let Some(mount) = Mount::new(kind, FILE_SYSTEM_BYTES) else {
        return skip("nothing can be mounted");
    };
    hunt(mode, mount.path(), KILLS_ON_A_FILE_SYSTEM);
}

fn hunt(mode: &'static str, directory: &Path, usual: u32) {
    let kills = std::env::var("EXTENTDB_KILLS").ok().and_then(|kills| kills.parse().ok());
    let mut hunt = Hunt {
        directory: directory.to_owned(),
        mode,
        states: vec![State::new(); WRITERS as usize],
        random: Random::new(u64::from(std::process::id()) << 8 | mode.len() as u64),
        totals: Totals {
            kills: 0,
            acked: 0,
            lost: 0,
            most_lost_bytes: 0,
            dropped_tails: 0,
            volumes: 1,
        },
    };
    for life in 1..=kills.unwrap_or(usual) {
        hunt.kill_once(life);
        hunt.look(life);
        hunt.replace_if_large();
    }
    let Totals { kills, acked, lost, most_lost_bytes, dropped_tails, volumes } = hunt.totals;
    tell(&format!(
        "{kills} kills, {volumes} volumes, {acked} acknowledged operations, {lost} lost (at most \
         {most_lost_bytes} bytes of log at once), {dropped_tails} torn tails"
    ));
    assert!(acked > 0);
}

#[test]
fn in_synced_mode() {
    hunt("synced", disk_dir().path(), KILLS);
}

#[test]
fn in_written_mode() {
    hunt("written", disk_dir().path(), KILLS);
}

#[test]
fn in_buffered_mode_but_for_the_window() {
    hunt("buffered", disk_dir().path(), KILLS);
}

#[test]
fn in_synced_mode_on_ext4() {
    hunt_on("ext4", "synced");
}

#[test]
fn in_written_mode_on_ext4() {
    hunt_on("ext4", "written");
}

#[test]
fn in_buffered_mode_on_ext4() {
    hunt_on("ext4", "buffered");
}

#[test]
fn in_synced_mode_on_xfs() {
    hunt_on("xfs", "synced");
}

#[test]
fn in_written_mode_on_xfs() {
    hunt_on("xfs", "written");
}

#[test]
fn in_buffered_mode_on_xfs() {
    hunt_on("xfs", "buffered");
}
