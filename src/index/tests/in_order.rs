//! Changes that follow the order of keys do what others do, and so do those that do not.

use super::random::Random;
use super::{Model, location};
use crate::index::{Index, MAX_KEY_BYTES};

fn run(seed: u64, kinds: u64, longest: usize) {
    let mut random = Random::new(seed);
    let (index, mut model) = (Index::new(), Model::new());
    for round in 0..60 {
        let mut keys: Vec<_> = (0..random.below(300)).map(|_| random.key(kinds, longest)).collect();
        if round % 4 != 3 {
            keys.sort();
        }
        index.edit(|edit| {
            let mut edit = edit.in_order();
            for key in keys {
                let before = model.get(&key).copied();
                let fate = match random.below(8) {
                    0 => {
                        assert_eq!(edit.remove(&key), before);
                        model.remove(&key);
                        continue;
                    }
                    1 => None,
                    _ => Some(location(random.next())),
                };
                let mut met = None;
                let altered = edit.alter(&key, |before| {
                    met = before;
                    fate
                });
                assert_eq!((met, altered), (before, before));
                model.extend(fate.map(|at| (key, at)));
            }
        });
        index.check();
        assert_eq!(index.len(), model.len() as u64);
        let mut walked = Vec::new();
        index.walk(b"", None, |it| walked.push((it.key(), it.location())));
        assert!(walked.into_iter().eq(model.iter().map(|(key, at)| (key.clone(), *at))));
    }
}

#[test]
fn of_short_keys() {
    (0..10).for_each(|seed| run(seed, 5000, 20));
}

#[test]
fn of_keys_of_any_length() {
    (0..3).for_each(|seed| run(seed, 100, MAX_KEY_BYTES));
}

#[test]
fn a_walk_goes_from_key_to_key() {
    let mut random = Random::new(7);
    let (index, mut model) = (Index::new(), Model::new());
    for number in 0..2000 {
        let key = random.key(10_000, 30);
        super::put(&index, &key, number);
        model.insert(key, location(number));
    }
    for _ in 0..200 {
        let (from, until) = (random.key(10_000, 30), random.key(10_000, 30));
        let until = Some(until).filter(|_| random.below(4) > 0);
        let mut walked = Vec::new();
        index.walk(&from, until.as_deref(), |it| walked.push((it.key(), it.location())));
        let wanted = model.range(from..);
        let wanted = wanted.take_while(|(key, _)| until.as_ref().is_none_or(|until| *key < until));
        assert!(wanted.map(|(key, at)| (key.clone(), *at)).eq(walked));
    }
}
