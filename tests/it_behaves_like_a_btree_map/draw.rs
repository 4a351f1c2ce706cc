//! Which keys, values, ranges and options a run draws.

use crate::support::{LONGEST_KEY, PAYLOAD, Rng};
use extentdb::{DirectIo, IoUring, Options, SyncWindow};
use std::ops::Bound;
use std::time::Duration;

/// Lengths of keys, the usual ones more often.
const KEY_LENS: [usize; 24] = [
    1, 2, 3, 4, 7, 8, 9, 15, 16, 16, 16, 16, 17, 32, 100, 255, 256, 257, 1000, 1001, 2008, 4015,
    4032, 8065,
];
const LONG_KEY_LENS: [usize; 4] = [16_000, 32_768, LONGEST_KEY - 1, LONGEST_KEY];
/// What `large_min`, blocks and transfers turn on.
const EDGES: [usize; 6] = [4096, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20];

/// The keys that a run keeps coming back to.
pub(crate) fn keys(rng: &mut Rng, extent_bytes: u64) -> Vec<Vec<u8>> {
    let mut keys = vec![vec![0], vec![0xff], vec![0xff; 3], b"a".to_vec(), b"a\0".to_vec()];
    let longest = extent_bytes as usize / 16;
    let lens = KEY_LENS.iter().chain(&LONG_KEY_LENS).filter(|&&len| len <= longest);
    for &len in lens {
        for _ in 0..if len < 300 { 5 } else { 2 } {
            keys.push(key(rng, len));
        }
    }
    keys
}

/// A key of few different bytes, so that keys share prefixes, and prefixes are keys.
fn key(rng: &mut Rng, len: usize) -> Vec<u8> {
    let mut key: Vec<u8> = (0..len.min(20)).map(|_| *rng.pick(b"\0aab\xff")).collect();
    key.resize(len, *rng.pick(b"\0a\xff"));
    let last = key.len() - 1;
    key[last] = rng.next() as u8;
    key
}

/// A key that nobody has drawn before, as a rule.
pub(crate) fn new_key(rng: &mut Rng) -> Vec<u8> {
    let len = 8 + rng.below(24);
    rng.bytes(len)
}

/// Length of a value for a key of `key_len` bytes: mostly short, else close to where the next
/// page, the next class or the next block begins.
pub(crate) fn value_len(rng: &mut Rng, key_len: usize, longest: usize) -> usize {
    let len = match rng.below(100) {
        0..12 => rng.below(3),
        12..60 => rng.below(200),
        60..68 => rng.below(5000),
        68..84 => {
            let pages = (1 + rng.below(5)) * PAYLOAD + 4;
            (pages + rng.below(8)).saturating_sub(key_len + rng.below(64))
        }
        84..97 => *rng.pick(&EDGES[..4]) + rng.below(3) - 1,
        97 => rng.pick(&EDGES[4..]) + rng.below(3) - 1,
        98 => 1 + rng.below(1 << 20),
        _ => (2 + rng.below(2)) << 20,
    };
    len.min(longest)
}

/// A key, or something next to one.
fn bound_key(rng: &mut Rng, keys: &[Vec<u8>]) -> Vec<u8> {
    let mut key = rng.pick(keys).clone();
    match rng.below(6) {
        0 => key.truncate(rng.below(key.len() + 1)),
        1 => key.push(0),
        2 => key.push(0xff),
        3 => key = new_key(rng),
        _ => {}
    }
    key
}

pub(crate) fn bound(rng: &mut Rng, keys: &[Vec<u8>]) -> Bound<Vec<u8>> {
    match rng.below(5) {
        0 => Bound::Unbounded,
        1 | 2 => Bound::Included(bound_key(rng, keys)),
        _ => Bound::Excluded(bound_key(rng, keys)),
    }
}

pub(crate) fn prefix(rng: &mut Rng, keys: &[Vec<u8>]) -> Vec<u8> {
    let mut prefix = bound_key(rng, keys);
    prefix.truncate(rng.below(5));
    if rng.one_in(4) { bound_key(rng, keys) } else { prefix }
}

/// The same volume, opened in another way.
pub(crate) fn other_options(rng: &mut Rng, options: &Options) -> Options {
    let window = SyncWindow {
        bytes: *rng.pick(&[1, 4 << 10, 100 << 10, 8 << 20]),
        time: Duration::from_millis(*rng.pick(&[0, 1, 100])),
    };
    options
        .clone()
        .direct_io(*rng.pick(&[DirectIo::Off, DirectIo::Preferred]))
        .large_min(*rng.pick(&[0, 1000, 4096, 32 << 10, 32 << 10, 64 << 10, 1 << 20]))
        .pipeline_depth(1 + rng.below(4))
        .pipeline_min_bytes(*rng.pick(&[0, 4096, 32 << 10]))
        .buffer_bytes(*rng.pick(&[0, 1 << 20, 64 << 20]))
        .cache_bytes(*rng.pick(&[0, 16 << 10, 1 << 20, 64 << 20]))
        .io_uring(*rng.pick(&[IoUring::Preferred, IoUring::Off]))
        .sync_window(window)
}
