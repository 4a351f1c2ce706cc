//! What only views hold is known exactly: kept when it is replaced, released once when no view
//! shows it any more.

use super::random::Random;
use super::{ALL, Index, Model, View, filled, key, location, put, range};
use crate::format::location::Location;
use crate::index::{Released, Replaced};
use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Locations, with the lengths of their keys.
type Account = BTreeMap<u64, usize>;

fn enter(account: &mut Account, location: u64, key_len: usize) {
    assert_eq!(account.insert(location, key_len), None, "a location is kept once");
}

fn strike(account: &mut Account, released: Vec<Released>) {
    for Released { key_len, location } in released {
        assert_eq!(account.remove(&location.page().0), Some(key_len), "released once, if kept");
    }
}

fn account_of(entries: impl IntoIterator<Item = Released>) -> Account {
    let mut account = Account::new();
    for Released { key_len, location } in entries {
        enter(&mut account, location.page().0, key_len);
    }
    account
}

/// Views with what they show, among changes.
struct Run {
    random: Random,
    kinds: u64,
    puts: u64,
    index: Index,
    model: Model,
    held: Vec<(View, Model)>,
    /// What was kept and not released.
    account: Account,
}

impl Run {
    fn new(seed: u64, kinds: u64) -> Self {
        Self {
            random: Random::new(seed),
            kinds,
            puts: 0,
            index: Index::new(),
            model: Model::new(),
            held: Vec::new(),
            account: Account::new(),
        }
    }

    fn edit(&mut self, most: u64) {
        let Self { random, kinds, puts, index, model, held, account } = self;
        index.edit(|edit| {
            for _ in 0..random.below(most) {
                let key = random.key(*kinds, 24);
                *puts += 1;
                let location = (random.below(3) > 0).then(|| location(*puts));
                let before = match location {
                    Some(location) => model.insert(key.clone(), location),
                    None => model.remove(&key),
                };
                let shown =
                    |at: &Location| held.iter().any(|(_, model)| model.get(&key) == Some(at));
                let kept = before.as_ref().is_some_and(shown);
                assert_eq!(edit.replace(&key, location), Replaced { before, kept });
                if kept {
                    enter(account, before.unwrap().page().0, key.len());
                }
            }
        });
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

    /// Compares with what some view shows and the index does not.
    fn compare(&mut self) {
        let released = self.index.take_released();
        assert!(!self.index.has_released() && self.index.take_released().is_empty());
        strike(&mut self.account, released);
        let mut needed = Account::new();
        for (key, at) in self.held.iter().flat_map(|(_, model)| model) {
            if self.model.get(key) != Some(at) {
                needed.insert(at.page().0, key.len());
            }
        }
        assert_eq!(self.account, needed);
        assert_eq!(account_of(self.index.kept()), needed);
    }

    fn rounds(mut self, count: usize, most: u64) {
        for _ in 0..count {
            match self.random.below(6) {
                0..3 => self.edit(most),
                3 | 4 => self.hold(),
                _ => self.let_one_go(),
            }
            if self.held.len() > 6 {
                self.let_one_go();
            }
            self.compare();
        }
        while !self.held.is_empty() {
            self.let_one_go();
            self.compare();
        }
        assert!(self.account.is_empty());
    }
}

#[test]
fn what_views_hold_is_kept_and_released_exactly() {
    for seed in 0..30 {
        Run::new(seed, 100).rounds(150, 50);
    }
    for seed in 30..40 {
        Run::new(seed, 3000).rounds(60, 3000);
    }
}

#[test]
fn views_let_go_in_every_order_release_everything_once() {
    for order in 0..24_usize {
        let mut run = Run::new(order as u64, 2000);
        for most in [2000, 4000, 500, 3000] {
            run.edit(most);
            run.hold();
        }
        run.edit(2000);
        run.compare();
        for which in [order % 4, order / 4 % 3, order / 12, 0] {
            drop(run.held.remove(which));
            run.compare();
        }
        assert!(run.account.is_empty());
    }
}

#[test]
fn nothing_is_released_that_was_not_kept() {
    let index = filled(0..1000);
    (0..1000).for_each(|number| drop_value(&index, number, false));
    let view = index.view();
    (0..1000).for_each(|number| assert_eq!(put(&index, &key(number), number), None));
    (0..1000).for_each(|number| drop_value(&index, number, false));
    drop(view);
    assert!(!index.has_released());
}

fn drop_value(index: &Index, number: u64, kept: bool) {
    let before = Some(location(number));
    let replaced = index.edit(|edit| edit.replace(&key(number), None));
    assert_eq!(replaced, Replaced { before, kept });
}

#[test]
fn a_view_releases_all_at_once_when_it_is_the_only_one() {
    let index = filled(0..10_000);
    let view = index.view();
    (0..10_000).for_each(|number| drop_value(&index, number, true));
    assert!(!index.has_released());
    drop(view);
    let account = account_of(index.take_released());
    assert!(account.into_iter().eq((0..10_000).map(|number| (number, 8))));
}

const KEYS: u64 = 600;

/// What was kept, and what was released.
#[derive(Default)]
struct Accounts {
    kept: Mutex<Account>,
    released: Mutex<Account>,
}

impl Accounts {
    fn drain(&self, index: &Index) {
        let mut account = self.released.lock();
        for Released { key_len, location } in index.take_released() {
            enter(&mut account, location.page().0, key_len);
        }
    }
}

fn change(index: &Index, accounts: &Accounts, edits: u64) {
    let mut random = Random::new(31);
    for number in 0..edits {
        index.edit(|edit| {
            for part in 0..20 {
                let key = key(random.below(KEYS));
                let at = (random.below(4) > 0).then(|| location(KEYS + number * 20 + part));
                let Replaced { before, kept } = edit.replace(&key, at);
                if kept {
                    enter(&mut accounts.kept.lock(), before.unwrap().page().0, key.len());
                }
            }
        });
        thread::yield_now();
    }
}

/// Holds views in turns. What one shows is not released while it is held.
fn watch(index: &Index, accounts: &Accounts, seed: u64, done: &AtomicBool) {
    let mut random = Random::new(seed);
    let mut held: Vec<View> = Vec::new();
    while !done.load(Ordering::Acquire) {
        held.push(index.view());
        if held.len() > 4 {
            drop(held.swap_remove(random.below(4) as usize));
        }
        accounts.drain(index);
        let view = &held[random.below(held.len() as u64) as usize];
        let shown: Vec<_> = range(view, ALL).map(|found| found.location().page().0).collect();
        let released = accounts.released.lock();
        assert!(shown.iter().all(|at| !released.contains_key(at)), "a view shows it");
    }
}

#[test]
fn threads_that_let_views_go_release_everything_once() {
    let index = filled(0..KEYS);
    let (accounts, done) = (Accounts::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        (0..3).for_each(|seed| {
            drop(scope.spawn({
                let (index, accounts, done) = (&index, &accounts, &done);
                move || watch(index, accounts, seed, done)
            }))
        });
        let changed = scope.spawn(|| change(&index, &accounts, 3000)).join();
        done.store(true, Ordering::Release);
        changed.unwrap();
    });
    accounts.drain(&index);
    assert!(index.kept().is_empty());
    let (kept, released) = (accounts.kept.lock(), accounts.released.lock());
    assert!(!kept.is_empty() && *kept == *released);
}
