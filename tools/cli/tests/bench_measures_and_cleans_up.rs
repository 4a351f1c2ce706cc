//! `bench`: all results are there, and nothing else is left.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{code, run, stderr, temp_dir};
use serde_json::Value;
use std::fs;
use std::path::Path;

const ROWS: [&str; 18] = [
    "put 1 KiB x1",
    "put 1 KiB x16",
    "put 1 KiB x64",
    "put 1 KiB x256",
    "put_async 1 KiB 256/2",
    "get 1 KiB x1",
    "get 1 KiB x16",
    "scan 1 KiB",
    "scan keys 1 KiB",
    "overwrite 1 KiB x16",
    "put 1 MiB x1",
    "put 1 MiB x16",
    "put 1 MiB x64",
    "get 1 MiB x1",
    "get 1 MiB x16",
    "scan 1 MiB",
    "scan keys 1 MiB",
    "overwrite 1 MiB x16",
];

fn left_in(dir: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    fs::read_dir(dir).unwrap().map(|entry| name(entry.unwrap())).collect()
}

fn assert_positive(row: &Value, side: &str) {
    for number in
        ["ops", "seconds", "ops_per_s", "mib_per_s", "p50_ns", "p99_ns", "p999_ns", "max_ns"]
    {
        let found = row[side][number].as_f64().unwrap();
        assert!(found > 0.0, "{} {side} {number}: {found}", row["name"]);
    }
}

fn assert_row(row: &Value) {
    let name = row["name"].as_str().unwrap();
    assert_positive(row, "store");
    if !name.starts_with("scan keys") {
        assert_positive(row, "raw");
        assert!(
            row["p50_ratio"].as_f64().unwrap() > 0.0 && row["rate_ratio"].as_f64().unwrap() > 0.0
        );
    }
    if name.starts_with("put") || name.starts_with("overwrite") {
        assert!(row["write_amplification"].as_f64().unwrap() >= 1.0, "{row}");
        assert!(row["records_per_flush"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(!name.ends_with("x1"), row["raw_lone"].is_object(), "{row}");
    }
}

#[test]
fn a_quick_run_has_every_row_and_leaves_nothing() {
    let dir = temp_dir();
    let volume = dir.path().join("v");
    let output =
        run(&["bench", volume.to_str().unwrap(), "--quick", "--seconds", "0.05", "--json", "-"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.iter().map(|row| row["name"].as_str().unwrap()).eq(ROWS));
    rows.iter().for_each(assert_row);
    assert!(report["keys"].as_u64().unwrap() > 0);
    assert_eq!(report["durability"], "synced");
    assert_eq!(left_in(dir.path()), Vec::<String>::new());
}

#[test]
fn a_table_and_a_json_file_are_written_and_the_volume_may_be_kept() {
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
    let (volume, json) = (at("v"), at("results.json"));
    let bench = ["bench", &volume, "--quick", "--seconds", "0.02", "--bytes", "400MiB", "--keep"];
    let output = run(&[&bench[..], &["--json", &json]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    for row in ROWS {
        assert!(table.lines().any(|line| line.starts_with(row)), "{row} is not in:\n{table}");
    }
    serde_json::from_slice::<Value>(&fs::read(&json).unwrap()).unwrap();
    let mut left = left_in(dir.path());
    left.sort();
    assert_eq!(left, ["results.json", "v"]);
    assert!(fs::metadata(&volume).unwrap().len() <= 400 << 20);
    assert_eq!(code(&run(&["check", &volume])), 0);
}
