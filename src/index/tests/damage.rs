//! No bytes from elsewhere make the index panic or lose its order.

use super::random::Random;
use super::{Index, location, put};
use crate::index::{Leaves, Loader, MAX_KEY_BYTES, validate};

/// Compact leaves of keys of one length, of many, and of the longest.
fn leaves() -> Vec<Vec<u8>> {
    let mut leaves = Vec::new();
    for (seed, longest, count) in
        [(1, 8, 300), (2, 40, 300), (3, 40, 1), (4, MAX_KEY_BYTES, 20), (5, 3000, 12)]
    {
        let mut random = Random::new(seed);
        let index = Index::new();
        for number in 0..count {
            let key = random.key(1 << 40, longest);
            put(&index, &key, number);
        }
        let fixed = Index::new();
        for number in 0..count {
            put(&fixed, &random.next().to_be_bytes(), number);
        }
        for index in [index, fixed] {
            let mut out = Vec::new();
            index.copy_slice(b"", usize::MAX, &mut out);
            leaves.extend(Leaves::new(&out).map(|leaf| leaf.unwrap().bytes().to_vec()));
        }
    }
    leaves
}

/// What validates can be loaded, changed and read.
fn load(block: &[u8]) {
    let Some(Some(leaf)) = Leaves::new(block).next() else {
        panic!("a leaf that validates");
    };
    let mut loader = Loader::new();
    loader.push_leaf(&leaf).unwrap();
    let index = Index::new();
    index.replace_all(loader.finish());
    index.check();
    let (first, last) = (leaf.first_key(), leaf.last_key());
    assert!(index.get(&first).is_some() && index.get(&last).is_some());
    for number in 0..10_u64 {
        put(&index, &[&first[..first.len() / 2], &number.to_be_bytes()].concat(), number);
    }
    index.edit(|edit| edit.remove(&last));
    index.check();
}

#[test]
fn what_the_index_writes_validates() {
    for leaf in leaves() {
        assert!(validate(&leaf));
        load(&leaf);
    }
}

#[test]
fn a_leaf_cut_short_or_drawn_out_is_refused() {
    for leaf in leaves().iter().filter(|leaf| leaf.len() < 10_000) {
        assert!((0..leaf.len()).all(|len| !validate(&leaf[..len])));
        assert!(!validate(&[&leaf[..], &[0]].concat()));
    }
}

#[test]
fn changed_leaves_are_refused_or_sound() {
    let mut random = Random::new(9);
    let mut refused = 0;
    let leaves = leaves();
    for round in 0..30_000 {
        let leaf = &leaves[random.below(leaves.len() as u64) as usize];
        if leaf.len() > 10_000 && round % 50 != 0 {
            continue;
        }
        let mut changed = leaf.clone();
        for _ in 0..1 + random.below(3) {
            let near = if random.below(2) == 0 { 20 } else { changed.len() };
            let at = random.below(near.min(changed.len()) as u64) as usize;
            changed[at] = if random.below(2) == 0 {
                changed[at] ^ 1 << random.below(8)
            } else {
                random.next() as u8
            };
        }
        if validate(&changed) { load(&changed) } else { refused += 1 }
    }
    assert!(refused > 5000);
}

#[test]
fn a_changed_header_with_a_length_that_fits_never_panics() {
    let mut random = Random::new(10);
    for _ in 0..300_000 {
        let mut block: Vec<u8> = (0..random.below(80)).map(|_| random.next() as u8).collect();
        if block.len() >= 16 {
            let len = block.len() as u32;
            block[..4].copy_from_slice(&len.to_le_bytes());
            block[4..12].iter_mut().for_each(|byte| *byte %= 8);
            block[10] = 0;
            block[11] = [0, 0, 2, 4][random.below(4) as usize];
            block[5] = 0;
            block[7] = 0;
            block[9] = 0;
            block[12..16].fill(0);
        }
        if validate(&block) {
            load(&block);
        }
        drop(Leaves::new(&block).map(|leaf| leaf.is_some()).collect::<Vec<_>>());
    }
}

#[test]
fn entries_out_of_order_or_without_a_location_are_refused() {
    let index = Index::new();
    put(&index, b"aaaa", 1);
    put(&index, b"bbbb", 2);
    let mut out = Vec::new();
    index.copy_slice(b"", usize::MAX, &mut out);
    assert!(validate(&out));
    let mut swapped = out.clone();
    swapped.copy_within(20..24, 16);
    assert!(!validate(&swapped), "the same key twice");
    let mut absent = out.clone();
    let end = absent.len();
    absent[end - 9..].fill(0);
    assert!(!validate(&absent));
    assert_eq!(index.get(b"aaaa"), Some(location(1)));
}
