//! Whatever is at the path and is not a store stays as it is, down to the byte.

#![allow(clippy::unwrap_used)]

mod common;

use common::{PAGE, disk_dir, fill, noise, refusal, refused_untouched, run, skip};
use extentdb::{Db, DirectIo, Error, Options};
use std::fs;
use std::io::ErrorKind;

fn ways_to_open() -> Vec<Options> {
    vec![
        Options::new(),
        Options::new().create_new(true),
        Options::new().create(false),
        Options::new().direct_io(DirectIo::Off),
        Options::new().volume_bytes(64 << 20),
    ]
}

fn foreign_contents() -> Vec<(&'static str, Vec<u8>)> {
    let program = fs::read(std::env::current_exe().unwrap()).unwrap();
    let mut late = vec![0; 1 << 20];
    late[300_000..300_100].fill(b'x');
    let mut nearly = vec![0; PAGE];
    nearly[PAGE - 1] = 1;
    vec![
        ("a text", b"Dear Sir, ".repeat(10)),
        ("one byte", vec![b'x']),
        ("a page of text", vec![b'a'; PAGE]),
        ("a page that is nearly zeros", nearly),
        ("noise", noise(1, 1 << 20)),
        ("noise of odd length", noise(2, (1 << 20) + 77)),
        ("a program", program[..program.len().min(2 << 20)].to_vec()),
        ("a short run of zeros", vec![0; 100]),
        ("zeros, two pages", vec![0; 2 * PAGE]),
        ("zeros, a page and a bit", vec![0; PAGE + 1]),
        ("zeros, 1 MiB", vec![0; 1 << 20]),
        ("zeros, then text", late),
    ]
}

#[test]
fn a_file_with_other_contents() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    for (what, bytes) in foreign_contents() {
        for options in ways_to_open() {
            fs::write(&path, &bytes).unwrap();
            let error = refused_untouched(&options, &path);
            assert!(matches!(error, Error::NotAStore { .. }), "{what}: {error}");
            let text = error.to_string();
            assert!(text.contains("untouched") && text.contains("another path"), "{text}");
        }
    }
}

#[test]
fn a_directory_and_a_pipe() {
    let dir = disk_dir();
    for options in ways_to_open() {
        let error = refusal(options.open(dir.path()));
        assert!(matches!(error, Error::NotAStore { .. }), "{error}");
        assert!(error.to_string().contains("name a file in it"), "{error}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let pipe = dir.path().join("pipe");
    if run("mkfifo", &[pipe.to_str().unwrap()]).is_none() {
        return skip("there is no mkfifo");
    }
    for options in ways_to_open() {
        let error = refusal(options.open(&pipe));
        assert!(matches!(error, Error::NotAStore { .. }), "{error}");
        assert!(error.to_string().contains("regular file"), "{error}");
    }
}

#[test]
fn a_path_in_a_directory_that_does_not_exist() {
    let dir = disk_dir();
    let path = dir.path().join("absent/data.vol");
    for options in ways_to_open() {
        let error = refusal(options.open(&path));
        let Error::Io { op: "open", source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("absent/data.vol"), "{error}");
    }
    assert!(!dir.path().join("absent").exists());
}

#[test]
fn an_absent_file_that_may_not_be_created() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let error = refusal(Options::new().create(false).open(&path));
    let Error::Io { op: "open", source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), ErrorKind::NotFound);
    assert!(!path.exists());
}

#[test]
fn an_empty_file_becomes_a_store_unless_that_is_not_wanted() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    fs::write(&path, b"").unwrap();
    let error = refused_untouched(&Options::new().create(false), &path);
    assert!(matches!(error, Error::NotAStore { .. }), "{error}");
    assert!(error.to_string().contains("create(true)"), "{error}");
    let db = Db::open(&path).unwrap();
    assert!(db.open_report().created);
    let pairs = fill(&db, 10, 1000);
    db.close().unwrap();
    common::assert_holds(&Db::open(&path).unwrap(), &pairs);
}

#[test]
fn create_new_leaves_an_existing_volume_as_it_is() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let db = Db::open(&path).unwrap();
    let pairs = fill(&db, 10, 1000);
    db.close().unwrap();
    let error = refused_untouched(&Options::new().create_new(true), &path);
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    assert!(error.to_string().contains("without create_new"), "{error}");
    common::assert_holds(&Db::open(&path).unwrap(), &pairs);
}
