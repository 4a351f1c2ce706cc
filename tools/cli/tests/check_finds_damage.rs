//! `check`, on sound volumes and on damaged ones.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{code, random, run, run_with, stderr, stdout, succeed, temp_dir};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where `value` is in the file at `path`.
fn offset_of(path: &Path, value: &[u8]) -> u64 {
    let bytes = fs::read(path).unwrap();
    let start = &value[..64];
    let found = bytes.windows(start.len()).position(|window| window == start);
    found.expect("the value is stored as it is") as u64
}

fn flip_a_byte(path: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    file.sync_all().unwrap();
}

#[test]
fn a_sound_volume_is_clean() {
    let dir = temp_dir();
    let path = dir.path().join("v");
    let v = path.to_str().unwrap();
    for len in [10, 5000, 500_000] {
        run_with(&["put", v, &len.to_string()], &random(len, len as u64));
    }
    let checked = run(&["check", v]);
    assert_eq!(code(&checked), 0, "{}", stderr(&checked));
    assert!(stdout(&checked).starts_with("clean: 3 keys, "), "{}", stdout(&checked));
}

#[test]
fn a_damaged_large_value_is_found_and_named() {
    let dir = temp_dir();
    let path = dir.path().join("v");
    let v = path.to_str().unwrap();
    let value = random(500_000, 3);
    run_with(&["put", v, "sound"], &random(500_000, 4));
    run_with(&["put", v, "damaged"], &value);
    flip_a_byte(&path, offset_of(&path, &value) + 1000);
    let checked = run(&["check", v]);
    assert_eq!(code(&checked), 2, "{}", stderr(&checked));
    let said = stdout(&checked);
    assert!(said.contains("corrupt") && said.contains("(key damaged)"), "{said}");
    assert!(said.contains("damaged, 1 problem: 2 keys"), "{said}");
    let got = run(&["get", v, "damaged"]);
    assert_eq!(code(&got), 1);
    assert!(stderr(&got).contains("corrupt"), "{}", stderr(&got));
    assert_eq!(succeed(&["get", v, "sound"]).len(), 500_000);
}

#[test]
fn a_damaged_small_value_is_found() {
    let dir = temp_dir();
    let path = dir.path().join("v");
    let v = path.to_str().unwrap();
    let value = random(1000, 3);
    run_with(&["put", v, "damaged"], &value);
    for n in 0..20 {
        succeed(&["put", v, &format!("later{n}"), "x"]);
    }
    flip_a_byte(&path, offset_of(&path, &value) + 100);
    let checked = run(&["check", v]);
    assert_eq!(code(&checked), 2, "{}\n{}", stdout(&checked), stderr(&checked));
    assert!(stdout(&checked).contains("corrupt"), "{}", stdout(&checked));
}
