//! Whatever is done to it, the index agrees with the standard library's map.

use super::random::Random;
use super::{ALL, Bounds, Model, assert_shows, expected, location, owned, pair, range};
use crate::index::{Edit, Index, MAX_KEY_BYTES, View};
use std::collections::VecDeque;

struct Run {
    random: Random,
    /// Keys to choose from, one in two of them not there on average.
    kinds: u64,
    longest: usize,
    index: Index,
    model: Model,
    held: VecDeque<(View, Model)>,
}

impl Run {
    fn new(seed: u64, kinds: u64, longest: usize) -> Self {
        Self {
            random: Random::new(seed),
            kinds,
            longest,
            index: Index::new(),
            model: Model::new(),
            held: VecDeque::new(),
        }
    }

    /// Rounds of edits, a share of which, in percent, are removes.
    fn rounds(&mut self, count: usize, removes: u64) {
        for round in 0..count {
            self.edit(removes);
            self.index.check();
            self.compare_gets();
            (0..4).for_each(|_| self.compare_range());
            if round % 8 == 0 {
                self.hold();
            }
        }
    }

    fn edit(&mut self, removes: u64) {
        let Self { random, kinds, longest, index, model, .. } = self;
        index.edit(|edit| {
            for _ in 0..random.below(100) {
                let key = random.key(*kinds, *longest);
                if random.below(100) < removes {
                    assert_eq!(edit.remove(&key), model.remove(&key));
                } else {
                    insert(edit, model, key, random.next());
                }
                assert_eq!(edit.len(), model.len() as u64);
            }
        });
    }

    fn compare_gets(&mut self) {
        assert_eq!(self.index.len(), self.model.len() as u64);
        for _ in 0..20 {
            let key = self.random.key(self.kinds, self.longest);
            assert_eq!(self.index.get(&key), self.model.get(&key).copied());
        }
    }

    fn compare_range(&mut self) {
        let bounds = self.random.bounds(self.kinds, self.longest);
        let view = self.index.view();
        let mut wanted = expected(&self.model, &bounds);
        compare_interleaved(&mut self.random, &view, &bounds, wanted.clone().into());
        assert!(owned(range(&view, bounds.clone())) == wanted);
        wanted.reverse();
        assert!(owned(range(&view, bounds).rev()) == wanted);
    }

    /// Holds on to a view for a while; those let go must not have moved.
    fn hold(&mut self) {
        self.held.push_back((self.index.view(), self.model.clone()));
        if self.held.len() > 4
            && let Some((view, model)) = self.held.pop_front()
        {
            assert_shows(&view, &model);
        }
    }

    fn remove_all(&mut self) {
        while !self.model.is_empty() {
            let victims: Vec<_> = self.model.keys().cloned().collect();
            for key in victims {
                if self.random.below(3) == 0 {
                    let removed = self.index.edit(|edit| edit.remove(&key));
                    assert_eq!(removed, self.model.remove(&key));
                }
            }
            self.index.check();
            assert_shows(&self.index.view(), &self.model);
        }
        assert!(range(&self.index.view(), ALL).next().is_none());
    }

    fn whole_life(mut self) {
        self.rounds(60, 10);
        self.rounds(40, 50);
        self.rounds(60, 85);
        self.rounds(20, 10);
        self.remove_all();
        self.rounds(5, 0);
        for (view, model) in self.held {
            assert_shows(&view, &model);
        }
    }
}

fn insert(edit: &mut Edit<'_>, model: &mut Model, key: Vec<u8>, number: u64) {
    assert_eq!(edit.insert(&key, location(number)), model.get(&key).copied());
    model.insert(key, location(number));
}

fn compare_interleaved(
    random: &mut Random,
    view: &View,
    bounds: &Bounds,
    mut wanted: VecDeque<(Vec<u8>, super::Location)>,
) {
    let mut range = range(view, bounds.clone());
    let bias = random.below(11);
    loop {
        let (got, want) = if random.below(10) < bias {
            (range.next(), wanted.pop_front())
        } else {
            (range.next_back(), wanted.pop_back())
        };
        assert!(got.map(pair) == want);
        if want.is_none() {
            break;
        }
    }
    assert!(range.next().is_none() && range.next_back().is_none(), "stays at its end");
}

#[test]
fn agrees_with_the_model_for_short_keys() {
    for seed in 0..8 {
        Run::new(seed, 4000, 24).whole_life();
    }
}

#[test]
fn agrees_with_the_model_for_few_keys() {
    for seed in 0..8 {
        Run::new(seed, 80, 3).whole_life();
    }
}

#[test]
fn agrees_with_the_model_for_keys_of_kilobytes() {
    for seed in 0..4 {
        Run::new(seed, 2000, 5000).whole_life();
    }
}

#[test]
fn agrees_with_the_model_for_keys_of_all_lengths() {
    for seed in 0..3 {
        Run::new(seed, 1000, MAX_KEY_BYTES).whole_life();
    }
}
