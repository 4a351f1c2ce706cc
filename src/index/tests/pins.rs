//! What views keep of the past, and that it goes when they do.

use super::random::Random;
use super::{
    ALL, Index, Model, View, assert_shows, expected, filled, key, location, owned, put, range,
};
use crate::index::PinStats;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const KINDS: u64 = 1500;

/// Views with what they have to show, among changes.
struct Run {
    random: Random,
    longest: usize,
    index: Index,
    model: Model,
    held: Vec<(View, Model)>,
}

impl Run {
    fn new(seed: u64, longest: usize) -> Self {
        let random = Random::new(seed);
        Self { random, longest, index: Index::new(), model: Model::new(), held: Vec::new() }
    }

    fn change(&mut self, most: u64) {
        for number in 0..self.random.below(most) {
            let key = self.random.key(KINDS, self.longest);
            if self.random.below(2) == 0 {
                let old = put(&self.index, &key, number);
                assert_eq!(old, self.model.insert(key, location(number)));
            } else {
                let old = self.index.edit(|edit| edit.remove(&key));
                assert_eq!(old, self.model.remove(&key));
            }
        }
    }

    fn hold(&mut self) {
        self.held.push((self.index.view(), self.model.clone()));
    }

    fn let_one_go(&mut self) {
        if !self.held.is_empty() {
            let which = self.random.below(self.held.len() as u64) as usize;
            drop(self.held.swap_remove(which));
        }
    }

    fn compare(&mut self) {
        self.index.check();
        for (view, model) in &self.held {
            assert_shows(view, model);
            assert!(owned(range(view, ALL).rev()).into_iter().rev().eq(model.clone()));
            let bounds = self.random.bounds(KINDS, self.longest);
            let wanted = expected(model, &bounds);
            assert!(owned(range(view, bounds.clone())) == wanted);
            assert!(owned(range(view, bounds).rev()).into_iter().rev().eq(wanted));
            for _ in 0..20 {
                let key = self.random.key(KINDS, self.longest);
                assert_eq!(view.get(&key), model.get(&key).copied());
            }
        }
    }

    fn rounds(mut self, count: usize) {
        for _ in 0..count {
            let most = [5, 100, 1500][self.random.below(3) as usize];
            self.change(most);
            match self.random.below(5) {
                0 | 1 => self.hold(),
                2 => self.let_one_go(),
                3 if self.held.len() > 4 => self.let_one_go(),
                _ => {}
            }
            self.compare();
        }
        while !self.held.is_empty() {
            self.let_one_go();
            self.compare();
        }
        assert_eq!(self.index.pins().count, 0);
        assert_shows(&self.index.view(), &self.model);
    }
}

#[test]
fn views_taken_and_dropped_in_any_order_stay_right() {
    for seed in 0..12 {
        Run::new(seed, 24).rounds(60);
    }
    Run::new(12, 3000).rounds(40);
}

#[test]
fn views_let_go_in_every_order_leave_the_others_right() {
    for order in 0..24_usize {
        let mut run = Run::new(order as u64, 16);
        for _ in 0..4 {
            run.change(3000);
            run.hold();
        }
        run.change(3000);
        let (first, second, third) = (order % 4, order / 4 % 3, order / 12);
        for which in [first, second, third, 0] {
            drop(run.held.remove(which));
            run.compare();
        }
        assert_eq!(run.index.pins().count, 0);
    }
}

#[test]
fn an_empty_view_stays_empty_when_keys_have_come_and_gone() {
    let index = Index::new();
    let view = index.view();
    put(&index, &key(1), 1);
    assert_shows(&view, &Model::new());
    index.edit(|edit| edit.remove(&key(1)));
    assert_shows(&view, &Model::new());
    assert!(range(&view, ALL).next_back().is_none());
}

#[test]
fn views_of_one_moment_share_a_pin() {
    let index = filled(0..100);
    let views = [index.view(), index.view(), index.view().clone()];
    assert_eq!(index.pins().count, 1);
    index.edit(|edit| edit.remove(b"absent"));
    let same = index.view();
    assert_eq!(index.pins().count, 1);
    put(&index, &key(1), 2);
    let later = index.view();
    assert_eq!(index.pins().count, 2);
    drop((views, same));
    assert_eq!(index.pins().count, 1);
    drop(later);
    assert_eq!(index.pins().count, 0);
}

#[test]
fn a_pin_costs_what_changes_and_no_more() {
    let index = filled(0..10_000);
    assert_eq!(index.pins().oldest_since, None);
    let view = index.view();
    let PinStats { count, oldest_since, held_value_bytes, .. } = index.pins();
    assert!((count, held_value_bytes) == (1, 0) && oldest_since.is_some());
    for number in (0..1000).chain(0..1000) {
        put(&index, &key(number), number + 1);
    }
    index.edit(|edit| {
        for number in 2000..2500 {
            edit.remove(&key(number));
        }
    });
    index.edit(|edit| edit.insert(b"new", location(1)));
    let stats = index.pins();
    assert_eq!(stats.held_value_bytes, 1500 * (8 + 7));
    assert!((1500 * 11..1500 * 60).contains(&stats.overlay_bytes), "{stats:?}");
    assert!(index.memory_bytes() > stats.overlay_bytes);
    let later = index.view();
    put(&index, &key(0), 1);
    put(&index, &key(5000), 1);
    assert_eq!(index.pins().held_value_bytes, 1502 * (8 + 7));
    drop(later);
    assert_eq!(index.pins().held_value_bytes, 1501 * (8 + 7), "the older view needs one of both");
    drop(view);
    let stats = index.pins();
    assert_eq!((stats.count, stats.overlay_bytes, stats.held_value_bytes), (0, 0, 0));
}

/// Adds one to every counter in one edit, and moves a key that comes and goes.
fn count_up(index: &Index, rounds: u64) {
    for round in 1..=rounds {
        index.edit(|edit| {
            for number in 0..300 {
                edit.insert(&key(number), location(round));
            }
            edit.remove(&key(1000 + round - 1));
            edit.insert(&key(1000 + round), location(round));
        });
    }
}

/// Holds views in turns; all of each has to be of one round, however often it is looked at.
fn watch(index: &Index, seed: u64, done: &AtomicBool) {
    let mut random = Random::new(seed);
    let mut held: Vec<View> = Vec::new();
    while !done.load(Ordering::Acquire) {
        held.push(index.view());
        if held.len() > 5 {
            drop(held.swap_remove(random.below(5) as usize));
        }
        let view = &held[random.below(held.len() as u64) as usize];
        let round = view.get(&key(0)).unwrap();
        let mut entries: Vec<_> = range(view, ALL).collect();
        assert_eq!((entries.len() as u64, view.len()), (301, 301));
        let last = entries.pop().unwrap();
        assert!(entries.iter().all(|found| found.location() == round));
        assert_eq!(last.key(), key(1000 + round.page().0));
        assert_eq!(range(view, ALL).rev().count(), 301);
    }
}

#[test]
fn views_held_by_threads_show_whole_edits() {
    let index = filled([]);
    index.edit(|edit| {
        for number in 0..300 {
            edit.insert(&key(number), location(0));
        }
        edit.insert(&key(1000), location(0));
    });
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        (0..3).for_each(|seed| {
            drop(scope.spawn({
                let (index, done) = (&index, &done);
                move || watch(index, seed, done)
            }))
        });
        let counted = scope.spawn(|| count_up(&index, 4000)).join();
        done.store(true, Ordering::Release);
        counted.unwrap();
    });
    index.check();
    assert_eq!(index.pins().count, 0);
}
