//! What a *relocate* lists: where values were that the collector has copied, and where they are now.
//!
//! Not whose they are. A place is one put's for as long as anything refers to it (G3), so whatever
//! says that a value is there is moved; at open, that are the image and the records of the log. While
//! the store runs the keys are in memory, beside the list.
//!
//! The copies stand one after the other, so only the first place is told: each of the others begins
//! where the one before it ends. Numbers are variable-length, and places are told by how far they are
//! from the one before, as what is collected together is near together.

use super::bytes::{get_u16, get_u32, get_varint, put_u16, put_u32, put_varint};
use super::ids::{MAX_VOLUME_PAGES, PAGE_BYTES, PageNo};
use super::location::{Home, Location};
use super::value_record::record_len;

/// Bytes of the place of the first copy.
pub(crate) const START_BYTES: usize = 8;

pub(crate) const PAGE_AT: usize = 0;
pub(crate) const OFFSET_AT: usize = 4;

/// Beside the way to a move's value: the copy is as long as the one before.
const AS_LONG: u64 = 1;
/// Copies begin at multiples of this, and are as long.
const ALIGN: u32 = 8;
/// Least bytes of a copy, for a key of one byte.
const LEAST_BYTES: u32 = record_len(1, 0) as u32;

/// A value, unchanged, is elsewhere from now on, if it is still where it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Move {
    /// Where it was, in bytes from the start of the volume: page and offset of its location.
    pub(crate) from: u64,
    /// Where its copy is.
    pub(crate) to: u64,
    /// Bytes of the packed record that the copy is.
    pub(crate) len: u32,
}

impl Move {
    /// Where the value at `location` is after it; `None` if it is of another.
    pub(crate) fn of(self, location: Location) -> Option<Location> {
        (place_of(location) == Some(self.from)).then(|| self.target(location.value_len()))
    }

    /// Where a value of `value_len` bytes is after it.
    pub(crate) fn target(self, value_len: u32) -> Location {
        let (page, offset) = (self.to / PAGE_BYTES as u64, self.to % PAGE_BYTES as u64);
        Location::value(PageNo(page), offset as u16, value_len)
    }
}

/// Where `location` is, in bytes from the start of the volume; `None` if it does not move, as it is
/// that of a large value.
pub(crate) fn place_of(location: Location) -> Option<u64> {
    let at = location.page().0 * PAGE_BYTES as u64 + u64::from(location.offset());
    (location.home() != Home::Large).then_some(at)
}

/// A list that is being made, and beside it the keys of what moves.
#[derive(Clone, Debug)]
pub(crate) struct List {
    bytes: Vec<u8>,
    keys: Vec<u8>,
    last: Last,
}

/// What a move is told by: what the one before it was of.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    from: u64,
    len: u32,
}

impl List {
    /// A list of nothing so far, the first copy of which will be at `to`.
    pub(crate) fn new(to: Location) -> Self {
        assert_eq!(to.home(), Home::Value, "copies are packed records");
        Self::starting_at(place_of(to).unwrap_or_default())
    }

    fn starting_at(to: u64) -> Self {
        let mut bytes = vec![0; START_BYTES];
        put_u32(&mut bytes, PAGE_AT, (to / PAGE_BYTES as u64) as u32);
        put_u16(&mut bytes, OFFSET_AT, (to % PAGE_BYTES as u64) as u16);
        Self { bytes, keys: Vec::new(), last: Last::default() }
    }

    /// Adds the next: the value of `key`, which was at `from`.
    pub(crate) fn push(&mut self, key: &[u8], from: Location) {
        let place = place_of(from).expect("a large value is not beside its key");
        self.push_move(place, record_len(key.len(), from.value_len()) as u32, key);
    }

    fn push_move(&mut self, from: u64, len: u32, key: &[u8]) {
        let away = from as i64 - self.last.from as i64;
        let as_long = len == self.last.len;
        put_varint(&mut self.bytes, zigzag(away) << 1 | if as_long { AS_LONG } else { 0 });
        if !as_long {
            put_varint(&mut self.bytes, u64::from(len / ALIGN));
        }
        push_key(&mut self.keys, key);
        self.last = Last { from, len };
    }

    /// What the log says.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The keys, for [`keys`].
    pub(crate) fn keys(&self) -> &[u8] {
        &self.keys
    }
}

fn push_key(keys: &mut Vec<u8>, key: &[u8]) {
    keys.extend_from_slice(&(key.len() as u16).to_le_bytes());
    keys.extend_from_slice(key);
}

