//! `reads`: all results are there, and nothing else is left.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{code, run, stderr, temp_dir};
use serde_json::Value;
use std::fs;

/// Parts, and whether they are beside raw reads.
const PARTS: [(&str, bool); 6] = [
    ("cold gets, 1 thread", true),
    ("cold gets, 16 threads", true),
    ("cold multi-gets of 32", true),
    ("cold scan", true),
    ("cold scan, backwards", true),
    ("hot gets, 2 threads", false),
];

#[test]
fn every_part_has_its_rows_and_nothing_is_left() {
    for more in [&[][..], &["--no-io-uring", "--cache-bytes", "0"]] {
        let dir = temp_dir();
        let at = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
        let (volume, json) = (at("v"), at("results.json"));
        let words = ["reads", &volume, "--json", &json, "--keys", "5000", "--rounds", "2"];
        let output = run(&[&words[..], &["--seconds", "0.02"], more].concat());
        if stderr(&output).contains("io_uring cannot be had") {
            println!("note: skipped, as io_uring cannot be had here");
            return;
        }
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["results.json"]);
        let report: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
        assert_eq!(report["io_uring"] == "off", !more.is_empty());
        let rows = report["rows"].as_array().unwrap();
        for (part, is_beside) in PARTS {
            let mut of_part = rows.iter().filter(|row| row["part"] == part);
            let rate = of_part.find(|row| row["name"] == "values").unwrap();
            assert!(rate["figure"].as_f64().unwrap() > 0.0, "{part}");
            assert_eq!(rate["beside"]["ratio"].as_f64().is_some(), is_beside, "{part}");
            assert!(rows.iter().any(|row| row["part"] == part && row["bar"].is_object()));
        }
    }
}
