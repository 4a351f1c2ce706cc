//! Records, in two of the forms in which they travel: whole in the log's stream, and in memory as
//! entries, which hold all that applying them needs but the value. What [footers
//! list](super::listed) is the third.
//!
//! ```text
//! record = head, [extension], [expectation], key, value or moves, padding to 8 bytes
//! entry  = head, [extension], [expectation], page u32, offset u32, key, moves
//! ```
//!
//! The extension is a large pointer or an announcement.

use super::bytes::{get_u16, get_u32, get_u64, put_u16, put_u32, put_u64};
use super::extent_state::ExtentState;
use super::ids::{BatchNo, Epoch, ExtentNo, Incarnation, PAGE_BYTES, PageNo};
use super::location::Location;
use super::moves::Moves;

/// Bytes of the fixed head.
pub(crate) const HEAD_BYTES: usize = 8;
/// Bytes of the pointer in a `PutLarge`.
pub(crate) const POINTER_BYTES: usize = 24;
/// Bytes of the expectation of a conditional record.
pub(crate) const EXPECTED_BYTES: usize = 16;
/// Bytes of an announcement's body.
pub(crate) const ANNOUNCE_BYTES: usize = 24;
/// Most bytes before a record's key.
pub(crate) const MAX_PREFIX_BYTES: usize = HEAD_BYTES + POINTER_BYTES + EXPECTED_BYTES;
/// Bytes of an entry's place.
const PLACE_BYTES: usize = 8;
/// Most bytes of the entry of a record with a key, beside that.
pub(crate) const MAX_ENTRY_BYTES: usize = MAX_PREFIX_BYTES + PLACE_BYTES;
/// Records start at multiples of this in the stream.
pub(crate) const RECORD_ALIGN: usize = 8;

pub(crate) const OP_AT: usize = 0;
pub(crate) const FLAGS_AT: usize = 1;
pub(crate) const KEY_LEN_AT: usize = 2;
pub(crate) const VALUE_LEN_AT: usize = 4;

const OP_PUT: u8 = 1;
const OP_PUT_LARGE: u8 = 2;
const OP_DELETE: u8 = 3;
const OP_ANNOUNCE: u8 = 4;
/// Never in a stream: what comes after it is of this batch.
pub(super) const OP_BATCH: u8 = 5;
pub(super) const OP_RELOCATE: u8 = 6;
const OP_NOOP: u8 = 7;

const FLAG_CONDITIONAL: u8 = 1;
const FLAG_BARRIERED: u8 = 2;

/// What must be so when a conditional record is applied (L1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    /// The key has no value.
    Absent,
    /// The key's value is still the one at this location.
    At(Location),
}

/// Where a large value is, and how to know that it is whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct LargePointer {
    /// Its first header page.
    pub(crate) page: PageNo,
    /// Checksum of its header pages, which hold one for every block.
    pub(crate) checksum: u32,
    pub(crate) incarnation: Incarnation,
    /// Whether it was durable before this record was written (W5).
    pub(crate) barriered: bool,
}

