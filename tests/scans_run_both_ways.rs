//! A scan runs from either end, or from both at once, over whatever range is asked for.

mod support;

use extentdb::{Db, Iter};
use std::ops::Bound;
use support::{Model, Rng, assert_entries, assert_entry, bytes, for_seeds, fresh, shared};

/// Keys of two letters, some missing.
fn letters() -> (tempfile::TempDir, Db, Model) {
    let (dir, db) = fresh();
    let mut model = Model::new();
    for first in b'a'..=b'p' {
        for second in (b'a'..=b'p').step_by(1 + usize::from(first % 3)) {
            let key = [first, second];
            let value = bytes(u64::from(second), usize::from(first - b'a') * 40);
            db.with_durability(extentdb::Durability::Buffered).put(key, &value).expect("a put");
            model.insert(shared(key), shared(value));
        }
    }
    (dir, db, model)
}

fn keys(iter: Iter) -> Vec<String> {
    iter.keys().map(|key| String::from_utf8(key.expect("a key")).expect("letters")).collect()
}

#[test]
fn over_every_kind_of_bound() {
    let (_dir, db, model) = letters();
    let ends = ["a", "aa", "ab", "b", "ba", "hh", "hhh", "pp", "q"];
    let bounds: Vec<Bound<&[u8]>> = ends
        .iter()
        .flat_map(|end| [Bound::Included(end.as_bytes()), Bound::Excluded(end.as_bytes())])
        .chain([Bound::Unbounded])
        .collect();
    for &lower in &bounds {
        for &upper in &bounds {
            let inside = |key: &[u8]| std::ops::RangeBounds::<[u8]>::contains(&(lower, upper), key);
            let expected = || model.iter().filter(|(key, _)| inside(key));
            assert_entries(db.range::<&[u8], _>((lower, upper)), expected());
            assert_entries(db.range::<&[u8], _>((lower, upper)).rev(), expected().rev());
            assert_entries(db.snapshot().range::<&[u8], _>((lower, upper)), expected());
        }
    }
}

#[test]
fn from_both_ends_until_they_meet() {
    let (_dir, db, model) = letters();
    for_seeds(0..40, |seed| {
        let mut rng = Rng::new(seed);
        let back_in = 1 + rng.below(6);
        let mut iter = db.iter();
        let mut expected = model.iter();
        loop {
            let (found, wanted) = if rng.one_in(back_in) {
                (iter.next_back(), expected.next_back())
            } else {
                (iter.next(), expected.next())
            };
            let Some((key, value)) = wanted else {
                assert!(found.is_none());
                break;
            };
            let entry = found.expect("as many as the model has").expect("an entry");
            assert_entry(&entry, key, value, true);
        }
        assert!(iter.next().is_none() && iter.next_back().is_none() && iter.next().is_none());
    });
}

#[test]
fn and_are_empty_where_the_range_is_inverted() {
    let (_dir, db, _) = letters();
    let snapshot = db.snapshot();
    assert_eq!(keys(db.range("c".."b")), [""; 0]);
    assert_eq!(keys(db.range("c"..="b")), [""; 0]);
    assert_eq!(keys(db.range("c".."c")), [""; 0]);
    assert_eq!(keys(snapshot.range("pp".."aa")), [""; 0]);
    assert!(db.range("c".."b").next_back().is_none());
    let same = Bound::Excluded("aa");
    assert_eq!(keys(db.range::<&str, _>((same, same))), [""; 0]);
    let inverted = (Bound::Excluded("b"), Bound::Excluded("a"));
    assert_eq!(keys(db.range::<&str, _>(inverted)), [""; 0]);
    assert_eq!(keys(db.range("aa"..="aa")), ["aa"]);
}

#[test]
fn over_prefixes_up_to_the_last_key_there_can_be() {
    let (_dir, db) = fresh();
    let all: [&[u8]; 9] =
        [b"\0", b"\0\0", b"a", b"a\0", b"a\xff", b"a\xff\xff", b"b", b"\xff", b"\xff\xff"];
    for key in all {
        db.put(key, key).expect("a put");
    }
    let prefixes: [&[u8]; 11] = [
        b"",
        b"\0",
        b"\0\0",
        b"a",
        b"a\0",
        b"a\xff",
        b"a\xff\xff",
        b"c",
        b"\xff",
        b"\xff\xff",
        b"\xff\xff\xff",
    ];
    for prefix in prefixes {
        let expected: Vec<_> = all.into_iter().filter(|key| key.starts_with(prefix)).collect();
        let found: Vec<_> = db.prefix(prefix).keys().map(|key| key.expect("a key")).collect();
        assert_eq!(found, expected, "prefix {}", prefix.escape_ascii());
        let found = db.snapshot().prefix(prefix).rev();
        let found: Vec<_> = found.map(|entry| entry.expect("an entry").key().to_vec()).collect();
        let backwards: Vec<_> = expected.into_iter().rev().collect();
        assert_eq!(found, backwards, "prefix {}", prefix.escape_ascii());
    }
}

#[test]
fn while_what_they_pass_changes() {
    let (_dir, db, model) = letters();
    let mut iter = db.iter();
    let mut expected = model.iter();
    while let Some((key, value)) = expected.next() {
        let entry = iter.next().expect("as before").expect("an entry");
        // What was passed, what is to come, and what is new: none of it shows.
        db.delete(key).expect("a delete");
        db.put([&key[..], b"+"].concat(), "new").expect("a put");
        assert_entry(&entry, key, value, true);
        if let Some((key, value)) = expected.next_back() {
            db.put(key, "changed").expect("a put");
            let entry = iter.next_back().expect("as before").expect("an entry");
            assert_entry(&entry, key, value, true);
        }
    }
    assert!(iter.next().is_none());
}

#[test]
fn over_nothing() {
    let (_dir, db) = fresh();
    assert!(db.iter().next().is_none() && db.iter().next_back().is_none());
    assert!(db.prefix("a").next().is_none() && db.range("a"..).next_back().is_none());
}
