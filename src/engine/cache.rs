//! Values that were read lately, kept in memory.
//!
//! An entry is found by where its record is and in which life of its extent. That is one record
//! for ever: while an extent is in one life its pages are written once (W3, G3), and no life's
//! incarnation is issued twice (G4). So an entry never has to be taken out when its value is
//! overwritten, moved, or its extent used again: nobody asks for it any more, and it ages out. Who
//! asks has found the location in the index or a view and keeps the extent from being freed
//! meanwhile (G3), so the life that the extent is in is the one in which the record was written.
//!
//! An entry holds the key too, and is given only to who asks for that key (P3).
//!
//! A record enters when it is read for the second time within about four times as many reads as
//! there is room for: most are read once and not again for long, and keeping one costs more than
//! remembering it.

use crate::format::ids::Incarnation;
use crate::format::location::Location;
use crate::seeded::{Bug, seeded};
use crate::sync::{Arc, AtomicU64, Ordering, cores};
use crate::value::Value;
use quick_cache::sync::{Cache as Store, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::OnceLock;

/// Longest record, key included, that is kept.
const MAX_RECORD_BYTES: usize = 64 << 10;

/// A record takes at most so much of a shard, so that one does not push out many.
const SHARE: usize = 8;

/// Least bytes of a shard, where there are several.
const MIN_SHARD_BYTES: usize = 1 << 20;

/// What an entry takes beside its key and value: place, pointers, table and the allocator's own.
const ENTRY_BYTES: usize = 100;

/// What the number of records that there is room for is guessed by.
const TYPICAL_BYTES: usize = 1 << 10;

/// A record for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    location: Location,
    /// Of the extent.
    incarnation: Incarnation,
}

impl Place {
    pub(super) fn new(location: Location, incarnation: Incarnation) -> Self {
        let forgets = seeded(Bug::EarlierLifeCached);
        let incarnation = if forgets { Incarnation::default() } else { incarnation };
        Self { location, incarnation }
    }

    /// Spreads places over 64 bits, the same in every process: a test repeats what it did.
    fn spread(self) -> u64 {
        let at = self.location.page().0 << 12 ^ u64::from(self.location.offset());
        let life = self.incarnation.serial ^ u64::from(self.incarnation.epoch.0) << 40;
        let mut x = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ life;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.spread());
    }
}

/// Takes the one number that it is given, which is spread already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a place is one number");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A key, and its value right after it.
#[derive(Clone)]
struct Record {
    bytes: Arc<[u8]>,
    key_len: u32,
}

