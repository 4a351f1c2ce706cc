//! Ranges of every kind of bound.

use super::{Index, Model, expected, filled, key, location, owned, range};
use std::ops::Bound::{self, Excluded, Included, Unbounded};

const STEP: u64 = 2;
const COUNT: u64 = 400;

fn index_and_model() -> (Index, Model) {
    let numbers = (0..COUNT).map(|number| number * STEP);
    let model = numbers.clone().map(|number| (key(number).to_vec(), location(number))).collect();
    (filled(numbers), model)
}

fn all_bounds(number: u64) -> [Bound<Vec<u8>>; 3] {
    [Unbounded, Included(key(number).to_vec()), Excluded(key(number).to_vec())]
}

#[test]
fn every_pair_of_bounds_yields_what_lies_between() {
    let (index, model) = index_and_model();
    let view = index.view();
    let places: Vec<u64> = (0..COUNT * STEP + 2).filter(|n| n % 37 < 3).collect();
    for (&from, &to) in places.iter().flat_map(|from| places.iter().map(move |to| (from, to))) {
        for (lower, upper) in
            all_bounds(from).iter().flat_map(|l| all_bounds(to).map(|u| (l.clone(), u)))
        {
            let bounds = (lower, upper);
            let wanted = expected(&model, &bounds);
            assert_eq!(owned(range(&view, bounds.clone())), wanted);
            assert!(owned(range(&view, bounds).rev()).into_iter().rev().eq(wanted));
        }
    }
}

#[test]
fn an_inverted_range_is_empty() {
    let (index, _) = index_and_model();
    for lower in &all_bounds(700)[1..] {
        for upper in &all_bounds(2)[1..] {
            let mut range = index.view().range(lower.clone(), upper.clone());
            assert!(range.next().is_none() && range.next_back().is_none());
        }
    }
}

#[test]
fn a_range_of_one_key_needs_both_bounds_to_include_it() {
    let (index, _) = index_and_model();
    let count = |lower, upper| index.view().range(lower, upper).count();
    let key = key(128).to_vec();
    assert_eq!(count(Included(key.clone()), Included(key.clone())), 1);
    assert_eq!(count(Included(key.clone()), Excluded(key.clone())), 0);
    assert_eq!(count(Excluded(key.clone()), Included(key.clone())), 0);
    assert_eq!(count(Excluded(key.clone()), Excluded(key)), 0);
}