/// One change of state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Record<'a> {
    /// The key takes the value that follows it in the log.
    Put { key: &'a [u8], value_len: u32, expected: Option<Expected> },
    /// The key takes a value that has pages of its own.
    PutLarge { key: &'a [u8], value_len: u32, pointer: LargePointer, expected: Option<Expected> },
    /// The key has no value any more.
    Delete { key: &'a [u8], expected: Option<Expected> },
    /// An extent takes a role; before any record refers to it (G4).
    Announce { extent: ExtentNo, state: ExtentState },
    /// Values are elsewhere from now on, each if it is still where it was: the collector has copied
    /// them. A list of [`Moves`], and in memory only, their keys; never makes a key, nor changes a
    /// value.
    Relocate { moves: &'a [u8], keys: &'a [u8] },
    /// Nothing: lets a batch be written whose pages prove those before it.
    Noop,
}

impl<'a> Record<'a> {
    /// Its key; empty for records that are of none.
    pub(crate) fn key(&self) -> &'a [u8] {
        match *self {
            Record::Put { key, .. } | Record::PutLarge { key, .. } | Record::Delete { key, .. } => {
                key
            }
            Record::Announce { .. } | Record::Relocate { .. } | Record::Noop => &[],
        }
    }

    pub(crate) fn expected(&self) -> Option<Expected> {
        match *self {
            Record::Put { expected, .. }
            | Record::PutLarge { expected, .. }
            | Record::Delete { expected, .. } => expected,
            Record::Announce { .. } | Record::Relocate { .. } | Record::Noop => None,
        }
    }

    /// Whether it is decided only when applied, and somebody waits for the answer.
    pub(crate) fn is_conditional(&self) -> bool {
        self.expected().is_some()
    }

    /// Bytes of the head and what extends it.
    pub(super) fn prefix_len(&self) -> usize {
        let extension = match self {
            Record::PutLarge { .. } => POINTER_BYTES,
            Record::Announce { .. } => ANNOUNCE_BYTES,
            _ => 0,
        };
        HEAD_BYTES + extension + if self.is_conditional() { EXPECTED_BYTES } else { 0 }
    }

    /// Bytes of value, or of moves, that follow the key in the log.
    fn inline_len(&self) -> usize {
        match *self {
            Record::Put { value_len, .. } => value_len as usize,
            Record::Relocate { moves, .. } => moves.len(),
            _ => 0,
        }
    }

    /// Bytes that the record takes in the log's stream, padding included.
    pub(crate) fn log_len(&self) -> usize {
        (self.prefix_len() + self.key().len() + self.inline_len()).next_multiple_of(RECORD_ALIGN)
    }

    /// Bytes of its value, or of its moves; 0 if it has neither.
    pub(super) fn value_len(&self) -> u32 {
        match *self {
            Record::Put { value_len, .. } | Record::PutLarge { value_len, .. } => value_len,
            Record::Relocate { moves, .. } => moves.len() as u32,
            Record::Delete { .. } | Record::Announce { .. } | Record::Noop => 0,
        }
    }

    /// Writes all that comes before the key into `out`, and returns how much that is.
    pub(crate) fn encode_prefix(&self, out: &mut [u8; MAX_PREFIX_BYTES]) -> usize {
        out.fill(0);
        out[OP_AT] = match self {
            Record::Put { .. } => OP_PUT,
            Record::PutLarge { .. } => OP_PUT_LARGE,
            Record::Delete { .. } => OP_DELETE,
            Record::Announce { .. } => OP_ANNOUNCE,
            Record::Relocate { .. } => OP_RELOCATE,
            Record::Noop => OP_NOOP,
        };
        put_u16(out, KEY_LEN_AT, self.key().len() as u16);
        put_u32(out, VALUE_LEN_AT, self.value_len());
        let mut at = HEAD_BYTES;
        if let Record::PutLarge { pointer, .. } = self {
            out[FLAGS_AT] |= if pointer.barriered { FLAG_BARRIERED } else { 0 };
            put_u32(out, at, pointer.page.0 as u32);
            put_u32(out, at + 4, pointer.checksum);
            put_u64(out, at + 8, pointer.incarnation.serial);
            put_u32(out, at + 16, pointer.incarnation.epoch.0);
            at += POINTER_BYTES;
        }
        if let Record::Announce { extent, state } = self {
            put_u32(out, at, extent.0);
            out[at + 8..at + 8 + ExtentState::BYTES].copy_from_slice(&state.encode());
            at += ANNOUNCE_BYTES;
        }
        if let Some(expected) = self.expected() {
            out[FLAGS_AT] |= FLAG_CONDITIONAL;
            if let Expected::At(location) = expected {
                out[at..at + Location::BYTES].copy_from_slice(&location.encode());
            }
            at += EXPECTED_BYTES;
        }
        at
    }

    /// Appends the entry of a record whose key, or list of moves, lies at
    /// (`page`, `offset`) in the log.
    pub(crate) fn encode_entry(&self, page: PageNo, offset: u16, out: &mut Vec<u8>) {
        let mut prefix = [0; MAX_PREFIX_BYTES];
        let len = self.encode_prefix(&mut prefix);
        out.extend_from_slice(&prefix[..len]);
        out.extend_from_slice(&(page.0 as u32).to_le_bytes());
        out.extend_from_slice(&u32::from(offset).to_le_bytes());
        out.extend_from_slice(self.key());
        if let Record::Relocate { moves, keys } = self {
            out.extend_from_slice(moves);
            out.extend_from_slice(&(keys.len() as u32).to_le_bytes());
            out.extend_from_slice(keys);
        }
    }
}

/// A record without its key, as the bytes before the key describe it.
pub(super) struct Prefix {
    op: u8,
    key_len: usize,
    value_len: u32,
    pointer: Option<LargePointer>,
    announced: Option<(ExtentNo, ExtentState)>,
    expected: Option<Expected>,
    len: usize,
}

impl Prefix {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
        let (key_len, value_len) = (get_u16(head, KEY_LEN_AT), get_u32(head, VALUE_LEN_AT));
        Self::new(head[OP_AT], head[FLAGS_AT], key_len, value_len, rest)
    }

    /// Of what a head says, and `rest`, which comes after it.
    pub(super) fn new(
        op: u8,
        flags: u8,
        key_len: u16,
        value_len: u32,
        rest: &[u8],
    ) -> Option<Self> {
        if flags & !(FLAG_CONDITIONAL | FLAG_BARRIERED) != 0 {
            return None;
        }
        let mut prefix = Self {
            op,
            key_len: usize::from(key_len),
            value_len,
            pointer: None,
            announced: None,
            expected: None,
            len: HEAD_BYTES,
        };
        match op {
            OP_PUT_LARGE => {
                prefix.pointer = Some(decode_pointer(prefix.extend(rest, POINTER_BYTES)?, flags));
            }
            OP_ANNOUNCE => {
                prefix.announced = Some(decode_announced(prefix.extend(rest, ANNOUNCE_BYTES)?)?);
            }
            OP_PUT | OP_DELETE | OP_RELOCATE | OP_NOOP => {}
            _ => return None,
        }
        if flags & FLAG_CONDITIONAL != 0 {
            prefix.expected = Some(decode_expected(prefix.extend(rest, EXPECTED_BYTES)?)?);
        }
        Some(prefix)
    }

    /// Bytes of the head and what extends it.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn extend<'b>(&mut self, rest: &'b [u8], count: usize) -> Option<&'b [u8]> {
        let at = self.len - HEAD_BYTES;
        let extension = rest.get(at..at + count)?;
        self.len += count;
        Some(extension)
    }

    /// The record, with what comes `after` its key.
    pub(super) fn with_key<'a>(&self, key: &'a [u8], after: &'a [u8]) -> Option<Record<'a>> {
        let expected = self.expected;
        let value_len = self.value_len;
        let keyed = !key.is_empty();
        match self.op {
            OP_PUT if keyed && value_len <= Location::MAX_INLINE_BYTES => {
                Some(Record::Put { key, value_len, expected })
            }
            OP_PUT_LARGE if keyed => {
                Some(Record::PutLarge { key, value_len, pointer: self.pointer?, expected })
            }
            OP_DELETE if keyed && value_len == 0 => Some(Record::Delete { key, expected }),
            OP_ANNOUNCE if !keyed && expected.is_none() => {
                let (extent, state) = self.announced?;
                Some(Record::Announce { extent, state })
            }
            OP_RELOCATE if !keyed && expected.is_none() => {
                let moves = after.get(..value_len as usize)?;
                Moves::are_sound(moves).then_some(Record::Relocate { moves, keys: &[] })
            }
            OP_NOOP if !keyed && value_len == 0 && expected.is_none() => Some(Record::Noop),
            _ => None,
        }
    }
}

