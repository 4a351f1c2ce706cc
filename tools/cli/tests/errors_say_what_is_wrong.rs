//! What the binary says when it cannot do what it is told to.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{code, run, run_with, stderr, succeed, temp_dir};
use extentdb::Db;
use std::fs;

#[test]
fn a_volume_in_use_is_named_with_the_process_that_uses_it() {
    let dir = temp_dir();
    let path = dir.path().join("v");
    let held = Db::open(&path).unwrap();
    let refused = run(&["get", path.to_str().unwrap(), "k"]);
    assert_eq!(code(&refused), 1);
    let expected = format!("in use by process {}", std::process::id());
    assert!(stderr(&refused).contains(&expected), "{}", stderr(&refused));
    held.close().unwrap();
    assert!(stderr(&run(&["get", path.to_str().unwrap(), "k"])).contains("no such key"));
}

#[test]
fn a_missing_volume_is_an_error_and_stays_missing() {
    let dir = temp_dir();
    let path = dir.path().join("none");
    let v = path.to_str().unwrap();
    let out = dir.path().join("out");
    let commands = [
        vec!["get", v, "k"],
        vec!["delete", v, "k"],
        vec!["scan", v],
        vec!["info", v],
        vec!["check", v],
        vec!["export", v, out.to_str().unwrap()],
    ];
    for command in commands {
        let refused = run(&command);
        assert_eq!(code(&refused), 1, "{command:?}");
        let said = stderr(&refused);
        assert_eq!(said.matches("No such file").count(), 1, "{said}");
        assert!(said.contains(v) && !path.exists(), "{said}");
    }
    assert!(!out.exists());
}

#[test]
fn a_foreign_file_is_left_alone() {
    let dir = temp_dir();
    let path = dir.path().join("letter");
    fs::write(&path, "Dear Sir".repeat(2000)).unwrap();
    let v = path.to_str().unwrap();
    for command in [vec!["put", v, "k", "v"], vec!["check", v], vec!["bench", v, "--quick"]] {
        let refused = run(&command);
        assert_eq!(code(&refused), 1, "{command:?}");
        assert!(stderr(&refused).contains(v), "{}", stderr(&refused));
    }
    assert_eq!(fs::read(&path).unwrap(), "Dear Sir".repeat(2000).as_bytes());
}

#[test]
fn create_new_insists() {
    let dir = temp_dir();
    let path = dir.path().join("v");
    let v = path.to_str().unwrap();
    succeed(&["put", v, "k", "v", "--create-new", "--volume-bytes", "16MiB"]);
    assert_eq!(fs::metadata(&path).unwrap().len(), 16 << 20);
    let refused = run(&["put", v, "k", "w", "--create-new"]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("exists already"), "{}", stderr(&refused));
    assert_eq!(succeed(&["get", v, "k"]), b"v");
}

#[test]
fn a_full_volume_says_so() {
    let dir = temp_dir();
    let path = dir.path().join("v");
    let v = path.to_str().unwrap();
    succeed(&["put", v, "k", "v", "--max-bytes", "1M"]);
    let refused = run_with(&["put", v, "large"], &[1; 4 << 20]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("full"), "{}", stderr(&refused));
    assert_eq!(succeed(&["get", v, "k"]), b"v");
}

#[test]
fn wrong_usage_is_told_apart_from_failure_and_damage() {
    for command in [&["frobnicate"][..], &[], &["get", "v"], &["put", "v", "k", "--max-bytes", "x"]]
    {
        let refused = run(command);
        assert_eq!(code(&refused), 64, "{command:?}");
        assert!(stderr(&refused).contains("Usage") || stderr(&refused).contains("x"));
    }
    assert_eq!(code(&run(&["--help"])), 0);
    assert_eq!(code(&run(&["--version"])), 0);
}
