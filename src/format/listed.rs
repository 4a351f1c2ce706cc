//! What footers list: the records of an extent's batches, without values. Where they are
//! follows from where their batch begins, as they lie there one after the other.
//!
//! ```text
//! batch  = op u8, zeros, first page u32, number u64
//! record = op and flags u8, [key length, value length], [extension], [expectation], key, [moves]
//! ```
//!
//! Lengths are numbers of variable length, and missing where they are those of the record before in
//! the batch. All of it is under the checksums of the footer's pages.

use super::bytes::{get_u32, get_u64, get_varint, put_varint, varint_len};
use super::ids::{BatchNo, PageNo};
use super::log_page::place;
use super::record::{
    Entry, FLAGS_AT, HEAD_BYTES, MAX_PREFIX_BYTES, OP_AT, OP_BATCH, Prefix, Record,
};

/// Bytes that say which batch is next.
pub(crate) const BATCH_BYTES: usize = 16;
pub(crate) const PAGE_AT: usize = 4;
pub(crate) const NUMBER_AT: usize = 8;
/// Most bytes of a relocation beside its moves.
pub(crate) const MOST_RELOCATE_BYTES: usize = 1 + 1 + 5;
/// The flags of a record are above its op.
const FLAGS_SHIFT: u32 = 4;
const OP_MASK: u8 = 0x0f;
/// Lengths are those of the record before.
const AS_LONG: u8 = 1 << 6;

/// Lengths of key and value.
type Lengths = (u16, u32);

/// Most bytes that `record` takes.
pub(crate) fn listed_len(record: &Record<'_>) -> usize {
    let key_len = record.key().len();
    let lengths = varint_len(key_len as u64) + varint_len(u64::from(record.value_len()));
    1 + lengths + record.prefix_len() - HEAD_BYTES + key_len + moves_of(record).len()
}

fn moves_of<'a>(record: &Record<'a>) -> &'a [u8] {
    if let Record::Relocate { moves, .. } = record { moves } else { &[] }
}

/// Lists the records of a batch.
#[derive(Debug, Default)]
pub(crate) struct Lister {
    last: Lengths,
}

impl Lister {
    /// Appends that the records which come next are of `batch`, whose first page is `start`.
    pub(crate) fn begin(batch: BatchNo, start: PageNo, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(&[OP_BATCH, 0, 0, 0]);
        out.extend_from_slice(&(start.0 as u32).to_le_bytes());
        out.extend_from_slice(&batch.0.to_le_bytes());
        Self::default()
    }

    /// Appends the next `record` of the batch.
    pub(crate) fn list(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let mut prefix = [0; MAX_PREFIX_BYTES];
        let len = record.encode_prefix(&mut prefix);
        let lengths = (record.key().len() as u16, record.value_len());
        let as_long = lengths == self.last;
        let tag = prefix[OP_AT] | prefix[FLAGS_AT] << FLAGS_SHIFT;
        out.push(tag | if as_long { AS_LONG } else { 0 });
        if !as_long {
            put_varint(out, u64::from(lengths.0));
            put_varint(out, u64::from(lengths.1));
        }
        out.extend_from_slice(&prefix[HEAD_BYTES..len]);
        out.extend_from_slice(record.key());
        out.extend_from_slice(moves_of(record));
        self.last = lengths;
    }
}

/// Walks over what a footer lists. Yields `None` once, then ends, where the bytes are no list.
#[derive(Clone, Debug)]
pub(crate) struct List<'a> {
    rest: &'a [u8],
    /// Where the batch begins, and how far into its stream the next record does.
    start: PageNo,
    at: usize,
    last: Lengths,
}

impl<'a> List<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, start: PageNo(0), at: 0, last: Lengths::default() }
    }

    /// What comes from the first batch after `covered` on; `None` if it is no list up to there.
    pub(crate) fn after(mut self, covered: BatchNo) -> Option<Self> {
        loop {
            let before = self.clone();
            match self.next() {
                None => return Some(before),
                Some(Some(Entry::Batch(batch))) if batch > covered => return Some(before),
                Some(listed) => drop(listed?),
            }
        }
    }

    fn decode(&mut self) -> Option<Entry<'a>> {
        let (&tag, rest) = self.rest.split_first()?;
        let (op, flags) = (tag & OP_MASK, (tag & !AS_LONG) >> FLAGS_SHIFT);
        if op == OP_BATCH {
            let (batch, rest) = self.rest.split_at_checked(BATCH_BYTES)?;
            self.rest = rest;
            (self.start, self.at) = (PageNo(u64::from(get_u32(batch, PAGE_AT))), 0);
            self.last = Lengths::default();
            let sound = batch[..PAGE_AT] == [OP_BATCH, 0, 0, 0];
            return sound.then_some(Entry::Batch(BatchNo(get_u64(batch, NUMBER_AT))));
        }
        self.rest = rest;
        if tag & AS_LONG == 0 {
            let key_len = u16::try_from(get_varint(&mut self.rest)?).ok()?;
            self.last = (key_len, u32::try_from(get_varint(&mut self.rest)?).ok()?);
        }
        let (key_len, value_len) = self.last;
        let prefix = Prefix::new(op, flags, key_len, value_len, self.rest)?;
        let (key, rest) =
            self.rest.get(prefix.len() - HEAD_BYTES..)?.split_at_checked(usize::from(key_len))?;
        let (page, offset) = place(self.start, self.at + prefix.len());
        let record = prefix.with_key(key, rest)?;
        self.rest = &rest[moves_of(&record).len()..];
        self.at += record.log_len();
        Some(Entry::Record { record, page, offset })
    }
}

