//! A view never moves.

use super::{ALL, filled, key, location, owned, put, range};

#[test]
fn a_view_shows_what_was_there() {
    let index = filled(0..5000);
    let view = index.view();
    index.edit(|edit| {
        for number in (0..5000).step_by(2) {
            edit.remove(&key(number));
        }
        for number in 5000..9000 {
            edit.insert(&key(number), location(number));
        }
        edit.insert(&key(1), location(77));
    });
    assert_eq!((view.len(), index.len()), (5000, 6500));
    assert_eq!((view.get(&key(1)), index.get(&key(1))), (Some(location(1)), Some(location(77))));
    assert_eq!((view.get(&key(8)), index.get(&key(8))), (Some(location(8)), None));
    assert!(range(&view, ALL).map(|found| found.location()).eq((0..5000).map(location)));
    index.check();
}

#[test]
fn a_view_shows_what_was_there_before_it_was_decided_what_is() {
    let index = filled(0..3);
    let view = index.view();
    let alter = |number, to: Option<u64>| {
        let mut met = None;
        let before = index.edit(|edit| {
            edit.in_order().alter(&key(number), |before| {
                met = before;
                to.map(location)
            })
        });
        assert_eq!(met, before);
        before
    };
    assert_eq!(alter(0, Some(70)), Some(location(0)));
    assert_eq!(alter(1, None), Some(location(1)));
    assert_eq!((alter(8, Some(78)), alter(9, None)), (None, None));
    let now = [Some(70), Some(1), Some(2), Some(78), None].map(|at| at.map(location));
    assert_eq!([0, 1, 2, 8, 9].map(|number| index.get(&key(number))), now);
    assert!(range(&view, ALL).map(|found| found.location()).eq((0..3).map(location)));
    index.check();
}

#[test]
fn a_range_outlives_its_view_and_the_index() {
    let index = filled(0..1000);
    let mut range = range(&index.view(), ALL);
    assert_eq!(range.next().map(|found| found.location()), Some(location(0)));
    for number in 0..1000 {
        index.edit(|edit| edit.remove(&key(number)));
    }
    drop(index);
    assert!(range.map(|found| found.location()).eq((1..1000).map(location)));
}

#[test]
fn clones_of_a_view_show_the_same() {
    let index = filled(0..300);
    let view = index.view();
    let clone = view.clone();
    put(&index, &key(3), 99);
    drop(view);
    assert_eq!(owned(range(&clone, ALL)).len(), 300);
    assert_eq!(clone.get(&key(3)), Some(location(3)));
}