fn decode_pointer(bytes: &[u8], flags: u8) -> LargePointer {
    LargePointer {
        page: PageNo(u64::from(get_u32(bytes, 0))),
        checksum: get_u32(bytes, 4),
        incarnation: Incarnation { epoch: Epoch(get_u32(bytes, 16)), serial: get_u64(bytes, 8) },
        barriered: flags & FLAG_BARRIERED != 0,
    }
}

fn decode_announced(bytes: &[u8]) -> Option<(ExtentNo, ExtentState)> {
    let state = bytes[8..8 + ExtentState::BYTES].try_into().ok()?;
    Some((ExtentNo(get_u32(bytes, 0)), ExtentState::decode(state)?))
}

fn decode_expected(bytes: &[u8]) -> Option<Expected> {
    if bytes.iter().all(|&byte| byte == 0) {
        return Some(Expected::Absent);
    }
    let location = bytes[..Location::BYTES].try_into().ok()?;
    Location::decode(location).map(Expected::At)
}

/// A record found in the log's stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) record: Record<'a>,
    /// Stream position of its key.
    pub(crate) key_at: usize,
    /// Stream position of the record after it.
    pub(crate) next: usize,
}

/// Reads the record at position `at` of a batch's `stream`.
pub(crate) fn decode_record(stream: &[u8], at: usize) -> Option<Found<'_>> {
    let bytes = stream.get(at..)?;
    let prefix = Prefix::decode(bytes)?;
    let (key, after) = bytes.get(prefix.len..)?.split_at_checked(prefix.key_len)?;
    let record = prefix.with_key(key, after)?;
    let next = at + record.log_len();
    (next <= stream.len()).then_some(Found { record, key_at: at + prefix.len, next })
}