impl<'a> Iterator for List<'a> {
    type Item = Option<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let listed = self.decode().filter(|listed| match listed {
            Entry::Batch(_) => true,
            // A volume has no more pages.
            Entry::Record { page, .. } => u32::try_from(page.0).is_ok(),
        });
        if listed.is_none() {
            self.rest = &[];
        }
        Some(listed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::decode_record;
    use super::super::record::samples::{MOVES, samples, stream_of};
    use super::*;

    const START: PageNo = PageNo(77);

    /// A batch of all samples, each twice.
    fn listed() -> Vec<u8> {
        let mut out = Vec::new();
        let mut lister = Lister::begin(BatchNo(12), START, &mut out);
        twice().iter().for_each(|record| lister.list(record, &mut out));
        out
    }

    fn twice() -> Vec<Record<'static>> {
        samples().into_iter().flat_map(|record| [record, record]).collect()
    }

    #[test]
    fn what_is_listed_comes_back() {
        let bytes = listed();
        let records = twice();
        let lens = records.iter().map(listed_len).sum::<usize>();
        assert!(bytes.len() < BATCH_BYTES + lens);
        let stream = stream_of(&records);
        let mut walk = List::new(&bytes).map(Option::unwrap);
        assert_eq!(walk.next(), Some(Entry::Batch(BatchNo(12))));
        let mut at = 0;
        for record in records {
            let found = decode_record(&stream, at).unwrap();
            let (page, offset) = place(START, found.key_at);
            assert_eq!(walk.next(), Some(Entry::Record { record, page, offset }));
            at = found.next;
        }
        assert_eq!(walk.next(), None);
    }

    #[test]
    fn a_put_takes_a_byte_and_its_key_where_lengths_are_known() {
        let put = Record::Put { key: &[7; 16], value_len: 1024, expected: None };
        let relocate = Record::Relocate { moves: MOVES, keys: &[] };
        let mut out = Vec::new();
        let mut lister = Lister::begin(BatchNo(12), START, &mut out);
        let mut lens = Vec::new();
        for record in [&put, &put, &relocate] {
            let before = out.len();
            lister.list(record, &mut out);
            lens.push(out.len() - before);
        }
        assert_eq!(lens[..2], [4 + 16, 1 + 16]);
        assert!(lens[2] <= MOST_RELOCATE_BYTES + MOVES.len());
        assert_eq!([listed_len(&put), listed_len(&relocate)], [lens[0], lens[2]]);
    }

    #[test]
    fn a_walk_begins_after_what_is_covered() {
        let (first, mut bytes) = (listed(), listed());
        bytes.extend_from_slice(&first);
        bytes[first.len() + NUMBER_AT] = 13;
        let batches = |covered| {
            let walk = List::new(&bytes).after(BatchNo(covered)).unwrap();
            let batch = |listed| match listed {
                Some(Entry::Batch(batch)) => Some(batch.0),
                _ => None,
            };
            walk.filter_map(batch).collect::<Vec<_>>()
        };
        assert_eq!(batches(11), [12, 13]);
        assert_eq!(batches(12), [13]);
        assert_eq!(batches(13), [0; 0]);
        let cut = &bytes[..BATCH_BYTES + 3];
        assert!(List::new(cut).after(BatchNo(12)).is_none());
    }

    #[test]
    fn cut_lists_are_refused() {
        let bytes = listed();
        let whole = List::new(&bytes).count();
        let mut ends = 0;
        for len in 0..bytes.len() {
            let found: Vec<_> = List::new(&bytes[..len]).collect();
            match found.last() {
                Some(None) => {}
                _ => ends += 1,
            }
        }
        assert_eq!(ends, whole, "only where something ends");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |bytes: &[u8]| List::new(bytes).any(|listed| listed.is_none());
        let put = |tag: u8| [tag, 1, 0, b'k'];
        assert!(!refused(&put(1)));
        for tag in [0, 8, 15, 1 | 4 << FLAGS_SHIFT, 1 | 8 << FLAGS_SHIFT] {
            assert!(refused(&put(tag)), "{tag}");
        }
        assert!(refused(&[1, 0, 0]), "no key");
        assert!(refused(&[1 | 1 << 7, 1, 0, b'k']), "an unknown flag");
        assert!(refused(&[1 | AS_LONG, b'k']), "as long as nothing");
        let mut far = vec![OP_BATCH, 0, 0, 0];
        far.extend([0xff; 4]);
        far.extend([0; 8]);
        far.extend([1, 1, 0x80, 0x40, b'k']);
        assert!(!refused(&far[..BATCH_BYTES + 5]));
        far.extend(put(1));
        assert!(refused(&far), "beyond the largest volume");
        far[0] |= AS_LONG;
        assert!(refused(&far[..BATCH_BYTES]));
    }
}
