//! A volume of which the end is missing is refused and left as it is, wherever it was cut,
//! unless what is missing was never used.

#![allow(clippy::unwrap_used)]

mod common;

use common::{PAGE, assert_holds, crash_image, disk_dir, fill, refused_untouched, small_extents};
use extentdb::{Error, Options};
use std::fs::{self, File};
use std::path::Path;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn cut_to(path: &Path, bytes: u64) {
    File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

/// A volume with some sealed extents and some large values; how it was closed is the caller's.
fn filled(path: &Path) -> (extentdb::Db, Pairs) {
    let db = small_extents().open(path).unwrap();
    let mut pairs = fill(&db, 60, 7000);
    for i in 0..4u8 {
        let pair = (format!("large{i}").into_bytes(), vec![i; 90_000]);
        db.put(&pair.0, &pair.1).unwrap();
        pairs.push(pair);
    }
    (db, pairs)
}

fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Corrupt { .. } | Error::NotAStore { .. })
}

#[test]
fn a_closed_volume_anywhere() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let (db, pairs) = filled(&path);
    db.close().unwrap();
    let whole = fs::read(&path).unwrap();
    let len = whole.len() as u64;
    let odd = [1, 100, 511, 4095, 4097, len / 2, len / 2 + 9, len - 4096, len - 1];
    for bytes in (PAGE as u64..len).step_by(5 * PAGE).chain(odd) {
        fs::write(&path, &whole).unwrap();
        cut_to(&path, bytes);
        let error = refused_untouched(&Options::new(), &path);
        assert!(is_refusal(&error), "cut to {bytes}: {error}");
        if bytes < PAGE as u64 {
            assert!(matches!(error, Error::NotAStore { .. }), "cut to {bytes}: {error}");
        }
    }
    fs::write(&path, &whole).unwrap();
    assert_holds(&Options::new().open(&path).unwrap(), &pairs);
}

#[test]
fn a_volume_after_a_crash_to_any_page() {
    let dir = disk_dir();
    let path = dir.path().join("data.vol");
    let (db, pairs) = filled(&path);
    let image = crash_image(&path, "image.vol");
    db.close().unwrap();
    let whole = fs::read(&image).unwrap();
    let pages = whole.len() / PAGE;
    let mut opened = 0;
    for page in 1..pages {
        fs::write(&image, &whole[..page * PAGE]).unwrap();
        match Options::new().open(&image) {
            Ok(db) => {
                assert_holds(&db, &pairs);
                opened += 1;
            }
            Err(error) => {
                assert!(is_refusal(&error), "cut to {page} pages: {error}");
                let left = fs::read(&image).unwrap();
                assert!(left == whole[..page * PAGE], "cut to {page} pages: touched");
            }
        }
    }
    println!("{pages} pages: {opened} cuts took unused extents only, the others were refused");
    assert!(opened < pages / 2);
}