/// Something that is applied, or says to which batch that belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry<'a> {
    /// The entries that follow belong to this batch.
    Batch(BatchNo),
    /// A record, whose key, or list of moves, lies at (`page`, `offset`) in the log.
    Record { record: Record<'a>, page: PageNo, offset: u16 },
}

/// Appends the entry that says which batch the next ones are of.
pub(crate) fn encode_batch_entry(batch: BatchNo, out: &mut Vec<u8>) {
    let mut entry = [0; BATCH_ENTRY_BYTES];
    entry[OP_AT] = OP_BATCH;
    put_u64(&mut entry, HEAD_BYTES, batch.0);
    out.extend_from_slice(&entry);
}

/// Bytes of a batch entry.
pub(crate) const BATCH_ENTRY_BYTES: usize = HEAD_BYTES + 8;

/// Walks over entries. Yields `None` once, then ends, where the bytes are not entries.
#[derive(Clone, Debug)]
pub(crate) struct Entries<'a> {
    bytes: &'a [u8],
}

impl<'a> Entries<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn decode(&mut self) -> Option<Entry<'a>> {
        if *self.bytes.first()? == OP_BATCH {
            let entry = self.bytes.get(..BATCH_ENTRY_BYTES)?;
            self.bytes = &self.bytes[BATCH_ENTRY_BYTES..];
            return Some(Entry::Batch(BatchNo(get_u64(entry, HEAD_BYTES))));
        }
        let prefix = Prefix::decode(self.bytes)?;
        let place = self.bytes.get(prefix.len..prefix.len + PLACE_BYTES)?;
        let key_at = prefix.len + PLACE_BYTES;
        let (key, after) = self.bytes.get(key_at..)?.split_at_checked(prefix.key_len)?;
        let page = PageNo(u64::from(get_u32(place, 0)));
        let offset = u16::try_from(get_u32(place, 4)).ok()?;
        (usize::from(offset) < PAGE_BYTES).then_some(())?;
        let mut record = prefix.with_key(key, after)?;
        self.bytes = after;
        if let Record::Relocate { moves, keys } = &mut record {
            let (len, rest) = after[moves.len()..].split_first_chunk()?;
            (*keys, self.bytes) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        }
        Some(Entry::Record { record, page, offset })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Option<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let entry = self.decode();
        if entry.is_none() {
            self.bytes = &[];
        }
        Some(entry)
    }
}

/// Records of every kind, for tests.
#[cfg(test)]
pub(super) mod samples {
    use super::*;
    use crate::format::extent_state::Role;

