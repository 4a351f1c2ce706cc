//! The longest keys neither break nor bloat nodes.

use super::random::Random;
use super::{Index, Model, assert_shows, location, put};
use crate::index::MAX_KEY_BYTES;

/// Longest keys that differ only at their ends, so that separators are long too, among short
/// ones.
fn hostile_key(random: &mut Random) -> Vec<u8> {
    let number = random.below(60) as u8;
    match random.below(4) {
        0 => [&vec![b'x'; MAX_KEY_BYTES - 1][..], &[number]].concat(),
        1 => [&vec![b'x'; MAX_KEY_BYTES / 2][..], &[number]].concat(),
        2 => vec![b'x', number],
        _ => vec![number; 3],
    }
}

#[test]
fn long_separators_survive_inserts_and_removes() {
    let mut random = Random::new(11);
    let index = Index::new();
    let mut model = Model::new();
    for round in 0..6000 {
        let key = hostile_key(&mut random);
        if random.below(100) < if round < 3000 { 30 } else { 60 } {
            assert_eq!(index.edit(|edit| edit.remove(&key)), model.remove(&key));
        } else {
            assert_eq!(put(&index, &key, round), model.insert(key, location(round)));
        }
        if round % 10 == 0 {
            index.check();
        }
    }
    assert_shows(&index.view(), &model);
}

#[test]
fn ascending_and_descending_longest_keys_build_sound_trees() {
    for numbers in [Vec::from_iter(0..500u16), Vec::from_iter((0..500).rev())] {
        let index = Index::new();
        for number in numbers {
            let mut key = vec![0; MAX_KEY_BYTES];
            key[MAX_KEY_BYTES - 2..].copy_from_slice(&number.to_be_bytes());
            put(&index, &key, 0);
        }
        index.check();
        assert_eq!(index.len(), 500);
    }
}

#[test]
#[should_panic(expected = "65536 bytes")]
fn a_key_too_long_is_refused() {
    put(&Index::new(), &vec![0; MAX_KEY_BYTES + 1], 0);
}

#[test]
fn a_key_too_long_to_exist_reads_as_none() {
    assert_eq!(super::filled(0..100).get(&vec![0; MAX_KEY_BYTES + 1]), None);
}
