//! `import` and `export` of directory trees.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{code, extentdb, random, run, stderr, stdout, succeed, temp_dir};
use extentdb::{Db, WriteBatch};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

/// Files by path, from `root` on.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(path).unwrap());
            }
        }
    }
    found
}

/// A tree with all sorts of names and sizes. Returns the number of files.
fn make_tree(root: &Path) -> usize {
    let names: [(&[u8], usize); 9] = [
        (b"empty", 0),
        (b"one byte", 1),
        (b"a name with  spaces ", 100),
        (b"not utf-8 \xff\xfe\x80", 5000),
        (b"new\nline", 4096),
        (b"deep/er/and/deep\xe9r/file", 33_000),
        (b"deep/er/large", (3 << 20) + 1),
        (b"deep/empty too", 0),
        (b"larger", 20 << 20),
    ];
    for (seed, (name, len)) in names.iter().enumerate() {
        write(root, name, &random(*len, seed as u64 + 1));
    }
    for n in 0..300 {
        write(root, format!("small/{}/{n}", n % 7).as_bytes(), &random(n * 10, 100 + n as u64));
    }
    names.len() + 300
}

fn write(root: &Path, name: &[u8], bytes: &[u8]) {
    let path = root.join(OsStr::from_bytes(name));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn import(dir: &Path) -> std::process::Output {
    run(&[OsStr::new("import"), dir.join("v").as_os_str(), dir.join("in").as_os_str()])
}

fn export(dir: &Path) -> std::process::Output {
    run(&[OsStr::new("export"), dir.join("v").as_os_str(), dir.join("out").as_os_str()])
}

#[test]
fn a_tree_comes_back_identical() {
    let dir = temp_dir();
    let count = make_tree(&dir.path().join("in"));
    let imported = import(dir.path());
    assert_eq!(code(&imported), 0, "{}", stderr(&imported));
    let said = stdout(&imported);
    assert!(said.starts_with(&format!("stored {count} files")), "{said}");
    let exported = export(dir.path());
    assert_eq!(code(&exported), 0, "{}", stderr(&exported));
    assert!(stdout(&exported).starts_with(&format!("exported {count} files")));
    assert!(files(&dir.path().join("in")) == files(&dir.path().join("out")));
    assert_eq!(code(&run(&[OsStr::new("check"), dir.path().join("v").as_os_str()])), 0);
}

#[test]
fn a_second_import_stores_only_what_changed() {
    let dir = temp_dir();
    let root = dir.path().join("in");
    let count = make_tree(&root);
    assert_eq!(code(&import(dir.path())), 0);
    let again = stdout(&import(dir.path()));
    let expected = format!("stored 0 files (0 B), {count} were there already, 0 passed over, 0 f");
    assert!(again.starts_with(&expected), "{again}");

    write(&root, b"larger", &random(20 << 20, 77));
    write(&root, b"small/0/0", b"longer than nothing");
    write(&root, b"new", b"new");
    let changed = stdout(&import(dir.path()));
    let expected = format!("stored 3 files (20.0 MiB), {} were there already", count - 2);
    assert!(changed.starts_with(&expected), "{changed}");
    assert_eq!(code(&export(dir.path())), 0);
    assert!(files(&root) == files(&dir.path().join("out")));
}

#[test]
fn an_import_that_was_killed_goes_on() {
    let dir = temp_dir();
    let root = dir.path().join("in");
    let count = make_tree(&root);
    for after_ms in [5, 20, 60] {
        let mut command = extentdb();
        command.arg("import").arg(dir.path().join("v")).arg(&root);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(after_ms));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let finished = import(dir.path());
    assert_eq!(code(&finished), 0, "{}", stderr(&finished));
    let again = stdout(&import(dir.path()));
    assert!(again.contains(&format!("{count} were there already")), "{again}");
    assert_eq!(code(&export(dir.path())), 0);
    assert!(files(&root) == files(&dir.path().join("out")));
}

#[test]
fn only_regular_files_are_imported_and_the_rest_is_named() {
    let dir = temp_dir();
    let root = dir.path().join("in");
    write(&root, b"file", b"contents");
    fs::create_dir(root.join("hollow")).unwrap();
    symlink("file", root.join("link")).unwrap();
    symlink("/etc", root.join("away")).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    let imported = import(dir.path());
    assert_eq!(code(&imported), 0);
    let said = stderr(&imported);
    for line in
        ["away: symbolic link", "link: symbolic link", "socket: socket", "hollow: empty directory"]
    {
        assert!(said.contains(&format!("in/{line}")), "{said}");
    }
    assert!(stdout(&imported).starts_with("stored 1 files (8 B), 0 were there already, 4 passed"));
    let volume = dir.path().join("v");
    assert_eq!(succeed(&[OsStr::new("scan"), volume.as_os_str(), OsStr::new("--keys")]), b"file\n");
}

#[test]
fn keys_that_are_no_paths_within_the_directory_are_refused() {
    let dir = temp_dir();
    let refused = ["../x", "/abs", "a//b", "a/../../y", "end/", "./dot", "nul\0byte", ".."];
    let db = Db::open(dir.path().join("v")).unwrap();
    let mut batch = WriteBatch::new();
    refused.iter().for_each(|key| batch.put(key, "escaped"));
    batch.put("sound/file", "inside");
    db.write(&batch).unwrap();
    db.close().unwrap();

    let exported = export(dir.path());
    assert_eq!(code(&exported), 1);
    for key in refused {
        let line = format!("not exported: {}: ", key.as_bytes().escape_ascii());
        assert!(stderr(&exported).contains(&line), "{line}\n{}", stderr(&exported));
    }
    assert!(stdout(&exported).starts_with("exported 1 files (6 B), 8 failed"));
    let out = dir.path().join("out");
    assert_eq!(files(&out), BTreeMap::from([("sound/file".into(), b"inside".to_vec())]));
    let beside: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(beside.len(), 2, "{beside:?}");
}

#[test]
fn links_in_the_target_are_not_followed() {
    let dir = temp_dir();
    let db = Db::open(dir.path().join("v")).unwrap();
    db.put("link/file", "escaped").unwrap();
    db.put("plain", "replaces the link").unwrap();
    db.close().unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir_all(dir.path().join("out")).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("plain"), "untouched").unwrap();
    symlink(&elsewhere, dir.path().join("out/link")).unwrap();
    symlink(elsewhere.join("plain"), dir.path().join("out/plain")).unwrap();

    assert_eq!(code(&export(dir.path())), 1);
    assert_eq!(files(&elsewhere), BTreeMap::from([("plain".into(), b"untouched".to_vec())]));
    assert_eq!(fs::read(dir.path().join("out/plain")).unwrap(), b"replaces the link");
}

#[test]
fn a_key_that_is_both_file_and_directory_is_reported() {
    let dir = temp_dir();
    let db = Db::open(dir.path().join("v")).unwrap();
    for key in ["a", "a/b", "c"] {
        db.put(key, key).unwrap();
    }
    db.close().unwrap();
    let exported = export(dir.path());
    assert_eq!(code(&exported), 1);
    assert!(stdout(&exported).starts_with("exported 2 files"), "{}", stdout(&exported));
    assert!(stderr(&exported).contains("not exported: a"), "{}", stderr(&exported));
}
