//! What the index costs beside the standard library's map. `scripts/measure-index` runs it.

use super::Index;
use super::tests::random::Random;
use crate::format::ids::PageNo;
use crate::format::location::Location;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::Bound;
use std::time::{Duration, Instant};

type Key = [u8; 16];

fn keys() -> u64 {
    std::env::var("KEYS").ok().and_then(|keys| keys.parse().ok()).unwrap_or(10_000_000)
}

fn random_key(number: u64) -> Key {
    let mut random = Random::new(number);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&random.next().to_be_bytes());
    key[8..].copy_from_slice(&random.next().to_be_bytes());
    key
}

fn location(number: u64) -> Location {
    Location::log(PageNo(number & 0xffff_ffff), (number % 4000) as u16, 1000)
}

/// Resident bytes of this process.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0
}

fn insert_all<K: AsRef<[u8]>>(
    index: &Index,
    numbers: std::ops::Range<u64>,
    key: impl Fn(u64) -> K,
) {
    let mut numbers = numbers.peekable();
    while numbers.peek().is_some() {
        index.edit(|edit| {
            for number in numbers.by_ref().take(64) {
                edit.insert(key(number).as_ref(), location(number));
            }
        });
    }
}

/// Millions of steps a second.
fn rate(steps: u64, work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    steps as f64 / begun.elapsed().as_secs_f64() / 1e6
}

fn report_memory(what: &str, index: &Index, before: f64, keys: u64) {
    let (leaves, leaf_bytes) = index.leaves();
    println!(
        "{what:<44} {:6.2} B/key resident, {:6.2} accounted; {:.1} entries a leaf of {:.0} B",
        (resident() - before) / keys as f64,
        index.memory_bytes() as f64 / keys as f64,
        index.len() as f64 / leaves.max(1) as f64,
        leaf_bytes as f64 / leaves.max(1) as f64,
    );
}

#[test]
#[ignore = "a measurement"]
fn memory_of_random_16_byte_keys() {
    let keys = keys();
    let before = resident();
    let index = Index::new();
    let inserts = rate(keys, || insert_all(&index, 0..keys, random_key));
    report_memory("16 random bytes", &index, before, keys);
    let churn = 3 * keys;
    let churned = rate(churn, || churn_all(&index, keys, churn));
    report_memory("16 random bytes, after churn", &index, before, keys);
    println!("{inserts:.2} M inserts/s, {churned:.2} M delete+insert/s");
    (churn..churn + keys).step_by(64).for_each(|first| {
        index.edit(|edit| {
            (first..first + 64).for_each(|number| {
                if number % 100 != 0 {
                    edit.remove(&random_key(number));
                }
            });
        });
    });
    let left = index.len();
    report_memory("a hundredth of those", &index, before, left);
}

/// Deletes the oldest key and inserts a new one, `count` times.
fn churn_all(index: &Index, keys: u64, count: u64) {
    for first in (0..count).step_by(32) {
        index.edit(|edit| {
            for number in first..(first + 32).min(count) {
                edit.remove(&random_key(number));
                edit.insert(&random_key(keys + number), location(number));
            }
        });
    }
}

#[test]
#[ignore = "a measurement"]
fn memory_of_other_keys() {
    let keys = keys();
    let sized = |what: &str, keys: u64, key: &dyn Fn(u64) -> Vec<u8>| {
        let before = resident();
        let index = Index::new();
        insert_all(&index, 0..keys, key);
        report_memory(what, &index, before, keys);
    };
    let random = |number: u64, bytes: usize| {
        let mut random = Random::new(number);
        (0..bytes).map(|_| random.next() as u8).collect::<Vec<u8>>()
    };
    sized("8 random bytes", keys, &|number| random(number, 8));
    sized("32 random bytes", keys / 2, &|number| random(number, 32));
    sized("100 random bytes", keys / 5, &|number| random(number, 100));
    sized("8 to 40 random bytes", keys / 2, &|number| random(number, 8 + (number % 33) as usize));
    sized("16 bytes, ascending", keys, &|number| u128::from(number).to_be_bytes().to_vec());
    sized("64 shared bytes, then 16 random", keys / 2, &|number| {
        [&[b'p'; 64][..], &random_key(number)].concat()
    });
    sized("user:NNNNNNNN:item:NN, text", keys / 2, &|number| {
        let mixed = Random::new(number).next();
        format!("user:{:08}:item:{:06}", mixed % 99_999, (mixed >> 32) % 999_999).into_bytes()
    });
}