/// The keys of a list, in its order.
pub(crate) fn keys(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    std::iter::from_fn(move || {
        let (len, rest) = bytes.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        bytes = rest;
        Some(key)
    })
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Walks over a list. Yields `None` once, then ends, where the bytes are not one.
#[derive(Clone, Debug)]
pub(crate) struct Moves<'a> {
    rest: &'a [u8],
    place: Place,
}

/// What the next move of a list goes on from.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Where the next copy is.
    to: u64,
    last: Last,
}

impl<'a> Moves<'a> {
    /// `None` if that is no list, or one of nothing.
    pub(crate) fn new(list: &'a [u8]) -> Option<Self> {
        let (start, rest) = list.split_at_checked(START_BYTES)?;
        let (page, offset) = (get_u32(start, PAGE_AT), get_u16(start, OFFSET_AT));
        let sound = start[OFFSET_AT + 2..] == [0; 2] && Location::is_packed_at(offset);
        let to = u64::from(page) * PAGE_BYTES as u64 + u64::from(offset);
        let moves = Self { rest, place: Place { to, last: Last::default() } };
        (sound && !rest.is_empty()).then_some(moves)
    }

    /// Whether all of `list` is sound.
    pub(crate) fn are_sound(list: &'a [u8]) -> bool {
        Self::new(list).is_some_and(|mut moves| moves.all(|next| next.is_some()))
    }

    fn decode(&mut self) -> Option<Move> {
        let way = get_varint(&mut self.rest)?;
        let Last { from: before, mut len } = self.place.last;
        if way & AS_LONG == 0 {
            len = u32::try_from(get_varint(&mut self.rest)?).ok()?.checked_mul(ALIGN)?;
        }
        let from = before.checked_add_signed(unzigzag(way >> 1))?;
        let to = self.place.to;
        let end = MAX_VOLUME_PAGES * PAGE_BYTES as u64;
        let sound = len >= LEAST_BYTES && from < end && to < end && from != to;
        self.place = Place { to: to + u64::from(len), last: Last { from, len } };
        sound.then_some(Move { from, to, len })
    }
}

impl Iterator for Moves<'_> {
    type Item = Option<Move>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let next = self.decode();
        if next.is_none() {
            self.rest = &[];
        }
        Some(next)
    }
}

/// A list that is taken bit by bit, each a list of its own.
#[derive(Debug)]
pub(crate) struct Cuts {
    list: List,
    /// Where the next move, and its key, begin.
    at: usize,
    key_at: usize,
    place: Place,
}

impl Cuts {
    /// `None` if there is nothing in `list`.
    pub(crate) fn new(list: List) -> Option<Self> {
        let place = Moves::new(&list.bytes)?.place;
        Some(Self { list, at: START_BYTES, key_at: 0, place })
    }

    /// Bytes of moves that are left.
    pub(crate) fn rest_len(&self) -> usize {
        self.list.bytes.len() - self.at
    }

