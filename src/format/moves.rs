//! What a *relocate* lists: keys whose values the collector has copied, and where each was.
//!
//! The copies stand one after the other, so only the first place is told: each of the others begins
//! where the one before it ends. Numbers are variable-length, and pages are told by how far they are
//! from the one before, as what is collected together is near together.

use super::bytes::{get_u16, get_u32, get_varint, put_u16, put_u32, put_varint};
use super::ids::{PAGE_BYTES, PageNo};
use super::location::{Home, Location};
use super::value_record::record_len;

/// Bytes of the place of the first copy.
pub(crate) const START_BYTES: usize = 8;
/// Most bytes of a move before its key: a page, an offset, and two lengths.
pub(crate) const MOST_HEAD_BYTES: usize = 5 + 2 + 3 + 4;

pub(crate) const PAGE_AT: usize = 0;
pub(crate) const OFFSET_AT: usize = 4;

/// Beside the offset of a move: its value was in a value extent.
const PACKED: u64 = 1;
/// Key and value are as long as those of the move before.
const AS_LONG: u64 = 2;

/// The value of `key`, unchanged, is at `to` from now on, if it is still at `from`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Move<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) from: Location,
    pub(crate) to: Location,
}

/// A list that is being made.
#[derive(Clone, Debug)]
pub(crate) struct List {
    bytes: Vec<u8>,
    last: Last,
}

/// What a move is told by: what the one before it was of.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    /// Page that its value was in.
    page: u64,
    key_len: u16,
    value_len: u32,
}

impl List {
    /// A list of nothing so far, the first copy of which will be at `to`.
    pub(crate) fn new(to: Location) -> Self {
        assert_eq!(to.home(), Home::Value, "copies are packed records");
        let mut bytes = vec![0; START_BYTES];
        put_u32(&mut bytes, PAGE_AT, to.page().0 as u32);
        put_u16(&mut bytes, OFFSET_AT, to.offset());
        Self { bytes, last: Last::default() }
    }

    /// Adds the next: the value of `key`, which was at `from`.
    pub(crate) fn push(&mut self, key: &[u8], from: Location) {
        let packed = match from.home() {
            Home::Log => 0,
            Home::Value => PACKED,
            Home::Large => unreachable!("a large value is not beside its key"),
        };
        let (key_len, value_len) = (key.len() as u16, from.value_len());
        let away = from.page().0 as i64 - self.last.page as i64;
        put_varint(&mut self.bytes, (away << 1 ^ away >> 63) as u64);
        let as_long = (key_len, value_len) == (self.last.key_len, self.last.value_len);
        let place = u64::from(from.offset()) << 2 | packed;
        put_varint(&mut self.bytes, place | if as_long { AS_LONG } else { 0 });
        if !as_long {
            put_varint(&mut self.bytes, u64::from(key_len));
            put_varint(&mut self.bytes, u64::from(value_len));
        }
        self.bytes.extend_from_slice(key);
        self.last = Last { page: from.page().0, key_len, value_len };
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
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
    /// Where the next copy is, in bytes of the volume.
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

    fn decode(&mut self) -> Option<Move<'a>> {
        let away = get_varint(&mut self.rest)?;
        let away = (away >> 1) as i64 ^ -((away & 1) as i64);
        let place = get_varint(&mut self.rest)?;
        let Last { page: before, mut key_len, mut value_len } = self.place.last;
        if place & AS_LONG == 0 {
            key_len = u16::try_from(get_varint(&mut self.rest)?).ok()?;
            value_len = u32::try_from(get_varint(&mut self.rest)?).ok()?;
        }
        let (key, rest) = self.rest.split_at_checked(usize::from(key_len))?;
        let page = page_of(before.checked_add_signed(away)?)?;
        let offset = u16::try_from(place >> 2).ok()?;
        let is_packed = place & PACKED != 0;
        let sound = !key.is_empty()
            && usize::from(offset) < PAGE_BYTES
            && (!is_packed || Location::is_packed_at(offset))
            && value_len <= Location::MAX_INLINE_BYTES;
        if !sound {
            return None;
        }
        let from = match is_packed {
            true => Location::value(page, offset, value_len),
            false => Location::log(page, offset, value_len),
        };
        let to = page_of(self.place.to / PAGE_BYTES as u64)?;
        let to = Location::value(to, (self.place.to % PAGE_BYTES as u64) as u16, value_len);
        self.place.to += record_len(key.len(), value_len) as u64;
        self.place.last = Last { page: page.0, key_len, value_len };
        self.rest = rest;
        (from != to).then_some(Move { key, from, to })
    }
}

fn page_of(number: u64) -> Option<PageNo> {
    u32::try_from(number).is_ok().then_some(PageNo(number))
}

impl<'a> Iterator for Moves<'a> {
    type Item = Option<Move<'a>>;

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
    list: Vec<u8>,
    /// Where the next move begins in it.
    at: usize,
    place: Place,
}

impl Cuts {
    /// `None` if there is nothing in `list`.
    pub(crate) fn new(list: List) -> Option<Self> {
        let place = Moves::new(&list.bytes)?.place;
        Some(Self { list: list.bytes, at: START_BYTES, place })
    }

    /// Bytes of moves that are left.
    pub(crate) fn rest_len(&self) -> usize {
        self.list.len() - self.at
    }

