//! `churn`: all results are there, what fails is said, and nothing else is left.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{code, run, stderr, stdout, temp_dir};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;

/// Rows that every run of a closed loop has.
const OF_EACH: [&str; 14] = [
    "keys",
    "live",
    "write amplification",
    "checkpoints per byte",
    "preparation per byte",
    "used for allowed, at worst",
    "puts",
    "put, p50",
    "put, p99",
    "put, p99.9",
    "put, longest",
    "raw write and flush, worst",
    "extents used when all is deleted",
    "problems that a check finds",
];

/// Rows of the tails that are beside those of the other store.
const OF_TAILS: [&str; 4] = ["get, p50", "get, p99", "put at 70 %, p50", "put at 70 %, p99"];

/// A run in a directory, in which only its reports are left.
fn churn(dir: &Path, words: &[&str]) -> (Output, Value, String) {
    let at = |name: &str| dir.join(name).into_os_string().into_string().unwrap();
    let (volume, json, html) = (at("v"), at("results.json"), at("results.html"));
    let churn = ["churn", &volume, "--json", &json, "--html", &html, "--times", "0.5"];
    let output = run(&[&churn, words].concat());
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut left: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| name(entry.unwrap())).collect();
    left.sort();
    assert_eq!(left, ["results.html", "results.json"], "{}", stderr(&output));
    let report = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    (output, report, fs::read_to_string(&html).unwrap())
}

/// The row of `part` named `name`.
fn row<'r>(report: &'r Value, part: &str, name: &str) -> &'r Value {
    let mut rows = report["rows"].as_array().unwrap().iter();
    let row = rows.find(|row| row["part"] == part && row["name"] == name);
    row.unwrap_or_else(|| panic!("{part} has no row {name} in {report:#}"))
}

fn figure(report: &Value, part: &str, name: &str) -> f64 {
    row(report, part, name)["figure"].as_f64().unwrap()
}

fn assert_run(report: &Value, html: &str, part: &str) {
    for name in OF_EACH {
        assert!(figure(report, part, name) >= 0.0, "{part}, {name}");
    }
    assert!(figure(report, part, "write amplification") >= 1.0);
    assert!(figure(report, part, "put, longest") >= figure(report, part, "put, p50"));
    assert_intervals(report, part);
    assert!(html.contains(&format!("<h2>{part}</h2>")), "{part}");
}

/// The intervals of a run are in order, and have all records of the churn.
fn assert_intervals(report: &Value, part: &str) {
    let runs = report["runs"].as_array().unwrap();
    let run = runs.iter().find(|run| run["part"] == part).unwrap();
    let intervals = run["intervals"].as_array().unwrap();
    let records = |interval: &Value| interval["total"]["records"].as_u64().unwrap();
    assert!(!intervals.is_empty() && intervals.is_sorted_by_key(records), "{part}");
    let churned = report["bytes"].as_u64().unwrap() / 2;
    let written = records(intervals.last().unwrap());
    assert!((churned..churned + churned / 10).contains(&written), "{part}: {written}");
}

#[test]
fn small_values_have_all_rows_and_leave_nothing() {
    let dir = temp_dir();
    let only = ["--only", "uniform,zipf,tails,overload,snapshots", "--utilization", "0.5,0.6"];
    let size = ["--bytes", "48MiB", "--writers", "32", "--rounds", "1", "--seconds", "0.5"];
    let (output, report, html) = churn(dir.path(), &[&only[..], &size].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(report["failures"], Value::Array(Vec::new()));
    for part in ["uniform 0.50", "uniform 0.60", "zipf"] {
        assert_run(&report, &html, part);
        let beside = &row(&report, part, "  last half")["beside"];
        assert!(beside["name"].as_str().unwrap().starts_with("law at"));
        assert!(beside["ratio"].as_f64().unwrap() > 0.0);
    }
    assert!(row(&report, "overload", "longest put, uniform 0.60")["bar"]["is_met"].is_boolean());
    for name in OF_TAILS {
        assert!(row(&report, "tails", name)["beside"]["ratio"].as_f64().unwrap() > 0.0, "{name}");
    }
    assert!(figure(&report, "tails", "collected") > 0.0);
    assert!(figure(&report, "snapshots", "7 held: pinned") > 0.0);
    assert!(html.contains("<svg") && html.contains("prefers-color-scheme"));
    assert!(stdout(&output).contains("uniform 0.50"));
}

#[test]
fn large_values_are_not_moved() {
    let dir = temp_dir();
    let size = ["--bytes", "64MiB", "--extent-bytes", "128KiB", "--writers", "1"];
    let words = [&["--only", "large", "--seconds", "0.05"], &size[..]].concat();
    let (output, report, html) = churn(dir.path(), &words);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_run(&report, &html, "large");
    assert_eq!(figure(&report, "large", "collected"), 0.0);
    assert!(report["runs"][0]["keys"].as_u64().unwrap() >= 50);
}

#[test]
fn a_full_volume_is_a_failure_of_its_part() {
    let dir = temp_dir();
    let size = ["--bytes", "4MiB", "--extent-bytes", "16KiB", "--utilization", "0.99"];
    let (output, report, html) = churn(dir.path(), &[&["--only", "uniform"], &size[..]].concat());
    assert_eq!(code(&output), 1);
    let what = "uniform 0.99: while loading: the volume is full";
    assert!(stderr(&output).contains(what), "{}", stderr(&output));
    assert_eq!(report["failures"][0]["part"], "uniform 0.99");
    assert!(html.contains(what));
}

#[test]
fn a_volume_that_is_there_is_left_alone() {
    let dir = temp_dir();
    let path = dir.path().join("v");
    fs::write(&path, "mine").unwrap();
    let output = run(&["churn".as_ref(), path.as_os_str()]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("exists"), "{}", stderr(&output));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}
