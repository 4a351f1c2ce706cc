//! How full leaves are after inserts in one order or another, and after removes.

use super::random::Random;
use super::{Index, filled, key};

const COUNT: u64 = 50_000;

/// Bytes of leaves for an entry, whose keys share all but two bytes of eight.
fn bytes_per_entry(index: &Index) -> usize {
    index.check();
    index.leaves().1 / index.len() as usize
}

/// Share of those that an entry needs, in percent.
fn fill(index: &Index) -> usize {
    (2 + 9) * 100 / bytes_per_entry(index)
}

#[test]
fn ascending_inserts_fill_their_leaves() {
    assert!(fill(&filled(0..COUNT)) > 95);
}

#[test]
fn descending_inserts_leave_half_full_leaves_at_least() {
    assert!(fill(&filled((0..COUNT).rev())) >= 49);
}

#[test]
fn random_inserts_waste_little() {
    let mut random = Random::new(3);
    let numbers = (0..COUNT).map(|_| random.next());
    assert!((17..20).contains(&bytes_per_entry(&filled(numbers))));
}

#[test]
fn removes_do_not_leave_a_hollow_tree() {
    let index = filled(0..COUNT);
    for number in (0..COUNT).filter(|number| number % 50 != 0) {
        index.edit(|edit| edit.remove(&key(number)));
    }
    assert_eq!(index.len(), COUNT / 50);
    assert!(fill(&index) >= 25);
}

#[test]
fn a_queue_keeps_its_tree_small() {
    let index = filled(0..1000);
    for number in 1000..COUNT {
        super::put(&index, &key(number), number);
        index.edit(|edit| edit.remove(&key(number - 1000)));
    }
    assert_eq!(index.len(), 1000);
    assert!(fill(&index) >= 50);
}

#[test]
fn an_emptied_tree_takes_no_memory() {
    let index = filled(0..COUNT);
    for number in (0..COUNT).rev() {
        index.edit(|edit| edit.remove(&key(number)));
    }
    index.check();
    assert_eq!(index.leaves(), (0, 0));
    assert!(index.memory_bytes() < 64 << 10);
}
