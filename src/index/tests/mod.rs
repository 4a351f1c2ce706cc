//! What the index promises, one promise a file.

mod atomicity;
mod bounds;
mod damage;
mod in_order;
mod loading;
mod long_keys;
mod model;
mod order_of_inserts;
mod pins;
pub(super) mod random;
mod released;
mod snapshots;

use super::{Found, Index, Range, View};
use crate::format::ids::PageNo;
use crate::format::location::Location;
use std::collections::BTreeMap;
use std::ops::Bound;

type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);
type Model = BTreeMap<Vec<u8>, Location>;

const ALL: Bounds = (Bound::Unbounded, Bound::Unbounded);

fn location(number: u64) -> Location {
    Location::log(PageNo(number & 0xffff_ffff), 0, 7)
}

fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

fn put(index: &Index, key: &[u8], number: u64) -> Option<Location> {
    index.edit(|edit| edit.insert(key, location(number)))
}

fn filled(keys: impl IntoIterator<Item = u64>) -> Index {
    let index = Index::new();
    for number in keys {
        put(&index, &key(number), number);
    }
    index
}

fn range(view: &View, (lower, upper): Bounds) -> Range {
    view.range(lower, upper)
}

/// What `range` yields of the model, and nothing where it would panic.
fn expected(model: &Model, bounds: &Bounds) -> Vec<(Vec<u8>, Location)> {
    use Bound::{Excluded, Included};
    let nothing = match bounds {
        (Excluded(lower), Excluded(upper)) => lower >= upper,
        (Included(lower) | Excluded(lower), Included(upper) | Excluded(upper)) => lower > upper,
        _ => false,
    };
    if nothing {
        return Vec::new();
    }
    model.range(bounds.clone()).map(|(key, location)| (key.clone(), *location)).collect()
}

fn owned(entries: impl Iterator<Item = Found>) -> Vec<(Vec<u8>, Location)> {
    entries.map(pair).collect()
}

fn pair(found: Found) -> (Vec<u8>, Location) {
    (found.key().to_vec(), found.location())
}

fn assert_shows(view: &View, model: &Model) {
    assert_eq!(view.len(), model.len() as u64);
    let shown = range(view, ALL);
    assert!(shown.map(pair).eq(model.clone()));
}

fn assert_send_sync<T: Send + Sync + 'static>() {}

#[test]
fn the_index_and_its_views_can_be_shared_between_threads() {
    assert_send_sync::<Index>();
    assert_send_sync::<View>();
    assert_send_sync::<Range>();
}

#[test]
fn a_new_index_is_empty() {
    let index = Index::new();
    assert_eq!((index.len(), index.get(b""), index.get(b"a")), (0, None, None));
    assert!(range(&index.view(), ALL).next().is_none());
    assert!(range(&index.view(), ALL).next_back().is_none());
    assert_eq!(index.edit(|edit| edit.remove(b"a")), None);
    index.check();
}

#[test]
fn an_edit_sees_its_own_changes() {
    let index = Index::new();
    index.edit(|edit| {
        assert_eq!(edit.insert(b"a", location(1)), None);
        assert_eq!(edit.insert(b"a", location(2)), Some(location(1)));
        assert_eq!((edit.get(b"a"), edit.len()), (Some(location(2)), 1));
        assert_eq!(edit.remove(b"a"), Some(location(2)));
        assert_eq!((edit.get(b"a"), edit.len()), (None, 0));
    });
}

#[test]
fn many_keys_are_found_at_once() {
    let found = filled(0..100).get_all(&[key(99), key(100), key(0)]);
    assert_eq!(found, [Some(location(99)), None, Some(location(0))]);
}

#[test]
fn the_empty_key_is_a_key() {
    let index = filled(0..1000);
    put(&index, b"", 5);
    assert_eq!(index.get(b""), Some(location(5)));
    assert_eq!(owned(range(&index.view(), ALL).take(1)), [(Vec::new(), location(5))]);
    assert_eq!(index.edit(|edit| edit.remove(b"")), Some(location(5)));
    index.check();
}
