//! `docs/bugs-found.md` against the code: what fails without each mend is there.

use super::canonical;
use super::catalogue;
use super::invariants::{root, sources};
use super::tell;
use std::collections::BTreeSet;
use std::fs;

const DOC: &str = include_str!("../../docs/bugs-found.md");

/// Tests of the package, and models of `loom`, by name, and by file and name.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for folder in ["src", "tests", "loom/src"] {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            let is_model = path.ends_with("loom/src/models.rs");
            let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
            for (at, line) in lines.iter().enumerate() {
                let line = line.trim_start_matches("pub(crate) ");
                let Some(rest) = line.strip_prefix("fn ") else { continue };
                let Some((name, "")) = rest.split_once("() {") else { continue };
                let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
                if is_model || attributes.into_iter().any(|line| *line == "#[test]") {
                    let file = path.file_stem().unwrap().to_str().unwrap();
                    tests.insert(format!("{file}::{name}"));
                    tests.insert(name.to_owned());
                }
            }
        }
    }
    tests
}

/// What is between two `marks`.
fn quoted(text: &str, mark: char) -> Vec<&str> {
    text.split(mark).skip(1).step_by(2).collect()
}

#[test]
fn every_bug_that_was_found_has_a_test_that_exists() {
    let tests = tests();
    let bugs: BTreeSet<String> =
        catalogue::rules().iter().map(|(bug, _)| format!("{bug:?}")).collect();
    let workloads: BTreeSet<&str> = canonical::names().into_iter().collect();
    let rows = DOC.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| wrong"));
    let mut count = 0;
    for row in rows {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names = quoted(shown_by, '`');
        let of_workloads = quoted(shown_by, '"');
        assert!(names.len() + of_workloads.len() > 0, "nothing shows it: {row}");
        for name in names {
            assert!(bugs.contains(name) || tests.contains(name), "there is no {name}: {row}");
        }
        for name in of_workloads {
            assert!(workloads.contains(name), "there is no workload {name}: {row}");
        }
        count += 1;
    }
    tell(&format!("bugs found, each with what fails without its mend: {count}"));
}