/// Adds up the time that one side takes of work that alternates between two.
#[derive(Default)]
struct Clock(Duration);

impl Clock {
    fn run(&mut self, work: impl FnOnce()) {
        let begun = Instant::now();
        work();
        self.0 += begun.elapsed();
    }

    /// Millions of steps a second.
    fn rate(&self, steps: u64) -> f64 {
        steps as f64 / self.0.as_secs_f64() / 1e6
    }
}

fn print_rates(what: &str, steps: u64, map: &Clock, index: &Clock) {
    let (map, index) = (map.rate(steps), index.rate(steps));
    println!("{what:<20} map {map:7.2} M/s, index {index:7.2} M/s: {:5.2}", index / map);
}

/// Both are filled, and both are read, in turns of this many steps, so that what else the machine
/// does meets them alike.
const TURN: u64 = 64 << 10;

fn turns(keys: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
    (0..keys).step_by(TURN as usize).map(move |first| first..(first + TURN).min(keys))
}

fn scan_map(map: &BTreeMap<Key, u64>) -> u64 {
    map.iter().map(|(key, number)| u64::from(key[15]) + (number & 0xff)).sum()
}

fn scan_pages(index: &Index) -> u64 {
    let mut sum = 0;
    index.view().range(Bound::Unbounded, Bound::Unbounded).for_each_entry(|key, location| {
        sum += u64::from(key[15]) + u64::from(location.value_len());
    });
    sum
}

fn scan_items(index: &Index) -> u64 {
    let found = index.view().range(Bound::Unbounded, Bound::Unbounded);
    found.map(|at| u64::from(at.key()[15]) + u64::from(at.location().value_len())).sum()
}

/// Another order of the same numbers.
fn shuffled(number: u64, keys: u64) -> u64 {
    (number * 7_919_993 + 12345) % keys
}

#[test]
#[ignore = "a measurement"]
fn speed_beside_the_standard_map() {
    let keys = keys();
    let (mut map, index) = (BTreeMap::new(), Index::new());
    let (mut of_map, mut of_index) = (Clock::default(), Clock::default());
    for turn in turns(keys) {
        let fresh: Vec<(Key, u64)> = turn.map(|number| (random_key(number), number)).collect();
        of_map.run(|| map.extend(fresh.iter().copied()));
        of_index.run(|| {
            for some in fresh.chunks(64) {
                index.edit(|edit| {
                    for (key, number) in some {
                        edit.insert(key, location(*number));
                    }
                });
            }
        });
    }
    print_rates("insert", keys, &of_map, &of_index);
    (of_map, of_index) = (Clock::default(), Clock::default());
    for turn in turns(keys) {
        let wanted: Vec<Key> = turn.map(|number| random_key(shuffled(number, keys))).collect();
        of_map.run(|| wanted.iter().for_each(|key| _ = black_box(map.get(key))));
        of_index.run(|| wanted.iter().for_each(|key| _ = black_box(index.get(key))));
    }
    print_rates("get", keys, &of_map, &of_index);
    let mut clocks: [Clock; 3] = Default::default();
    for _ in 0..5 {
        clocks[0].run(|| _ = black_box(scan_map(&map)));
        clocks[1].run(|| _ = black_box(scan_pages(&index)));
        clocks[2].run(|| _ = black_box(scan_items(&index)));
    }
    print_rates("scan, page by page", 5 * keys, &clocks[0], &clocks[1]);
    print_rates("scan, item by item", 5 * keys, &clocks[0], &clocks[2]);
}

#[test]
#[ignore = "a measurement"]
fn memory_of_a_view_over_overwrites() {
    let keys = keys();
    let index = Index::new();
    insert_all(&index, 0..keys, random_key);
    let before = resident();
    let view = index.view();
    let overwrites = 1_000_000;
    let speed = rate(overwrites, || {
        insert_all(&index, 0..overwrites, |number| random_key(Random::new(number).next() % keys));
    });
    println!(
        "a view over {overwrites} random overwrites: {:.1} MiB resident, {:.1} MiB accounted, {speed:.2} M/s",
        (resident() - before) / f64::from(1 << 20),
        index.pins().overlay_bytes as f64 / f64::from(1 << 20),
    );
    drop(view);
    drop(index.take_released());
    println!("after it: {:.1} MiB resident", (resident() - before) / f64::from(1 << 20));
}
