//! Slices of an index make up the index, whatever happens between them.

use super::random::Random;
use super::{Index, Model, assert_shows, filled, key, location, put};
use crate::index::draft::MAX_BYTES;
use crate::index::{CompactLeaf, Disorder, Leaves, Loader, MAX_KEY_BYTES};

/// All slices of `index`, with what `between` does after each.
fn slices(index: &Index, max_bytes: usize, mut between: impl FnMut(&Index)) -> Vec<Vec<u8>> {
    let mut slices = Vec::new();
    let mut from = Some(Vec::new());
    while let Some(start) = from {
        let mut out = Vec::new();
        let slice = index.copy_slice(&start, max_bytes, &mut out);
        let mut entries = 0;
        for leaf in Leaves::new(&out) {
            let leaf = leaf.expect("a valid leaf");
            assert!(leaf.first_key() >= start && leaf.first_key() <= leaf.last_key());
            assert!(slice.next.as_ref().is_none_or(|next| leaf.last_key() < *next));
            entries += leaf.len() as u64;
        }
        assert_eq!(entries, slice.entries);
        from = slice.next;
        slices.push(out);
        between(index);
    }
    slices
}

/// Loads slices, entry by entry or whole leaves as `whole` says for each.
fn load(slices: &[Vec<u8>], mut whole: impl FnMut() -> bool) -> Index {
    let mut loader = Loader::new();
    for leaf in slices.iter().flat_map(|slice| Leaves::new(slice)) {
        let leaf = leaf.expect("a valid leaf");
        if whole() {
            loader.push_leaf(&leaf).unwrap();
        } else {
            leaf.for_each(|record| loader.push(&record.key(), record.location()).unwrap());
        }
    }
    let index = Index::new();
    index.replace_all(loader.finish());
    index.check();
    index
}

fn random_model(random: &mut Random, longest: usize) -> (Index, Model) {
    let (index, mut model) = (Index::new(), Model::new());
    for number in 0..random.below(if longest > 100 { 600 } else { 6000 }) {
        let key = random.key(10_000, longest);
        put(&index, &key, number);
        model.insert(key, location(number));
    }
    (index, model)
}

#[test]
fn an_index_loads_from_its_slices() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let longest = [8, 30, 3000, MAX_KEY_BYTES][random.below(4) as usize];
        let (index, model) = random_model(&mut random, longest);
        let most = [100, 3000, 40_000][random.below(3) as usize];
        let slices = slices(&index, random.below(most) as usize, |_| {});
        for percent in [0, 10, 50, 90, 100] {
            let loaded = load(&slices, || random.below(100) < percent);
            assert_shows(&loaded.view(), &model);
            compare_after_edits(&mut random, &loaded, model.clone(), longest);
        }
    }
}

/// A loaded index takes changes like any other.
fn compare_after_edits(random: &mut Random, index: &Index, mut model: Model, longest: usize) {
    for number in 0..200 {
        let key = random.key(10_000, longest);
        if random.below(2) == 0 {
            assert_eq!(put(index, &key, number), model.insert(key, location(number)));
        } else {
            assert_eq!(index.edit(|edit| edit.remove(&key)), model.remove(&key));
        }
    }
    index.check();
    assert_shows(&index.view(), &model);
}

#[test]
fn every_slice_is_of_its_moment() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let (index, mut model) = random_model(&mut random, 30);
        let mut from = Some(Vec::new());
        while let Some(start) = from {
            let mut out = Vec::new();
            let slice = index.copy_slice(&start, [100, 2000, 20_000][seed as usize % 3], &mut out);
            let mut seen = Vec::new();
            for leaf in Leaves::new(&out) {
                leaf.unwrap().for_each(|it| seen.push((it.key(), it.location())));
            }
            let wanted = model
                .range(start..)
                .take_while(|(key, _)| slice.next.as_ref().is_none_or(|next| *key < next));
            assert!(wanted.map(|(key, at)| (key.clone(), *at)).eq(seen));
            from = slice.next;
            for number in 0..random.below(200) {
                let key = random.key(10_000, 30);
                if random.below(2) == 0 {
                    put(&index, &key, number);
                    model.insert(key, location(number));
                } else {
                    index.edit(|edit| edit.remove(&key));
                    model.remove(&key);
                }
            }
        }
    }
}

