//! `bench`: each part that is asked for has its rows beside the raw device, and what is exported can be
//! read by others.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{code, run, stderr, temp_dir};
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A short run of `only`; its report.
fn bench(dir: &Path, only: &str, words: &[&str]) -> Value {
    let volume = dir.join("v").into_os_string().into_string().unwrap();
    let bench = ["bench", &volume, "--quick", "--only", only, "--json", "-", "--rounds", "2"];
    let output = run(&[&bench[..], words].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(!dir.join("v").exists() && !dir.join("v.scratch").exists());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The only part of `report`, which says what it worked on.
fn part<'r>(report: &'r Value, name: &str) -> &'r Value {
    let [part] = report["parts"].as_array().unwrap().as_slice() else { panic!("{report:#}") };
    assert_eq!((part["part"].as_str(), part["durability"].as_str()), (Some(name), Some("synced")));
    part
}

/// Asserts that the row `name` of a part whose name begins with `part` is there, beside the raw
/// device.
fn assert_row(report: &Value, part: &str, name: &str) {
    let mut rows = report["rows"].as_array().unwrap().iter();
    let row =
        rows.find(|row| row["part"].as_str().unwrap().starts_with(part) && row["name"] == name);
    let row = row.unwrap_or_else(|| panic!("{part} has no row {name} in {report:#}"));
    let (figure, ratio) = (row["figure"].as_f64().unwrap(), row["beside"]["ratio"].as_f64());
    assert!(figure > 0.0 && ratio.unwrap() > 0.0, "{row}");
}

fn assert_rows(report: &Value, part: &str, what: &str) {
    assert_row(report, part, what);
    for quantile in ["p50", "p99", "p99.9", "longest"] {
        assert_row(report, part, &format!("{what}, {quantile}"));
    }
}

#[test]
fn the_workloads_of_ycsb_have_a_row_for_each_kind_of_operation() {
    let dir = temp_dir();
    let words = ["--seconds", "0.4", "--keys", "2000", "--value-bytes", "200", "--threads", "4"];
    let report = bench(dir.path(), "ycsb", &words);
    let ycsb = part(&report, "ycsb");
    assert_eq!((ycsb["keys"].as_u64(), ycsb["value_bytes"].as_u64()), (Some(2000), Some(200)));
    assert_rows(ycsb, "YCSB load", "insert");
    let kinds = [
        ("YCSB A: ", &["read", "update"][..]),
        ("YCSB B: ", &["read", "update"]),
        ("YCSB C: ", &["read"]),
        ("YCSB D: ", &["read", "insert"]),
        ("YCSB E: ", &["scan"]),
        ("YCSB F: ", &["read", "read-modify-write"]),
    ];
    for (part, kinds) in kinds {
        assert_row(ycsb, part, "all operations");
        kinds.iter().for_each(|kind| assert_rows(ycsb, part, kind));
    }
    assert_eq!(report["rows"], Value::Array(Vec::new()));
}

#[test]
fn sizes_go_from_128_bytes_to_a_mebibyte() {
    let dir = temp_dir();
    let report = bench(dir.path(), "sizes", &["--seconds", "0.04"]);
    let sizes = part(&report, "sizes");
    for size in ["128 B", "1.0 KiB", "4.0 KiB", "16.0 KiB", "64.0 KiB", "256.0 KiB", "1.0 MiB"] {
        assert_rows(sizes, "sizes", &format!("put {size}"));
        assert_rows(sizes, "sizes", &format!("cold get {size}"));
    }
}

#[test]
fn depths_go_from_1_to_256() {
    let dir = temp_dir();
    let report = bench(dir.path(), "depths", &["--seconds", "0.04"]);
    let depths = part(&report, "depths");
    assert_rows(depths, "depths", "1 writer");
    for depth in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
        if depth > 1 {
            assert_rows(depths, "depths", &format!("{depth} writers"));
        }
        assert_rows(depths, "depths", &format!("{depth} in flight"));
        if depth <= 128 {
            assert_row(depths, "depths", &format!("{depth} reads in flight, values"));
            assert_row(depths, "depths", &format!("{depth} reads in flight, p50"));
        }
    }
}

#[test]
fn arrivals_come_at_a_share_of_the_capacity_or_at_a_rate() {
    let dir = temp_dir();
    let words = ["--seconds", "0.4", "--keys", "2000", "--threads", "4"];
    let report = bench(dir.path(), "open-loop", &[&words[..], &["--load", "20,40"]].concat());
    let open_loop = part(&report, "open-loop");
    for what in ["put", "get"] {
        assert_row(open_loop, "open loop", &format!("{what}, closed loop"));
        assert_rows(open_loop, "open loop", &format!("{what} at 20 %"));
        assert_rows(open_loop, "open loop", &format!("{what} at 40 %"));
    }
    let report = bench(dir.path(), "open-loop", &[&words[..], &["--rate", "50"]].concat());
    assert_rows(part(&report, "open-loop"), "open loop", "get at 50/s");
}

#[test]
fn what_is_exported_is_read_by_others() {
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
    let (html, hlog, hgrm) = (at("r.html"), at("r.hlog"), at("percentiles"));
    let export = ["--html", &html, "--hlog", &hlog, "--hgrm", &hgrm, "--seconds", "0.2"];
    let words = ["--keys", "2000", "--threads", "2", "--load", "30"];
    bench(dir.path(), "open-loop", &[&export[..], &words].concat());
    let tags = tags(&fs::read(&hlog).unwrap());
    assert!(tags.contains("open-loop-put-at-30-store") && tags.contains("open-loop-put-at-30-raw"));
    assert_eq!(tags, files_of_percentiles(Path::new(&hgrm)));
    let html = fs::read_to_string(&html).unwrap();
    assert_eq!(html.matches("<summary>put at 30 %</summary>").count(), 1);
    // Two of bars, and three plots of each of four operations.
    assert_eq!(html.matches("<svg").count(), 2 + 3 * 4);
    assert!(["http", "src=", "url(", "<script"].iter().all(|word| !html.contains(word)));
}

/// The tags of the intervals of a log.
fn tags(log: &[u8]) -> BTreeSet<String> {
    let entries = IntervalLogIterator::new(log).map(|entry| entry.ok().unwrap());
    let tag = |entry: LogEntry<'_>| match entry {
        LogEntry::Interval(interval) => Some(interval.tag().unwrap().as_str().to_owned()),
        _ => None,
    };
    entries.filter_map(tag).collect()
}

/// The names of the files in `dir`, each of which has the form of a file of percentiles.
fn files_of_percentiles(dir: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"));
        assert!(text.contains("\n#[Mean    = ") && text.contains("\n#[Max     = "));
        assert_eq!(path.extension().unwrap(), "hgrm");
        names.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
    }
    names
}

#[test]
fn a_volume_that_is_kept_is_of_one_part() {
    let dir = temp_dir();
    let volume = dir.path().join("v");
    let output =
        run(&["bench", volume.to_str().unwrap(), "--only", "sizes,depths", "--keep", "--quick"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("one part"), "{}", stderr(&output));
    assert!(!volume.exists());
}