    pub(crate) fn samples() -> Vec<Record<'static>> {
        let at = Expected::At(Location::log(PageNo(5), 80, 7));
        let pointer = LargePointer {
            page: PageNo(0xffff_ffff),
            checksum: 0xfeed_f00d,
            incarnation: Incarnation { epoch: Epoch(9), serial: u64::MAX },
            barriered: true,
        };
        let state = ExtentState {
            role: Role::Large,
            incarnation: Incarnation { epoch: Epoch(1), serial: 2 },
        };
        vec![
            Record::Put { key: b"k", value_len: 3, expected: None },
            Record::Put { key: b"key", value_len: 0, expected: Some(Expected::Absent) },
            Record::PutLarge { key: b"large", value_len: u32::MAX, pointer, expected: Some(at) },
            Record::Delete { key: b"gone", expected: None },
            Record::Delete { key: b"gone?", expected: Some(at) },
            Record::Announce { extent: ExtentNo(77), state },
            Record::Relocate { moves: MOVES, keys: &[] },
            Record::Noop,
        ]
    }

    /// 24 bytes, from offset 80 of page 5 to offset 8 of page 9.
    pub(crate) const MOVES: &[u8] = &[9, 0, 0, 0, 8, 0, 0, 0, 0xc0, 0xc2, 0x05, 3];

    pub(crate) fn stream_of(records: &[Record<'_>]) -> Vec<u8> {
        let mut stream = Vec::new();
        for record in records {
            let mut prefix = [0; MAX_PREFIX_BYTES];
            let len = record.encode_prefix(&mut prefix);
            stream.extend_from_slice(&prefix[..len]);
            stream.extend_from_slice(record.key());
            if let Record::Relocate { moves, .. } = record {
                stream.extend_from_slice(moves);
            } else {
                stream.resize(stream.len() + record.inline_len(), b'v');
            }
            stream.resize(stream.len().next_multiple_of(RECORD_ALIGN), 0);
        }
        stream
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{MOVES, samples, stream_of};
    use super::*;

    #[test]
    fn records_survive_a_round_trip_through_the_stream() {
        let stream = stream_of(&samples());
        let mut at = 0;
        for record in samples() {
            let found = decode_record(&stream, at).unwrap();
            assert_eq!(found.record, record);
            assert_eq!(found.next - at, record.log_len());
            assert_eq!(found.key_at - at, record.prefix_len());
            at = found.next;
        }
        assert_eq!(at, stream.len());
    }

    #[test]
    fn records_survive_a_round_trip_through_entries() {
        let mut bytes = Vec::new();
        encode_batch_entry(BatchNo(12), &mut bytes);
        for record in samples() {
            record.encode_entry(PageNo(3), 4008, &mut bytes);
        }
        let entries: Vec<_> = Entries::new(&bytes).map(Option::unwrap).collect();
        assert_eq!(entries[0], Entry::Batch(BatchNo(12)));
        for (entry, record) in entries[1..].iter().zip(samples()) {
            assert_eq!(*entry, Entry::Record { record, page: PageNo(3), offset: 4008 });
        }
    }

    #[test]
    fn cut_streams_and_entries_are_refused() {
        for record in
            [samples()[2], Record::Relocate { moves: MOVES, keys: b"\x01\0k" }, Record::Noop]
        {
            let stream = stream_of(&[record]);
            for len in 0..stream.len() {
                assert_eq!(decode_record(&stream[..len], 0), None);
            }
            let mut bytes = Vec::new();
            record.encode_entry(PageNo(3), 8, &mut bytes);
            for len in 1..bytes.len() {
                assert_eq!(Entries::new(&bytes[..len]).collect::<Vec<_>>(), vec![None]);
            }
        }
    }

    #[test]
    fn relocations_that_make_no_sense_are_refused() {
        let sound = stream_of(&[Record::Relocate { moves: MOVES, keys: &[] }]);
        assert!(decode_record(&sound, 0).is_some());
        for (at, with) in [
            (FLAGS_AT, FLAG_CONDITIONAL),
            (FLAGS_AT, 8),
            (KEY_LEN_AT, 1),
            (VALUE_LEN_AT, MOVES.len() as u8 - 1),
            (VALUE_LEN_AT, 0),
            (HEAD_BYTES + 4, 9),
        ] {
            let mut senseless = sound.clone();
            senseless[at] = with;
            senseless.resize(sound.len() + 32, 0);
            assert_eq!(decode_record(&senseless, 0), None, "{at}");
        }
    }

    #[test]
    fn a_noop_is_of_no_key_and_no_value() {
        let noop = stream_of(&[Record::Noop]);
        assert_eq!(noop.len(), HEAD_BYTES);
        for (at, len) in [(FLAGS_AT, 32), (KEY_LEN_AT, 16), (VALUE_LEN_AT, 16)] {
            let mut senseless = noop.clone();
            senseless[at] = 1;
            senseless.resize(len, 0);
            assert_eq!(decode_record(&senseless, 0), None);
        }
    }
}
