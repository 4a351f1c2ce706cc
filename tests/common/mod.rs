//! What several integration tests need: volumes on a real disk, loop devices and mounts that go
//! away by themselves, processes that are this test once more, and damage.

// Every test file is a program of its own and uses a part of this.
#![allow(dead_code)]

use extentdb::{Db, Error, Options};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const PAGE: usize = 4096;

/// A directory on the disk that the build is on, which is no tmpfs where that matters.
pub(crate) fn disk_dir() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Options for a volume with 64 KiB extents, so that a few values fill several.
pub(crate) fn small_extents() -> Options {
    Options::new().extent_bytes(64 << 10).max_bytes(64 << 20)
}

/// `len` bytes that depend on `seed` at every place.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// SplitMix64: small, and the same on every run.
pub(crate) struct Random(u64);

impl Random {
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

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// The error of an open that must not succeed.
#[track_caller]
pub(crate) fn refusal(outcome: Result<Db, Error>) -> Error {
    match outcome {
        Ok(db) => panic!("opened, with {} keys: {:?}", db.len(), db.open_report()),
        Err(error) => error,
    }
}

/// Opens `path` with `options`, which must fail and leave every byte as it was.
#[track_caller]
pub(crate) fn refused_untouched(options: &Options, path: &Path) -> Error {
    let before = fs::read(path).unwrap();
    let error = refusal(options.open(path));
    assert!(fs::read(path).unwrap() == before, "the file was touched by an open that failed");
    error
}

/// As [`assert_reads`], and a full check finds nothing.
#[track_caller]
pub(crate) fn assert_holds(db: &Db, expected: &[(Vec<u8>, Vec<u8>)]) {
    assert_reads(db, expected);
    let report = db.check().unwrap();
    assert!(report.is_clean(), "{report:?}");
}

/// Asserts that exactly `expected` is in the store, by get, scan and count.
#[track_caller]
pub(crate) fn assert_reads(db: &Db, expected: &[(Vec<u8>, Vec<u8>)]) {
    for (key, value) in expected {
        let found = db.get(key).unwrap();
        let found = found.unwrap_or_else(|| panic!("{} is lost", key.escape_ascii()));
        assert!(*found == **value, "{} has another value", key.escape_ascii());
    }
    assert_eq!(db.len(), expected.len() as u64);
    let mut sorted: Vec<&[u8]> = expected.iter().map(|(key, _)| key.as_slice()).collect();
    sorted.sort_unstable();
    let scanned: Vec<_> = db.iter().map(|entry| entry.unwrap().key().to_vec()).collect();
    assert_eq!(scanned, sorted);
}

/// Puts keys `key0`.. with values of `len` bytes; returns what was put.
pub(crate) fn fill(db: &Db, keys: usize, len: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pairs: Vec<_> =
        (0..keys).map(|i| (format!("key{i:05}").into_bytes(), noise(i as u64, len))).collect();
    for (key, value) in &pairs {
        db.put(key, value).unwrap();
    }
    pairs
}

/// A copy of the file of a live store, as a crash at this moment would leave it, taken when the
/// store has been idle for long enough to have written its page of evidence.
pub(crate) fn crash_image(volume: &Path, name: &str) -> PathBuf {
    std::thread::sleep(Duration::from_millis(60));
    let image = volume.with_file_name(name);
    fs::copy(volume, &image).unwrap();
    image
}

/// Reads page `page` of a file.
pub(crate) fn read_page(path: &Path, page: u64) -> Vec<u8> {
    let mut bytes = vec![0; PAGE];
    File::open(path).unwrap().read_exact_at(&mut bytes, page * PAGE as u64).unwrap();
    bytes
}

/// Overwrites part of a file.
pub(crate) fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
    file.sync_all().unwrap();
}

/// Inverts one byte of a file.
pub(crate) fn flip(path: &Path, at: u64) {
    let mut byte = [0];
    File::open(path).unwrap().read_exact_at(&mut byte, at).unwrap();
    overwrite(path, at, &[!byte[0]]);
}

/// Where `needle` is in a file: every place.
pub(crate) fn places_of(path: &Path, needle: &[u8]) -> Vec<u64> {
    let bytes = fs::read(path).unwrap();
    let found = |at: &usize| bytes[*at..].starts_with(needle);
    (0..=bytes.len() - needle.len()).filter(found).map(|at| at as u64).collect()
}

