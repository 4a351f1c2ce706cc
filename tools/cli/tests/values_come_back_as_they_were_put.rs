//! Puts, gets, deletes and scans by the real binary.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{code, extentdb, random, run, run_with, stderr, stdout, succeed, temp_dir};
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

#[test]
fn a_value_from_the_command_line_comes_back() {
    let dir = temp_dir();
    let volume = dir.path().join("v").into_os_string();
    let v = volume.to_str().unwrap();
    succeed(&["put", v, "plum", "purple"]);
    succeed(&["put", v, "plum", "blue"]);
    assert_eq!(succeed(&["get", v, "plum"]), b"blue");
}

#[test]
fn a_binary_value_from_stdin_comes_back_under_a_binary_key() {
    let dir = temp_dir();
    let volume = dir.path().join("v").into_os_string();
    let key = OsStr::from_bytes(b"\xff\xfe \n\x01");
    for (seed, len) in [0, 1, 5000, 40_000, 3_000_001].into_iter().enumerate() {
        let value = random(len, seed as u64);
        let put = run_with(&[OsStr::new("put"), &volume, key], &value);
        assert_eq!(code(&put), 0, "{}", stderr(&put));
        assert!(succeed(&[OsStr::new("get"), &volume, key]) == value, "{len} bytes");
    }
}

#[test]
fn keys_may_be_given_as_scan_prints_them() {
    let dir = temp_dir();
    let volume = dir.path().join("v").into_os_string();
    let v = volume.to_str().unwrap();
    succeed(&["put", v, "-e", r"\x00a\xff\n\\", "1"]);
    assert_eq!(succeed(&["scan", v, "--keys"]), b"\\x00a\\xff\\n\\\\\n");
    assert_eq!(succeed(&["get", v, "-e", r"\x00a\xff\n\\"]), b"1");
    succeed(&["delete", v, "-e", r"\x00a\xff\n\\"]);
    assert_eq!(succeed(&["scan", v]), b"");
}

#[test]
fn files_are_put_and_gotten_whole() {
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
    let value = random((3 << 20) + 17, 9);
    fs::write(at("in"), &value).unwrap();
    succeed(&["put", &at("v"), "k", "--file", &at("in")]);
    assert_eq!(succeed(&["get", &at("v"), "k", "--output", &at("out")]), b"");
    assert!(fs::read(at("out")).unwrap() == value);
    let missing = run(&["put", &at("v"), "k", "--file", &at("none")]);
    assert_eq!(code(&missing), 1);
    assert!(stderr(&missing).contains(&at("none")), "{}", stderr(&missing));
    assert!(succeed(&["get", &at("v"), "k"]) == value);
}

#[test]
fn what_is_deleted_or_never_was_is_absent() {
    let dir = temp_dir();
    let volume = dir.path().join("v").into_os_string();
    let v = volume.to_str().unwrap();
    for key in ["a", "b", "c"] {
        succeed(&["put", v, key, "x"]);
    }
    succeed(&["delete", v, "a", "c", "never"]);
    for key in ["a", "c", "never"] {
        let absent = run(&["get", v, key]);
        assert_eq!((code(&absent), &absent.stdout[..]), (1, &b""[..]));
        assert_eq!(stderr(&absent), format!("extentdb: no such key: {key}\n"));
    }
    assert_eq!(succeed(&["get", v, "b"]), b"x");
}

#[test]
fn scans_are_ordered_and_bounded() {
    let dir = temp_dir();
    let volume = dir.path().join("v").into_os_string();
    let v = volume.to_str().unwrap();
    for (key, value) in [("b2", "two"), ("a", "one\n"), ("c", ""), ("b1", "1"), ("b3", "3")] {
        succeed(&["put", v, "--", key, value]);
    }
    let scan = |args: &[&str]| {
        let args: Vec<_> = ["scan", v].iter().chain(args).copied().collect();
        String::from_utf8(succeed(&args)).unwrap()
    };
    assert_eq!(scan(&[]), "a\t4\tone\\n\nb1\t1\t1\nb2\t3\ttwo\nb3\t1\t3\nc\t0\t\n");
    assert_eq!(scan(&["--keys"]), "a\nb1\nb2\nb3\nc\n");
    assert_eq!(scan(&["--keys", "--prefix", "b"]), "b1\nb2\nb3\n");
    assert_eq!(scan(&["--keys", "--prefix", "b", "--from", "b2"]), "b2\nb3\n");
    assert_eq!(scan(&["--keys", "--prefix", "b", "--to", "b3", "--reverse"]), "b2\nb1\n");
    assert_eq!(scan(&["--keys", "--from", "b2", "--to", "c"]), "b2\nb3\n");
    assert_eq!(scan(&["--keys", "--reverse", "--limit", "2"]), "c\nb3\n");
    assert_eq!(scan(&["--keys", "--from", "z", "--to", "a"]), "");
    assert_eq!(scan(&["--limit", "0"]), "");
}

#[test]
fn scans_show_the_beginning_of_long_values_or_all_of_them() {
    let dir = temp_dir();
    let volume = dir.path().join("v").into_os_string();
    let v = volume.to_str().unwrap();
    succeed(&["put", v, "k", &"x".repeat(100_000)]);
    let shown = format!("k\t100000\t{}...\n", "x".repeat(64));
    assert_eq!(succeed(&["scan", v]), shown.as_bytes());
    let full = format!("k\t100000\t{}\n", "x".repeat(100_000));
    assert!(succeed(&["scan", v, "--full"]) == full.as_bytes());
}

#[test]
fn readers_that_go_away_are_no_error() {
    let dir = temp_dir();
    let volume = dir.path().join("v").into_os_string();
    let v = volume.to_str().unwrap();
    run_with(&["put", v, "large"], &random(4 << 20, 5));
    for args in [["scan", v, "--full"], ["get", v, "large"]] {
        let mut command = extentdb();
        let mut child =
            command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    }
}

#[test]
fn info_shows_device_open_report_and_space() {
    let dir = temp_dir();
    let volume = dir.path().join("v").into_os_string();
    let v = volume.to_str().unwrap();
    succeed(&["put", v, "k", "v"]);
    let info = stdout(&run(&["info", v]));
    for fact in ["store id", "direct I/O", "sync method", "recovered batch", "keys", "log ", "free"]
    {
        assert!(info.contains(fact), "{fact} is not in:\n{info}");
    }
}
