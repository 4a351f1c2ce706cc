//! Running the real binary on volumes on a real disk.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;
use tempfile::TempDir;

/// A directory that goes away with the test, on the disk that the build is on.
pub(crate) fn temp_dir() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The binary, to be given arguments.
pub(crate) fn extentdb() -> Command {
    Command::new(env!("CARGO_BIN_EXE_extentdb"))
}

/// Runs the binary with `args`.
pub(crate) fn run<S: AsRef<OsStr>>(args: &[S]) -> Output {
    extentdb().args(args).stdin(Stdio::null()).output().unwrap()
}

/// Runs the binary with `args`, and `input` as its stdin.
pub(crate) fn run_with<S: AsRef<OsStr>>(args: &[S], input: &[u8]) -> Output {
    let mut command = extentdb();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    })
}

/// Runs the binary, which must succeed. Returns its stdout.
pub(crate) fn succeed<S: AsRef<OsStr>>(args: &[S]) -> Vec<u8> {
    let output = run(args);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    output.stdout
}

/// The exit code.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// What it said on stderr.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What it said on stdout.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `len` bytes that do not repeat.
pub(crate) fn random(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(len);
    bytes
}