impl Record {
    fn value(self, key: &[u8]) -> Option<Value> {
        let key_len = self.key_len as usize;
        let is_own = self.bytes[..key_len] == *key;
        debug_assert!(is_own, "G3: a place is that of one record");
        let len = self.bytes.len();
        is_own.then(|| Value::from_memory(self.bytes, key_len..len))
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Place, Record> for Weight {
    fn weight(&self, _: &Place, record: &Record) -> u64 {
        (record.bytes.len() + ENTRY_BYTES) as u64
    }
}

type Records = Store<Place, Record, Weight, BuildHasherDefault<AsItIs>>;

/// Remembers places that were read, each until another comes to where it is remembered.
struct Memory {
    slots: usize,
    /// Made when it is needed: a store may be opened to be looked into and closed again.
    read: OnceLock<Box<[AtomicU64]>>,
}

impl Memory {
    /// Whether `place` was read before, as far as is remembered.
    fn has_met(&self, place: Place) -> bool {
        let read = self.read.get_or_init(|| (0..self.slots).map(|_| AtomicU64::new(0)).collect());
        let spread = place.spread().max(1);
        let slot = (u128::from(spread) * self.slots as u128) >> 64;
        read[slot as usize].swap(spread, Ordering::Relaxed) == spread
    }
}

/// The cache of a store.
pub(super) struct Cache {
    /// `None`: nothing is kept.
    records: Option<Records>,
    longest: usize,
    memory: Memory,
}

impl Cache {
    /// A cache of at most `bytes` bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let shards = (bytes / MIN_SHARD_BYTES).clamp(1, 4 * cores());
        let shards = 1_usize << shards.ilog2();
        let longest = MAX_RECORD_BYTES.min(bytes / shards / SHARE);
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity((bytes / TYPICAL_BYTES).max(shards))
            .weight_capacity(bytes as u64)
            .build()
            .expect("all that is needed is given");
        let store = || {
            Records::with_options(
                options,
                Weight,
                BuildHasherDefault::default(),
                DefaultLifecycle::default(),
            )
        };
        let memory = Memory { slots: bytes / TYPICAL_BYTES * 4 + 1, read: OnceLock::new() };
        Self { records: (longest > 0).then(store), longest, memory }
    }

    /// Whether the record at `place`, which has just been read, is worth being kept.
    pub(super) fn admits(&self, place: Place) -> bool {
        self.memory.has_met(place)
    }

    /// Whether a value of `value_len` bytes may be here.
    pub(super) fn may_hold(&self, key: &[u8], value_len: u32) -> bool {
        key.len() + value_len as usize <= self.longest
    }

    /// The value of `key`, whose record is at `place`. `counts`: it has been of use.
    pub(super) fn get(&self, place: Place, key: &[u8], counts: bool) -> Option<Value> {
        let records = self.records.as_ref()?;
        let found = if counts { records.get(&place) } else { records.peek(&place) };
        found?.value(key)
    }

    /// Keeps `bytes`, a key of `key_len` bytes and its value, as the record at `place`. Returns the
    /// value, which shares the memory.
    pub(super) fn keep(&self, place: Place, bytes: &[u8], key_len: usize) -> Value {
        let record = Record { bytes: Arc::from(bytes), key_len: key_len as u32 };
        if let Some(records) = &self.records {
            records.insert(place, record.clone());
        }
        Value::from_memory(record.bytes, key_len..bytes.len())
    }

    /// Bytes of what is kept.
    pub(super) fn bytes(&self) -> u64 {
        self.records.as_ref().map_or(0, Records::weight)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ids::{Epoch, PageNo};

    fn place(page: u64) -> Place {
        let incarnation = Incarnation { epoch: Epoch(1), serial: 7 };
        Place::new(Location::log(PageNo(page), 8, 1000), incarnation)
    }

    fn record(page: u64) -> Vec<u8> {
        [&page.to_be_bytes()[..], &[page as u8; 1000]].concat()
    }

    fn has(cache: &Cache, page: u64) -> bool {
        cache.get(place(page), &page.to_be_bytes(), true).is_some()
    }

    #[test]
    fn it_is_bounded_in_bytes() {
        let cache = Cache::new(1 << 20);
        for page in 0..10_000 {
            let value = cache.keep(place(page), &record(page), 8);
            assert_eq!(value, [page as u8; 1000]);
        }
        assert!(cache.bytes() <= 1 << 20 && cache.bytes() > 1 << 19, "{cache:?}");
        let kept = (0..10_000).filter(|&page| has(&cache, page)).count() as u64;
        assert_eq!(kept * (1008 + ENTRY_BYTES as u64), cache.bytes());
    }

    #[test]
    fn what_is_used_outlasts_ten_times_as_much_that_is_not() {
        let cache = Cache::new(8 << 20);
        let hot = 0..2000;
        for _ in 0..3 {
            for page in hot.clone().filter(|&page| !has(&cache, page)).collect::<Vec<_>>() {
                cache.keep(place(page), &record(page), 8);
            }
        }
        for page in 10_000..80_000 {
            assert!(!has(&cache, page));
            cache.keep(place(page), &record(page), 8);
        }
        let left = hot.filter(|&page| has(&cache, page)).count();
        assert!(left >= 1800, "{left} of 2000");
    }

    #[test]
    fn long_values_and_caches_of_nothing_keep_nothing() {
        for (bytes, longest) in [(0, 0), (7, 0), (4096, 512), (64 << 20, MAX_RECORD_BYTES)] {
            let cache = Cache::new(bytes);
            assert_eq!(cache.longest, longest);
            assert!(!cache.may_hold(b"k", longest as u32));
        }
        let none = Cache::new(0);
        assert_eq!(none.keep(place(1), &record(1), 8), [1; 1000]);
        assert!(!has(&none, 1));
    }

    #[test]
    fn a_record_is_worth_keeping_when_it_is_read_again() {
        let cache = Cache::new(1 << 20);
        let again =
            |pages: std::ops::Range<u64>| pages.filter(|&page| cache.admits(place(page))).count();
        assert_eq!(again(0..500), 0);
        assert!(again(0..500) > 400);
        assert_eq!(again(10_000..60_000), 0);
        assert!(again(0..500) < 10, "long ago");
    }

    #[test]
    fn places_are_spread_evenly() {
        let mut met = [0; 64];
        for page in 0..64_000 {
            met[(place(page).spread() >> 58) as usize] += 1;
        }
        assert!(met.iter().all(|count| (800..1200).contains(count)), "{met:?}");
    }

    #[test]
    fn another_life_is_another_place() {
        let cache = Cache::new(1 << 20);
        let location = Location::log(PageNo(1), 8, 1000);
        let life = |serial| Place::new(location, Incarnation { epoch: Epoch(1), serial });
        cache.keep(life(1), &record(1), 8);
        assert!(cache.get(life(2), &1_u64.to_be_bytes(), true).is_none());
        assert!(cache.get(life(1), &1_u64.to_be_bytes(), true).is_some());
    }
}