#[test]
fn a_slice_is_as_long_as_asked_for_and_one_leaf() {
    let index = filled(0..100_000);
    let mut out = vec![7];
    let slice = index.copy_slice(&key(5), 10_000, &mut out);
    assert!(out[0] == 7 && (10_000..10_000 + MAX_BYTES).contains(&(out.len() - 1)));
    assert!(slice.entries > 500 && slice.next.is_some());
    let mut out = Vec::new();
    assert!(index.copy_slice(&key(5), 0, &mut out).next.is_some());
    assert_eq!(Leaves::new(&out).count(), 1);
    assert_eq!(index.copy_slice(&key(100_000), 1000, &mut Vec::new()).entries, 0);
}

#[test]
fn a_slice_shorter_than_a_leaf_ends_inside_it() {
    let index = filled(0..8);
    let leaf_bytes = |entries: usize| 16 + if entries == 1 { 8 + 9 } else { 7 + entries * (1 + 9) };
    for (max_bytes, entries) in [(0, 1), (leaf_bytes(3) - 1, 2), (leaf_bytes(3), 3), (96, 7)] {
        let slices = slices(&index, max_bytes, |_| {});
        assert_eq!(slices.len(), 8_usize.div_ceil(entries));
        assert_eq!(slices[0].len(), leaf_bytes(entries));
        assert_eq!(load(&slices, || true).leaves().0, 1, "short leaves are joined");
    }
    assert_eq!(slices(&index, leaf_bytes(8), |_| {}).len(), 1);
}

#[test]
fn slices_end_inside_leaves_of_long_keys() {
    let index = Index::new();
    (0..5).for_each(|number| assert_eq!(put(&index, &vec![number; MAX_KEY_BYTES], 1), None));
    let slices = slices(&index, 32 << 10, |_| {});
    assert_eq!(slices.len(), 5);
    assert_eq!(load(&slices, || true).len(), 5);
}

#[test]
fn loaded_leaves_have_room_for_more() {
    let mut loader = Loader::new();
    (0..100_000).for_each(|number| loader.push(&key(number), location(number)).unwrap());
    let index = Index::new();
    index.replace_all(loader.finish());
    index.check();
    let (leaves, bytes) = index.leaves();
    let fill = bytes * 100 / (leaves * MAX_BYTES);
    assert!((65..85).contains(&fill), "{fill} % of what leaves can take");
}

#[test]
fn what_does_not_ascend_is_refused() {
    let mut out = Vec::new();
    filled(10..20).copy_slice(b"", usize::MAX, &mut out);
    let leaf = CompactLeaf::new(&out).unwrap();
    let mut loader = Loader::new();
    loader.push(&key(10), location(1)).unwrap();
    assert_eq!(loader.push(&key(10), location(1)), Err(Disorder));
    assert_eq!(loader.push(&key(9), location(1)), Err(Disorder));
    assert_eq!(loader.push_leaf(&leaf), Err(Disorder));
    assert_eq!(loader.push(&vec![9; MAX_KEY_BYTES + 1], location(1)), Err(Disorder));
    let mut loader = Loader::new();
    loader.push_leaf(&leaf).unwrap();
    assert_eq!(loader.push_leaf(&leaf), Err(Disorder));
    assert_eq!(loader.push(&key(19), location(1)), Err(Disorder));
    loader.push(&key(20), location(1)).unwrap();
    assert_eq!(loader.finish().len, 11);
}

#[test]
fn nothing_loads_as_an_empty_index() {
    let index = load(&slices(&Index::new(), 1000, |_| {}), || true);
    assert_eq!(index.len(), 0);
}
