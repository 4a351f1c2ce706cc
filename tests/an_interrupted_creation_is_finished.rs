//! Whatever a crash during creation leaves, the next open makes a store of it.

#![allow(clippy::unwrap_used)]

mod common;

use common::{
    PAGE, again, assert_holds, assert_reads, disk_dir, fill, noise, role, seal_superblock,
};
use common::{Random, small_extents, tell};
use extentdb::{Db, Error, Options};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

/// Where the superblocks and the page that anchors the log are with extents of 64 KiB.
const SECOND: usize = 15;
const GENESIS: usize = 16;

/// The bytes of a volume just created.
struct Created {
    bytes: Vec<u8>,
}

impl Created {
    fn new() -> Self {
        let dir = disk_dir();
        let path = dir.path().join("data.vol");
        let db = small_extents().open(&path).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        drop(db);
        // What the first open wrote after creation is not part of it.
        bytes[(GENESIS + 1) * PAGE..].fill(0);
        let generation = |page: usize| bytes[page * PAGE + 24];
        assert_eq!((generation(0), generation(SECOND)), (2, 1));
        Self { bytes }
    }

    fn page(&self, page: usize) -> &[u8] {
        &self.bytes[page * PAGE..][..PAGE]
    }

    /// The marker that says that creation has begun.
    fn marker(&self) -> Vec<u8> {
        let mut page = self.page(0).to_vec();
        page[24..32].fill(0);
        page[36] |= 2;
        page[48..56].copy_from_slice(&1u64.to_le_bytes());
        page[56..80].fill(0);
        seal_superblock(&mut page);
        page
    }

    /// The whole length in zeros, with some pages in place.
    fn image(&self, pages: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; self.bytes.len()];
        for (page, content) in pages {
            bytes[page * PAGE..][..content.len()].copy_from_slice(content);
        }
        bytes
    }
}

/// What a crash at each point of creation leaves.
fn states() -> Vec<(&'static str, Vec<u8>)> {
    let created = Created::new();
    let marker = created.marker();
    let (genesis, second) = (created.page(GENESIS), created.page(SECOND));
    let torn = [&second[..100], &noise(1, 412)].concat();
    let grown_in_part = created.image(&[(0, &marker)])[..20 * PAGE].to_vec();
    let grown_a_little = created.image(&[(0, &marker)])[..7 * PAGE].to_vec();
    let torn_genesis = &genesis[..1024];
    vec![
        ("an empty file", Vec::new()),
        ("a page of zeros", vec![0; PAGE]),
        ("the marker", marker.clone()),
        ("the marker, grown a little", grown_a_little),
        ("the marker, grown in part", grown_in_part),
        ("the marker, grown", created.image(&[(0, &marker)])),
        ("a torn genesis page", created.image(&[(0, &marker), (GENESIS, torn_genesis)])),
        ("the genesis page", created.image(&[(0, &marker), (GENESIS, genesis)])),
        (
            "a torn second superblock",
            created.image(&[(0, &marker), (GENESIS, genesis), (SECOND, &torn)]),
        ),
        (
            "the second superblock",
            created.image(&[(0, &marker), (GENESIS, genesis), (SECOND, second)]),
        ),
        (
            "a torn first superblock",
            created.image(&[(0, &noise(2, 512)), (GENESIS, genesis), (SECOND, second)]),
        ),
        ("all of it", created.bytes.clone()),
    ]
}

fn check(path: &Path, what: &str, bytes: &[u8], options: &Options) {
    fs::write(path, bytes).unwrap();
    let db = match options.open(path) {
        Ok(db) => db,
        Err(error) => panic!("{what}: {error}"),
    };
    assert_reads(&db, &[]);
    let mut pairs = fill(&db, 30, 3000);
    db.put("large", vec![5; 100_000]).unwrap();
    pairs.push((b"large".to_vec(), vec![5; 100_000]));
    assert_reads(&db, &pairs);
    let crashed = common::crash_image(path, "crashed.vol");
    db.close().unwrap();
    for path in [path, &crashed] {
        let db = options.clone().create(false).open(path).unwrap();
        assert!(!db.open_report().created);
        assert_reads(&db, &pairs);
    }
    assert_holds(&Db::open(path).unwrap(), &pairs);
}

#[test]
fn from_every_state_that_a_crash_can_leave() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    for (what, bytes) in states() {
        check(&path, what, &bytes, &small_extents());
    }
}

#[test]
fn with_other_options_than_it_was_begun_with() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let others = [
        Options::new().extent_bytes(256 << 10).max_bytes(64 << 20),
        Options::new().volume_bytes(4 << 20),
    ];
    for (what, bytes) in states() {
        for options in &others {
            check(&path, what, &bytes, options);
        }
    }
}

#[test]
fn unless_nothing_may_be_created() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    for (what, bytes) in states().into_iter().take(8) {
        fs::write(&path, &bytes).unwrap();
        let outcome = Options::new().create(false).open(&path);
        assert!(matches!(outcome, Err(Error::NotAStore { .. })), "{what}: {outcome:?}");
        assert!(fs::read(&path).unwrap() == bytes, "{what}: touched");
    }
}

/// Creates the volume that the role names, over and over the slow way.
#[test]
fn creator() {
    let Some(path) = role() else { return };
    println!("GO");
    let db = Options::new().extent_bytes(4 << 20).open(path).unwrap();
    thread::sleep(Duration::from_secs(20));
    drop(db);
}

#[test]
fn after_a_kill_at_any_moment() {
    let dir = disk_dir();
    let mut random = Random::new(7);
    let (mut absent, mut unfinished, mut complete) = (0, 0, 0);
    for kill in 0..50 {
        let path = dir.path().join(format!("{kill}.vol"));
        let mut command = again("creator", path.to_str().unwrap());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("GO")));
        thread::sleep(Duration::from_micros(random.below(20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let is_there = path.exists();
        let db = match Options::new().extent_bytes(1 << 20).open(&path) {
            Ok(db) => db,
            Err(error) => panic!("kill {kill}: {error}"),
        };
        match (is_there, db.open_report().created) {
            (false, _) => absent += 1,
            (true, true) => unfinished += 1,
            (true, false) => complete += 1,
        }
        let pairs = fill(&db, 3, 5000);
        db.close().unwrap();
        assert_holds(&Db::open(&path).unwrap(), &pairs);
        fs::remove_file(&path).unwrap();
    }
    tell(&format!(
        "50 kills: {absent} before the file, {unfinished} in creation, {complete} after it"
    ));
    assert!(unfinished > 0, "some kills have to hit creation");
}
