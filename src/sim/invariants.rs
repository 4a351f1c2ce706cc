//! `docs/invariants.md` against the code: ids, files and seeded bugs.

use super::catalogue;
use crate::seeded::Bug;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const DOC: &str = include_str!("../../docs/invariants.md");
/// What is not an invariant: limits that `docs/crash-safety.md` states.
const LIMITS: [&str; 3] = ["E1", "E2", "E3"];

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The source files under `folder`.
pub(super) fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = Vec::new();
    for path in entries {
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Words such as W1.
fn ids(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_id = |word: &&str| match word.as_bytes() {
        [b'W' | b'L' | b'C' | b'G' | b'R' | b'S' | b'P' | b'E', b'1'..=b'9'] => true,
        bytes => bytes == b"E1p",
    };
    words.filter(is_id).collect()
}

/// Id by id, what is said of it.
fn paragraphs() -> BTreeMap<&'static str, &'static str> {
    let sections = DOC.split("\n### ").skip(1);
    sections.map(|section| section.split_once(" — ").expect("an id and a title")).collect()
}

#[test]
fn every_invariant_is_cited_and_every_citation_is_of_one() {
    let paragraphs = paragraphs();
    let (mut in_engine, mut in_tests) = (BTreeSet::new(), BTreeSet::new());
    for path in sources(&root().join("src")).into_iter().chain(sources(&root().join("tests"))) {
        let text = fs::read_to_string(&path).unwrap();
        let of_tests =
            path.starts_with(root().join("src/sim")) || !path.starts_with(root().join("src"));
        // Ids that a test makes up are not citations.
        let is_this = path.ends_with("sim/invariants.rs");
        for id in ids(&text).into_iter().filter(|_| !is_this) {
            let known = paragraphs.contains_key(id) || LIMITS.contains(&id);
            assert!(known, "{} cites {id}, which is no invariant", path.display());
            if of_tests { &mut in_tests } else { &mut in_engine }.insert(id.to_owned());
        }
    }
    for &id in paragraphs.keys() {
        assert!(in_engine.contains(id) || in_tests.contains(id), "nothing cites {id}");
        assert!(id.starts_with('P') || in_engine.contains(id), "the engine does not cite {id}");
        assert!(in_tests.contains(id), "no test, workload or seeded bug is named for {id}");
    }
}

#[test]
fn what_is_named_exists_and_every_bug_is_with_its_rule() {
    for (id, text) in paragraphs() {
        for name in text.split('`').skip(1).step_by(2) {
            if name.starts_with("src/") {
                assert!(root().join(name).exists(), "{id}: there is no {name}");
            } else if name.len() > 8 && name.chars().all(|c| c.is_ascii_alphabetic()) {
                let known = Bug::ALL.iter().any(|bug| format!("{bug:?}") == name);
                assert!(known, "{id}: there is no bug {name}");
            }
        }
    }
    for (bug, rule) in catalogue::rules() {
        let text = paragraphs().get(rule).copied();
        let named = |text: &str| text.contains(&format!("`{bug:?}`"));
        // F8 and F9 are faults, not rules.
        assert!(text.map_or(rule.starts_with('F'), named), "{rule} does not name {bug:?}");
    }
}

#[test]
fn how_many_bugs_are_seeded_is_stated() {
    let count = catalogue::rules().len();
    for (document, stated) in [
        ("docs/testing.md", format!("lists {count} deliberate bugs")),
        ("docs/crash-safety.md", format!("all of them found | {count} |")),
    ] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        assert!(text.contains(&stated), "{document} does not say: {stated}");
    }
}