/// Gives a superblock page the checksum that it should have.
pub(crate) fn seal_superblock(page: &mut [u8]) {
    let checksum = crc32c::crc32c(&page[4..PAGE]);
    page[..4].copy_from_slice(&checksum.to_le_bytes());
}

/// The output of a program; `None`, with a note, where it is missing or fails.
pub(crate) fn run(program: &str, args: &[&str]) -> Option<String> {
    match Command::new(program).args(args).output() {
        Ok(output) if output.status.success() => {
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            tell(&format!("{program} {args:?}: {why}"));
            None
        }
        Err(error) => {
            tell(&format!("{program}: {error}"));
            None
        }
    }
}

/// Says why a test shows nothing here.
pub(crate) fn skip(why: &str) {
    tell(&format!("SKIPPED, as {why}"));
}

/// Says what a test did, past the harness, which keeps to itself what tests print.
pub(crate) fn tell(line: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("?");
    let _ = writeln!(std::io::stderr(), "{test}: {line}");
}

/// A loop device on a file of its own, gone when dropped.
pub(crate) struct Loop {
    name: String,
    backing: PathBuf,
    _dir: Option<TempDir>,
}

impl Loop {
    /// `None`, with a note, where there are no loop devices.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        let dir = disk_dir();
        let mut device = Self::on(dir.path(), bytes)?;
        device._dir = Some(dir);
        Some(device)
    }

    /// One whose file is in `directory`.
    pub(crate) fn on(directory: &Path, bytes: u64) -> Option<Self> {
        let backing = directory.join("backing");
        File::create(&backing).unwrap().set_len(bytes).unwrap();
        let name = run("losetup", &["--find", "--show", backing.to_str()?])?;
        Some(Self { name, backing, _dir: None })
    }

    /// The file under it.
    pub(crate) fn backing(&self) -> &Path {
        &self.backing
    }

    /// The same device, read-only from now on.
    pub(crate) fn into_read_only(mut self) -> Option<Self> {
        run("losetup", &["--detach", &self.name])?;
        let backing = self.backing.to_str()?;
        self.name = run("losetup", &["--find", "--show", "--read-only", backing])?;
        Some(self)
    }

    pub(crate) fn path(&self) -> &Path {
        Path::new(&self.name)
    }

    /// The device's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(&self.name).unwrap()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        run("losetup", &["--detach", &self.name]);
    }
}

/// Something mounted on a directory of its own, gone when dropped.
pub(crate) struct Mount {
    dir: TempDir,
    _device: Option<Loop>,
}

impl Mount {
    /// A file system of `kind` and `bytes` bytes; `None`, with a note, where that cannot be had.
    pub(crate) fn new(kind: &str, bytes: u64) -> Option<Self> {
        let dir = disk_dir();
        let at = dir.path().to_str()?.to_owned();
        if kind == "tmpfs" {
            run("mount", &["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs", &at])?;
            return Some(Self { dir, _device: None });
        }
        let device = Loop::new(bytes)?;
        let quiet = if kind == "xfs" { "-f" } else { "-F" };
        run(&format!("mkfs.{kind}"), &["-q", quiet, &device.name])?;
        run("mount", &["-t", kind, &device.name, &at])?;
        Some(Self { dir, _device: Some(device) })
    }

    /// `source` once more, read-only.
    pub(crate) fn read_only(source: &Path) -> Option<Self> {
        let dir = disk_dir();
        let at = dir.path().to_str()?.to_owned();
        run("mount", &["--bind", source.to_str()?, &at])?;
        let mount = Self { dir, _device: None };
        run("mount", &["-o", "remount,bind,ro", &at])?;
        Some(mount)
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &[self.path().to_str().unwrap()]);
    }
}

/// The environment variable that tells a test that it runs in a process of its own, and with
/// what.
pub(crate) const ROLE: &str = "EXTENTDB_TEST_ROLE";

/// This program once more, to run only the test `name`, which finds `role` by [`role`].
pub(crate) fn again(name: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command.stdin(Stdio::null());
    command
}

/// What this process was started for, if it was by [`again`].
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}