    /// As many of the next moves as a list of `room` bytes holds, `most` at most, and how many those are;
    /// `None` if not even one.
    pub(crate) fn cut(&mut self, room: usize, most: usize) -> Option<(List, usize)> {
        let mut walk = Moves { rest: &self.list.bytes[self.at..], place: self.place };
        let mut cut = List::starting_at(self.place.to);
        let mut count = 0;
        for key in keys(&self.list.keys[self.key_at..]).take(most) {
            let Some(Some(next)) = walk.next() else { break };
            let before = (cut.bytes.len(), cut.keys.len());
            cut.push_move(next.from, next.len, key);
            if cut.bytes.len() > room {
                cut.bytes.truncate(before.0);
                cut.keys.truncate(before.1);
                break;
            }
            self.at = self.list.bytes.len() - walk.rest.len();
            self.place = walk.place;
            count += 1;
        }
        self.key_at += cut.keys.len();
        (count > 0).then_some((cut, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(moves: &[(&[u8], Location)]) -> List {
        let mut list = List::new(Location::value(PageNo(9), 4088, 0));
        for (key, from) in moves {
            list.push(key, *from);
        }
        list
    }

    #[test]
    fn copies_follow_each_other() {
        let from = [Location::log(PageNo(5), 81, 100), Location::value(PageNo(6), 8, 5000)];
        let sources = [(&b"key"[..], from[0]), (b"another", from[1]), (b"k", from[0])];
        let list = list(&sources);
        let moves: Vec<_> = Moves::new(list.bytes()).unwrap().map(Option::unwrap).collect();
        assert_eq!(moves.len(), 3);
        assert_eq!(keys(list.keys()).collect::<Vec<_>>(), [&b"key"[..], b"another", b"k"]);
        let mut at = 9 * PAGE_BYTES + 4088;
        for (next, (key, from)) in moves.iter().zip(sources) {
            let (page, offset) = (PageNo((at / PAGE_BYTES) as u64), (at % PAGE_BYTES) as u16);
            assert_eq!(next.of(from), Some(Location::value(page, offset, from.value_len())));
            assert_eq!(next.of(Location::log(PageNo(5), 80, 100)), None);
            assert_eq!(next.of(Location::large(from.page(), 100)), None);
            at += record_len(key.len(), from.value_len());
        }
    }

    #[test]
    fn a_move_takes_two_bytes_where_records_are_as_long() {
        let from = |at: u64| Location::log(PageNo(at / 4000), (at % 4000) as u16, 1024);
        let moves: Vec<_> = (0..100).map(|i| (&[1; 16][..], from(40_000 + i * 1600))).collect();
        assert_eq!(list(&moves).bytes().len(), START_BYTES + 5 + 99 * 2);
    }

    #[test]
    fn a_list_in_bits_says_the_same() {
        let owned: Vec<Vec<u8>> = (1..60).map(|len| vec![b'k'; len]).collect();
        let from = |i: usize| match i % 3 {
            0 => Location::value(PageNo(1 << 20), 8, i as u32),
            _ => Location::log(PageNo(5), i as u16, 1000 * i as u32),
        };
        let moves = owned.iter().enumerate().map(|(i, key)| (&key[..], from(i)));
        let whole = list(&moves.collect::<Vec<_>>());
        let all: Vec<_> = Moves::new(whole.bytes()).unwrap().map(Option::unwrap).collect();
        assert_eq!(all.len(), owned.len());
        for (room, most) in [(START_BYTES + 9, 9), (40, 100), (200, 3), (1 << 20, 60), (1 << 20, 7)]
        {
            let mut cuts = Cuts::new(whole.clone()).unwrap();
            assert_eq!(cuts.cut(START_BYTES + 2, most).map(|_| ()), None, "not even one");
            let mut bits = Vec::new();
            while cuts.rest_len() > 0 {
                let (bit, count) = cuts.cut(room, most).unwrap();
                assert!(count <= most && count == keys(bit.keys()).count());
                bits.push(bit);
            }
            assert!(cuts.cut(room, most).is_none());
            assert!(bits.iter().all(|bit| bit.bytes().len() <= room));
            let moves = bits.iter().flat_map(|bit| Moves::new(bit.bytes()).unwrap());
            assert_eq!(moves.map(Option::unwrap).collect::<Vec<_>>(), all);
            assert!(bits.iter().flat_map(|bit| keys(bit.keys())).eq(&owned));
        }
        assert!(Cuts::new(list(&[])).is_none());
    }

    #[test]
    fn cut_lists_are_refused() {
        let whole = list(&[(b"key", Location::log(PageNo(500), 81, 100))]);
        let whole = whole.bytes();
        assert!(Moves::are_sound(whole));
        for len in 0..whole.len() {
            assert!(!Moves::are_sound(&whole[..len]), "{len}");
        }
    }

    #[test]
    fn moves_that_make_no_sense_are_refused() {
        let to = Location::value(PageNo(9), 4088, 100);
        assert!(!Moves::are_sound(list(&[(b"key", to)]).bytes()), "from where it is");
        let with = |start: &[u8], numbers: &[u64]| {
            let mut list = start.to_vec();
            numbers.iter().for_each(|&number| put_varint(&mut list, number));
            Moves::are_sound(&list)
        };
        let start = [9, 0, 0, 0, 8, 0, 0, 0];
        let way = |away: i64| zigzag(away) << 1;
        assert!(with(&start, &[way(81), 15, way(-80), 15]));
        assert!(!with(&[9, 0, 0, 0, 4, 0, 0, 0], &[way(81), 15]), "not a multiple of 8");
        assert!(!with(&[9, 0, 0, 0, 8, 0, 0, 1], &[way(81), 15]));
        assert!(!with(&start, &[way(81) | AS_LONG]), "as long as nothing");
        let end = (MAX_VOLUME_PAGES * PAGE_BYTES as u64) as i64;
        for numbers in [
            [way(-1), 15],
            [way(end), 15],
            [way(i64::MAX), 15],
            [way(81), 0],
            [way(81), u64::from(LEAST_BYTES / ALIGN) - 1],
            [way(81), 1 << 29],
            [way(81), u64::MAX],
        ] {
            assert!(!with(&start, &numbers), "{numbers:?}");
        }
        let last_page = u32::MAX.to_le_bytes();
        let near_end = [last_page.as_slice(), &[0xf8, 0x0f, 0, 0]].concat();
        assert!(with(&near_end, &[way(81), 15]), "the page may be the last");
        assert!(!with(&near_end, &[way(81), 15, way(80) | AS_LONG]), "beyond the last page");
    }
}
