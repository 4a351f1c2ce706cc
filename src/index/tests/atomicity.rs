//! Readers see all of an edit or none, while it happens and after.

use super::random::Random;
use super::{ALL, Index, filled, key, location, range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const PLACES: u64 = 2000;
const MOVES: u64 = 20_000;

/// Moves a token from place to place, among keys that come and go around it.
fn move_token(index: &Index) {
    let mut random = Random::new(21);
    let mut place = 0;
    for serial in 0..MOVES {
        let next = random.below(PLACES);
        index.edit(|edit| {
            assert!(edit.remove(&token(place)).is_some());
            edit.insert(&token(next), location(serial));
            let (come, go) = (random.below(PLACES), random.below(PLACES));
            edit.insert(&key(come * 2 + 1), location(serial));
            edit.remove(&key(go * 2 + 1));
        });
        place = next;
    }
}

fn token(place: u64) -> [u8; 8] {
    key(place * 2)
}

fn is_token(key: &[u8]) -> bool {
    key[7].is_multiple_of(2)
}

fn watch(index: &Index, done: &AtomicBool) {
    while !done.load(Ordering::Acquire) {
        let view = index.view();
        let seen: Vec<_> = range(&view, ALL).filter(|found| is_token(found.key())).collect();
        assert_eq!(seen.len(), 1, "one token in one view");
        assert_eq!(view.get(seen[0].key()), Some(seen[0].location()));
        assert_eq!(range(&view, ALL).rev().count() as u64, view.len());
        thread::yield_now();
    }
}

fn read(index: &Index, done: &AtomicBool) {
    let mut random = Random::new(22);
    while !done.load(Ordering::Acquire) {
        index.get(&key(random.below(PLACES * 2)));
        assert!(index.len() <= PLACES + 1);
        thread::yield_now();
    }
}

#[test]
fn no_view_sees_a_moving_token_twice_or_not_at_all() {
    let index = filled((0..PLACES).map(|place| place * 2 + 1));
    index.edit(|edit| edit.insert(&token(0), location(0)));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        (0..3).for_each(|_| drop(scope.spawn(|| watch(&index, &done))));
        scope.spawn(|| read(&index, &done));
        let mover = scope.spawn(|| move_token(&index));
        let moved = mover.join();
        done.store(true, Ordering::Release);
        moved.unwrap();
    });
    index.check();
}