    /// As many of the next moves as a list of `room` bytes holds; `None` if that is not even one.
    pub(crate) fn cut(&mut self, room: usize) -> Option<List> {
        let mut walk = Moves { rest: &self.list[self.at..], place: self.place };
        let mut cut: Option<List> = None;
        while let Some(Some(next)) = walk.next() {
            let mut longer = cut.take().unwrap_or_else(|| List::new(next.to));
            let (len, last) = (longer.bytes.len(), longer.last);
            longer.push(next.key, next.from);
            let fits = longer.bytes.len() <= room;
            if !fits {
                longer.bytes.truncate(len);
                longer.last = last;
            }
            cut = Some(longer).filter(|list| list.bytes.len() > START_BYTES);
            if !fits {
                break;
            }
            (self.at, self.place) = (self.list.len() - walk.rest.len(), walk.place);
        }
        cut
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
        let list = list(&[(b"key", from[0]), (b"another", from[1]), (b"k", from[0])]);
        let moves: Vec<_> = Moves::new(list.bytes()).unwrap().map(Option::unwrap).collect();
        let keys: Vec<_> = moves.iter().map(|next| (next.key, next.from)).collect();
        assert_eq!(keys, [(&b"key"[..], from[0]), (b"another", from[1]), (b"k", from[0])]);
        let mut at = 9 * PAGE_BYTES + 4088;
        for next in moves {
            let (page, offset) = (PageNo((at / PAGE_BYTES) as u64), (at % PAGE_BYTES) as u16);
            assert_eq!(next.to, Location::value(page, offset, next.from.value_len()));
            at += record_len(next.key.len(), next.from.value_len());
        }
    }

    #[test]
    fn lengths_are_told_where_they_change() {
        let from = Location::log(PageNo(1), 4000, 1024);
        let len = |moves: &[(&[u8], Location)]| list(moves).bytes().len();
        let (one, two) = (len(&[(&[1; 16], from)]), len(&[(&[1; 16], from), (&[2; 16], from)]));
        assert_eq!((one - START_BYTES, two - one), (16 + 6, 16 + 3));
    }

    #[test]
    fn a_list_in_bits_says_the_same() {
        let keys: Vec<Vec<u8>> = (1..60).map(|len| vec![b'k'; len]).collect();
        let from = |i: usize| match i % 3 {
            0 => Location::value(PageNo(1 << 20), 8, i as u32),
            _ => Location::log(PageNo(5), i as u16, 1000 * i as u32),
        };
        let moves = keys.iter().enumerate().map(|(i, key)| (&key[..], from(i)));
        let whole = list(&moves.collect::<Vec<_>>());
        let all: Vec<_> = Moves::new(whole.bytes()).unwrap().map(Option::unwrap).collect();
        assert!(
            all.iter()
                .zip(&keys)
                .enumerate()
                .all(|(i, (next, key))| { next.key == key && next.from == from(i) })
        );
        for room in [START_BYTES + MOST_HEAD_BYTES + 59, 200, 1000, 1 << 20] {
            let mut cuts = Cuts::new(whole.clone()).unwrap();
            assert_eq!(cuts.cut(START_BYTES + 5).map(|_| ()), None, "not even one");
            let mut bits = Vec::new();
            while cuts.rest_len() > 0 {
                bits.push(cuts.cut(room).unwrap());
            }
            assert!(bits.iter().all(|bit| bit.bytes().len() <= room));
            let moves = bits.iter().flat_map(|bit| Moves::new(bit.bytes()).unwrap());
            let moves = moves.map(Option::unwrap);
            assert_eq!(moves.collect::<Vec<_>>(), all);
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
        let log = Location::log(PageNo(5), 81, 100);
        assert!(!Moves::are_sound(list(&[(b"", log)]).bytes()));
        let to = Location::value(PageNo(9), 4088, 100);
        assert!(!Moves::are_sound(list(&[(b"key", to)]).bytes()), "from where it is");
        let with = |start: &[u8], head: &[u64]| {
            let mut list = start.to_vec();
            head.iter().for_each(|&number| put_varint(&mut list, number));
            list.extend_from_slice(b"key");
            Moves::are_sound(&list)
        };
        let start = [9, 0, 0, 0, 8, 0, 0, 0];
        assert!(with(&start, &[10, 81 << 2, 3, 100]));
        assert!(!with(&[9, 0, 0, 0, 4, 0, 0, 0], &[10, 81 << 2, 3, 100]), "not a multiple of 8");
        assert!(!with(&[9, 0, 0, 0, 8, 0, 0, 1], &[10, 81 << 2, 3, 100]));
        assert!(!with(&start, &[10, 81 << 2 | AS_LONG]), "as long as nothing");
        let too_long = u64::from(Location::MAX_INLINE_BYTES) + 1;
        for head in [
            [9, 81 << 2, 3, 100],
            [1 << 33, 81 << 2, 3, 100],
            [10, 4096 << 2, 3, 100],
            [10, 81 << 2 | PACKED, 3, 100],
            [10, 81 << 2, 0, 100],
            [10, 81 << 2, 4, 100],
            [10, 81 << 2, 3, too_long],
            [10, 81 << 2, 3, u64::MAX],
        ] {
            assert!(!with(&start, &head), "{head:?}");
        }
    }
}
