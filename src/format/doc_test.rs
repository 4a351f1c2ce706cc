//! Holds `docs/format.md` against the code: its drawings and tables against the constants here
//! and against what the encoders write, its hex dumps against a volume that the store wrote.
//!
//! Conventions in the document: under a heading that names a structure stand a drawing (a fence
//! of kind `text`, eight columns a byte) and a table `| offset | bytes | field | ...`; under one
//! that names an enumeration, a table `| value | name | ...`; a dump is a fence of kind
//! `hex NAME`.

use super::extent_state::{ExtentState, Role};
use super::footer::{FooterHead, HEAD_BYTES as FOOTER_HEAD_BYTES};
use super::ids::{
    BatchNo, Epoch, ExtentNo, Generation, Incarnation, MAX_EXTENTS, MAX_VOLUME_PAGES, PAGE_BYTES,
    PageNo, StoreId,
};
use super::image::{
    self, EXTENTS_PER_ROOT, Position, RootPage, RunLine, SliceHeader, SliceKind, slice_pages,
};
use super::large::{self, BLOCK_BYTES, FIXED_BYTES, LargeIdentity, LargeShape};
use super::listed::{self, Lister};
use super::location::{Home, Location};
use super::log_page::{self, HEADER_BYTES, LogHeader, PAYLOAD_BYTES, PageKind};
use super::moves::{self, List};
use super::record::{
    self, ANNOUNCE_BYTES, EXPECTED_BYTES, Expected, LargePointer, MAX_PREFIX_BYTES, POINTER_BYTES,
    RECORD_ALIGN, Record,
};
use super::superblock::{
    self, Anchor, Checkpoint, FORMAT_VERSION, MAGIC, MAX_SPARES, Superblock, SuperblockFault,
};
use super::value_record::{self, ValueIdentity, record_len};
use crate::db::Db;
use crate::device::{self, BufferPool, DirectIo};
use crate::engine::{Background, Engine, Medium};
use crate::index::{CompactLeaf, Index, Leaves};
use crate::options::Options;
use crate::sync::Arc;
use std::fmt::Write;
use std::path::Path;

const DOC: &str = include_str!("../../docs/format.md");

/// The name of bytes that are written as zeros.
const ZEROS: &str = "zeros";

/// A field as the document has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Documented {
    at: usize,
    len: usize,
    name: String,
}

/// A field as the code has it: its name in the document, the constant with its offset where
/// there is one, and the bytes that the sample has there.
type Field<'a> = (&'a str, Option<usize>, Vec<u8>);

/// What stands under `heading`, up to the next one.
fn section(heading: &str) -> &'static str {
    let line = format!("# {heading}\n");
    let mut starts = DOC.match_indices(&line).map(|(at, _)| at + line.len());
    let start = starts.next().unwrap_or_else(|| panic!("format.md has no heading {heading}"));
    assert_eq!(starts.next(), None, "format.md has two headings {heading}");
    let rest = &DOC[start..];
    &rest[..rest.find("\n#").unwrap_or(rest.len())]
}

/// The text in the fence of this kind.
fn fence<'a>(text: &'a str, kind: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("\n```{kind}\n"))?;
    rest.split_once("```").map(|(body, _)| body)
}

/// The rows of the table under `heading` whose head begins with `head`.
fn rows(heading: &str, head: &str) -> Vec<Vec<&'static str>> {
    let lines = section(heading).lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    let rows: Vec<_> = rows.map(|row| row.split('|').skip(1).map(str::trim).collect()).collect();
    assert!(!rows.is_empty(), "{heading} has a table {head}");
    rows
}

/// The fields in the table under `heading`.
fn table(heading: &str) -> Vec<Documented> {
    rows(heading, "| offset | bytes | field |")
        .into_iter()
        .map(|row| Documented {
            at: row[0].parse().unwrap(),
            len: row[1].parse().unwrap(),
            name: row[2].to_owned(),
        })
        .collect()
}

/// The fields in the drawing under `heading`.
fn drawing(heading: &str) -> Vec<Documented> {
    let body = fence(section(heading), "text").expect("a structure has a drawing");
    let mut fields: Vec<Documented> = Vec::new();
    for line in body.lines() {
        let Some((offset, cells)) = line.split_once('|') else { continue };
        let mut at: usize = offset.trim().parse().unwrap();
        for cell in cells.trim_end().trim_end_matches('|').split('|') {
            assert_eq!((cell.len() + 1) % 8, 0, "{heading}: eight columns a byte in {line}");
            let end = at + cell.len().div_ceil(8);
            match (cell.trim(), fields.last_mut()) {
                ("...", Some(field)) => field.len = end - field.at,
                (name, _) => {
                    fields.push(Documented { at, len: end - at, name: name.to_owned() });
                }
            }
            at = end;
        }
    }
    fields
}

/// The values in the table under `heading`.
fn values(heading: &str) -> Vec<(u64, &'static str)> {
    let rows = rows(heading, "| value | name |");
    rows.into_iter().map(|row| (row[0].parse().unwrap(), row[1])).collect()
}

/// Checks the structure under `heading`: drawn and listed alike, without gaps, of `size` bytes;
/// each field where the code's constant says, and in `sample` with its bytes.
fn check(heading: &str, size: usize, sample: &[u8], fields: &[Field<'_>]) {
    let listed = table(heading);
    assert_eq!(drawing(heading), listed, "{heading}: drawing and table agree");
    let mut end = 0;
    for field in &listed {
        assert_eq!(field.at, end, "{heading}: no gap before {}", field.name);
        end += field.len;
    }
    assert_eq!(end, size, "{heading}: size");
    assert!(sample.len() >= size, "{heading}: the sample is whole");
    let mut fields = fields.iter();
    for Documented { at, len, name } in listed {
        let bytes = &sample[at..at + len];
        if name == ZEROS {
            assert!(bytes.iter().all(|&byte| byte == 0), "{heading}: zeros at {at}");
            continue;
        }
        let (expected, constant, value) = fields.next().expect("the document has no more fields");
        assert_eq!(name, *expected, "{heading}: field at {at}");
        assert_eq!(constant.unwrap_or(at), at, "{heading}: offset of {name}");
        assert_eq!(value.len(), len, "{heading}: width of {name}");
        assert_eq!(bytes, &value[..], "{heading}: bytes of {name}");
    }
    assert_eq!(fields.next(), None, "{heading}: the document has all fields");
}

fn u8s(value: u8) -> Vec<u8> {
    vec![value]
}

fn u16s(value: u16) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

fn u48s(value: u64) -> Vec<u8> {
    value.to_le_bytes()[..6].to_vec()
}

fn u32s(value: u32) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

fn u64s(value: u64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

const STORE: StoreId = StoreId(0x0102_0304_0506_0708);
const INCARNATION: Incarnation =
    Incarnation { epoch: Epoch(0x1112_1314), serial: 0x2122_2324_2526_2728 };
const POINTER: LargePointer = LargePointer {
    page: PageNo(0x3132_3334),
    checksum: 0x4142_4344,
    incarnation: INCARNATION,
    barriered: true,
};
const CHECKPOINT: Checkpoint = Checkpoint {
    anchor: Anchor {
        page: PageNo(0xa1a2_a3a4_a5a6_a7a8),
        chain: 0xb1b2_b3b4,
        batch: BatchNo(0xc1c2_c3c4_c5c6_c7c8),
        epoch: Epoch(0xd1d2_d3d4),
    },
    root: PageNo(0xe1e2_e3e4_e5e6_e7e8),
    image: INCARNATION,
};
const STATE: ExtentState = ExtentState { role: Role::Large, incarnation: INCARNATION };

fn location() -> Location {
    Location::log(PageNo(0x5152_5354), 0x0152, 0x6162_6364)
}

fn prefix_of(record: &Record<'_>) -> Vec<u8> {
    let mut prefix = [0xff; MAX_PREFIX_BYTES];
    let len = record.encode_prefix(&mut prefix);
    prefix[..len].to_vec()
}

#[test]
fn the_constants_are_documented() {
    let documented = rows("Constants", "| name | value |");
    let constants = [
        ("format version", u64::from(FORMAT_VERSION)),
        ("page bytes", PAGE_BYTES as u64),
        ("log header bytes", HEADER_BYTES as u64),
        ("payload bytes", PAYLOAD_BYTES as u64),
        ("record alignment", RECORD_ALIGN as u64),
        ("most prefix bytes", MAX_PREFIX_BYTES as u64),
        ("block bytes", BLOCK_BYTES as u64),
        ("most spares", MAX_SPARES as u64),
        ("packed head bytes", value_record::HEAD_BYTES as u64),
        ("slice header bytes", image::HEADER_BYTES as u64),
        ("most listed extents", EXTENTS_PER_ROOT as u64),
        ("most packed value bytes", u64::from(Location::MAX_INLINE_BYTES)),
        ("most volume pages", MAX_VOLUME_PAGES),
        ("most extents", MAX_EXTENTS),
    ];
    assert_eq!(documented.len(), constants.len());
    for (row, (name, value)) in documented.iter().zip(constants) {
        assert_eq!((row[0], row[1].parse()), (name, Ok(value)));
    }
    assert!(DOC.contains(&format!("is 0x{:08X}.", crc32c::crc32c(b"123456789"))));
}

#[test]
fn the_superblock_is_as_documented() {
    let spares: Vec<_> = (0..MAX_SPARES as u32).map(|i| ExtentNo(0x7172_7300 + i)).collect();
    let previous = Checkpoint { root: PageNo(0x4546_4748_494a_4b4c), ..CHECKPOINT };
    let sample = Superblock {
        store: STORE,
        generation: Generation(0x8182_8384_8586_8788),
        extent_pages: 0x0001_0000,
        fixed: true,
        creating: true,
        max_pages: 0x0910_1112_1314_1516,
        pages: 0x0120_2122_2324_2526,
        checkpoint: CHECKPOINT,
        previous: Some(previous),
        spares,
    };
    let mut page = vec![0xff; PAGE_BYTES];
    sample.encode(&mut page);
    let spares = sample.spares.iter().flat_map(|spare| u32s(spare.0)).collect();
    use superblock as at;
    let fields: [Field<'_>; 13] = [
        ("checksum", Some(at::CHECKSUM_AT), u32s(crc32c::crc32c(&page[4..]))),
        ("version", Some(at::VERSION_AT), u32s(FORMAT_VERSION)),
        ("magic", Some(at::MAGIC_AT), MAGIC.to_vec()),
        ("store", Some(at::STORE_AT), u64s(STORE.0)),
        ("generation", Some(at::GENERATION_AT), u64s(sample.generation.0)),
        ("extent pages", Some(at::EXTENT_PAGES_AT), u32s(sample.extent_pages)),
        ("flags", Some(at::FLAGS_AT), u32s(3)),
        ("max pages", Some(at::MAX_PAGES_AT), u64s(sample.max_pages)),
        ("pages", Some(at::PAGES_AT), u64s(sample.pages)),
        ("checkpoint", Some(at::CHECKPOINT_AT), block_of(&CHECKPOINT)),
        ("previous", Some(at::PREVIOUS_AT), block_of(&previous)),
        ("spare count", Some(at::SPARE_COUNT_AT), u32s(MAX_SPARES as u32)),
        ("spares", Some(at::SPARES_AT), spares),
    ];
    check("Superblock", PAGE_BYTES, &page, &fields);
    assert_eq!(Superblock::decode(&page), Ok(sample.clone()));

    for (value, name) in values("Superblock flags") {
        let (fixed, creating) = (name == "fixed", name == "creating");
        Superblock { fixed, creating, ..sample.clone() }.encode(&mut page);
        assert_eq!(u64::from(page[at::FLAGS_AT]), value, "{name}");
    }
    assert_eq!(values("Superblock flags").len(), 2);

    Superblock { previous: None, ..sample }.encode(&mut page);
    assert_eq!(page[at::PREVIOUS_AT..at::SPARE_COUNT_AT], [0; Checkpoint::BYTES]);
}

/// The bytes of a checkpoint block, as the document draws it.
fn block_of(checkpoint: &Checkpoint) -> Vec<u8> {
    let Checkpoint { anchor, root, image } = checkpoint;
    [
        u64s(anchor.page.0),
        u64s(anchor.batch.0),
        u32s(anchor.chain),
        u32s(anchor.epoch.0),
        u64s(root.0),
        u64s(image.serial),
        u32s(image.epoch.0),
        vec![0; 4],
    ]
    .concat()
}

#[test]
fn the_checkpoint_block_is_as_documented() {
    let sample = Superblock { checkpoint: CHECKPOINT, ..marker() };
    let mut page = vec![0xff; PAGE_BYTES];
    sample.encode(&mut page);
    let block = &page[superblock::CHECKPOINT_AT..superblock::PREVIOUS_AT];
    let Checkpoint { anchor, root, image } = CHECKPOINT;
    use superblock as at;
    let fields: [Field<'_>; 7] = [
        ("anchor page", Some(at::ANCHOR_PAGE_AT), u64s(anchor.page.0)),
        ("anchor batch", Some(at::ANCHOR_BATCH_AT), u64s(anchor.batch.0)),
        ("anchor chain", Some(at::ANCHOR_CHAIN_AT), u32s(anchor.chain)),
        ("anchor epoch", Some(at::ANCHOR_EPOCH_AT), u32s(anchor.epoch.0)),
        ("root", Some(at::ROOT_AT), u64s(root.0)),
        ("image serial", Some(at::IMAGE_SERIAL_AT), u64s(image.serial)),
        ("image epoch", Some(at::IMAGE_EPOCH_AT), u32s(image.epoch.0)),
    ];
    check("Checkpoint block", Checkpoint::BYTES, block, &fields);
    assert_eq!(block, block_of(&CHECKPOINT));
}

#[test]
fn a_superblock_of_another_version_is_refused_as_documented() {
    let mut page = vec![0; PAGE_BYTES];
    for (version, fault) in [
        (FORMAT_VERSION - 1, SuperblockFault::Invalid),
        (FORMAT_VERSION + 1, SuperblockFault::Newer(FORMAT_VERSION + 1)),
    ] {
        marker().encode(&mut page);
        page[superblock::VERSION_AT..][..4].copy_from_slice(&u32s(version));
        let checksum = crc32c::crc32c(&page[4..]);
        page[..4].copy_from_slice(&u32s(checksum));
        assert_eq!(Superblock::decode(&page), Err(fault));
    }
}

#[test]
fn the_log_page_header_is_as_documented() {
    let header = LogHeader {
        kind: PageKind::Footer,
        used: 0x0f0e,
        store: STORE,
        epoch: Epoch(0x3132_3334),
        chain: 0x4142_4344,
        page: PageNo(0x5152_5354),
        batch: BatchNo(0x6162_6364_6566),
        durable: BatchNo(0x7172_7374_7576),
        incarnation: Incarnation { serial: 0x2122_2324_2526, ..INCARNATION },
        successor: ExtentNo(0x8182_8384),
        generation: Generation(0x9192_9394_9596),
        index: 0xa1a2,
        count: 0xb1b2 + 1,
    };
    let mut page = vec![0xff; PAGE_BYTES];
    log_page::seal(&mut page, &header);
    use log_page as at;
    let fields: [Field<'_>; 15] = [
        ("checksum", Some(at::CHECKSUM_AT), u32s(crc32c::crc32c(&page[4..]))),
        ("kind", Some(at::KIND_AT), u8s(header.kind as u8)),
        ("used", Some(at::USED_AT), u16s(header.used)),
        ("store", Some(at::STORE_AT), u64s(STORE.0)),
        ("epoch", Some(at::EPOCH_AT), u32s(header.epoch.0)),
        ("chain", Some(at::CHAIN_AT), u32s(header.chain)),
        ("page", Some(at::PAGE_AT), u32s(0x5152_5354)),
        ("successor", Some(at::SUCCESSOR_AT), u32s(header.successor.0)),
        ("incarnation epoch", Some(at::INCARNATION_EPOCH_AT), u32s(INCARNATION.epoch.0)),
        ("serial", Some(at::SERIAL_AT), u48s(header.incarnation.serial)),
        ("batch", Some(at::BATCH_AT), u48s(header.batch.0)),
        ("durable", Some(at::DURABLE_AT), u48s(header.durable.0)),
        ("generation", Some(at::GENERATION_AT), u48s(header.generation.0)),
        ("index", Some(at::INDEX_AT), u16s(0xa1a2)),
        ("last", Some(at::LAST_AT), u16s(0xb1b2)),
    ];
    check("Log page header", HEADER_BYTES, &page, &fields);
    assert_eq!(log_page::open(&page, STORE, header.page), Some(header));

    let kinds = [
        (PageKind::Batch as u64, "batch"),
        (PageKind::Epoch as u64, "epoch"),
        (PageKind::Evidence as u64, "evidence"),
        (PageKind::Footer as u64, "footer"),
    ];
    assert_eq!(values("Page kinds"), kinds);
}

#[test]
fn the_record_and_its_parts_are_as_documented() {
    let key = &[b'k'; 0x0203];
    let expected = Some(Expected::At(location()));
    let put = Record::PutLarge { key, value_len: 0xf1f2_f3f4, pointer: POINTER, expected };
    let prefix = prefix_of(&put);
    let fields: [Field<'_>; 4] = [
        ("op", Some(record::OP_AT), u8s(2)),
        ("flags", Some(record::FLAGS_AT), u8s(3)),
        ("key length", Some(record::KEY_LEN_AT), u16s(0x0203)),
        ("value length", Some(record::VALUE_LEN_AT), u32s(0xf1f2_f3f4)),
    ];
    check("Record head", record::HEAD_BYTES, &prefix, &fields);

    let pointer = &prefix[record::HEAD_BYTES..];
    let fields: [Field<'_>; 4] = [
        ("page", None, u32s(POINTER.page.0 as u32)),
        ("checksum", None, u32s(POINTER.checksum)),
        ("serial", None, u64s(INCARNATION.serial)),
        ("epoch", None, u32s(INCARNATION.epoch.0)),
    ];
    check("Large pointer", POINTER_BYTES, pointer, &fields);

    let expectation = &pointer[POINTER_BYTES..];
    let fields: [Field<'_>; 1] = [("location", None, location().encode().to_vec())];
    check("Expectation", EXPECTED_BYTES, expectation, &fields);
    assert_eq!(expectation.len(), EXPECTED_BYTES);
    let absent = Record::Delete { key, expected: Some(Expected::Absent) };
    assert_eq!(prefix_of(&absent)[record::HEAD_BYTES..], [0; EXPECTED_BYTES]);

    let announce = prefix_of(&Record::Announce { extent: ExtentNo(0x0908_0706), state: STATE });
    let fields: [Field<'_>; 2] =
        [("extent", None, u32s(0x0908_0706)), ("state", None, STATE.encode().to_vec())];
    check("Announcement", ANNOUNCE_BYTES, &announce[record::HEAD_BYTES..], &fields);
    assert_eq!(announce.len(), record::HEAD_BYTES + ANNOUNCE_BYTES);
}

#[test]
fn the_moves_of_a_relocation_are_as_documented() {
    let from = Location::value(PageNo(0x5152_5354), 0x0158, 0x0162_6364);
    let mut moves = List::new(Location::value(PageNo(0x7172_7374), 0x0158, 0));
    moves.push(b"key", from);
    let fields: [Field<'_>; 2] = [
        ("page", Some(moves::PAGE_AT), u32s(0x7172_7374)),
        ("offset", Some(moves::OFFSET_AT), u16s(0x0158)),
    ];
    check("Start of the copies", moves::START_BYTES, moves.bytes(), &fields);
    let relocate = prefix_of(&Record::Relocate { moves: moves.bytes(), keys: moves.keys() });
    let len = moves.bytes().len() as u32;
    assert_eq!(relocate[record::VALUE_LEN_AT..record::HEAD_BYTES], u32s(len));
}

#[test]
fn the_kinds_and_flags_of_records_are_as_documented() {
    let key = b"key";
    let pointer = LargePointer { barriered: false, ..POINTER };
    let put = Record::Put { key, value_len: 1, expected: None };
    let put_large = Record::PutLarge { key, value_len: 1, pointer, expected: None };
    let mut moves = List::new(Location::value(PageNo(1), 8, 0));
    moves.push(key, Location::log(PageNo(2), 3, 4));
    let relocate = Record::Relocate { moves: moves.bytes(), keys: moves.keys() };
    let mut batch = Vec::new();
    Lister::begin(BatchNo(1), PageNo(1), &mut batch);
    let op = |record: &Record<'_>| u64::from(prefix_of(record)[record::OP_AT]);
    let kinds = [
        (op(&put), "put"),
        (op(&put_large), "put large"),
        (op(&Record::Delete { key, expected: None }), "delete"),
        (op(&Record::Announce { extent: ExtentNo(1), state: STATE }), "announce"),
        (u64::from(batch[0]), "batch"),
        (op(&relocate), "relocate"),
        (op(&Record::Noop), "noop"),
    ];
    assert_eq!(values("Record kinds"), kinds);

    let conditional = Record::Put { key, value_len: 1, expected: Some(Expected::Absent) };
    let barriered = Record::PutLarge { key, value_len: 1, pointer: POINTER, expected: None };
    let flags = |record: &Record<'_>| u64::from(prefix_of(record)[record::FLAGS_AT]);
    let documented = [(flags(&conditional), "conditional"), (flags(&barriered), "barriered")];
    assert_eq!(values("Record flags"), documented);
    assert_eq!((flags(&put), flags(&put_large)), (0, 0));
    assert_eq!((flags(&relocate), flags(&Record::Noop)), (0, 0));
}

#[test]
fn the_location_is_as_documented() {
    let fields: [Field<'_>; 4] = [
        ("page", None, u32s(0x5152_5354)),
        ("value length", None, u32s(0x6162_6364)),
        ("offset", None, u16s(0x0152)),
        ("home", None, u8s(Home::Log as u8)),
    ];
    check("Location", Location::BYTES, &location().encode(), &fields);
    let homes =
        [(Home::Log as u64, "log"), (Home::Large as u64, "large"), (Home::Value as u64, "value")];
    assert_eq!(values("Homes"), homes);
}

#[test]
fn the_footer_is_as_documented() {
    let head = FooterHead {
        chain: 0x0102_0304,
        epoch: Epoch(0x1112_1314),
        batch: BatchNo(0x2122_2324_2526_2728),
        listed_len: 0x3132_3334,
    };
    let fields: [Field<'_>; 4] = [
        ("chain", None, u32s(head.chain)),
        ("epoch", None, u32s(head.epoch.0)),
        ("batch", None, u64s(head.batch.0)),
        ("list length", None, u32s(head.listed_len)),
    ];
    check("Footer head", FOOTER_HEAD_BYTES, &head.encode(), &fields);

    let mut batch = Vec::new();
    let mut lister = Lister::begin(BatchNo(0x4142_4344_4546_4748), PageNo(0x5152_5354), &mut batch);
    let fields: [Field<'_>; 3] = [
        ("op", None, u8s(5)),
        ("page", Some(listed::PAGE_AT), u32s(0x5152_5354)),
        ("batch", Some(listed::NUMBER_AT), u64s(0x4142_4344_4546_4748)),
    ];
    check("Listed batch", listed::BATCH_BYTES, &batch, &fields);
    assert_eq!(batch.len(), listed::BATCH_BYTES);

    let put = Record::Put { key: b"key", value_len: 0x85, expected: Some(Expected::Absent) };
    let mut listed = Vec::new();
    lister.list(&put, &mut listed);
    let expectation = &prefix_of(&put)[record::HEAD_BYTES..];
    assert_eq!(listed, [&[0x11, 3, 0x85, 1], expectation, b"key"].concat());
}

#[test]
fn the_large_header_is_as_documented() {
    let key = &[b'k'; 0x0203];
    let value_len = 0x0005_0607;
    let identity = LargeIdentity {
        store: STORE,
        page: PageNo(0x9192_9394_9596_9798),
        incarnation: INCARNATION,
    };
    let shape = LargeShape { key_len: key.len(), value_len };
    let blocks: Vec<u32> = (0..shape.blocks() as u32).map(|i| 0xc1c2_c300 + i).collect();
    let mut pages = vec![0xff; shape.header_pages() as usize * PAGE_BYTES];
    let checksum = large::seal(&mut pages, identity, key, value_len, &blocks);
    assert_eq!(checksum, crc32c::crc32c(&pages[4..]));
    let fields: [Field<'_>; 8] = [
        ("checksum", Some(large::CHECKSUM_AT), u32s(checksum)),
        ("magic", Some(large::MAGIC_AT), b"XLRG".to_vec()),
        ("store", Some(large::STORE_AT), u64s(STORE.0)),
        ("page", Some(large::PAGE_AT), u64s(identity.page.0)),
        ("serial", Some(large::SERIAL_AT), u64s(INCARNATION.serial)),
        ("epoch", Some(large::EPOCH_AT), u32s(INCARNATION.epoch.0)),
        ("key length", Some(large::KEY_LEN_AT), u16s(0x0203)),
        ("value length", Some(large::VALUE_LEN_AT), u64s(u64::from(value_len))),
    ];
    check("Large header", FIXED_BYTES, &pages, &fields);

    assert_eq!(pages[64..64 + 0x0203], key[..]);
    let checksums_at = (64usize + 0x0203).next_multiple_of(4);
    let checksums: Vec<u8> = blocks.iter().flat_map(|&block| u32s(block)).collect();
    assert_eq!(blocks.len(), (value_len as usize).div_ceil(65_536));
    assert_eq!(pages[checksums_at..checksums_at + checksums.len()], checksums);
    assert!(pages[checksums_at + checksums.len()..].iter().all(|&byte| byte == 0));
}

#[test]
fn the_packed_record_is_as_documented() {
    let key = &[b'k'; 0x0203];
    let value = &[b'v'; 0x0001_0204];
    let identity = ValueIdentity {
        store: STORE,
        page: PageNo(0x5152_5354),
        offset: 0x0158,
        incarnation: INCARNATION,
    };
    let mut record = vec![0xff; record_len(key.len(), value.len() as u32)];
    value_record::encode(identity, key, value, &mut record);
    let end = 12 + key.len() + value.len();
    let covered = [&identity.seed()[..], &record[4..end]].concat();
    use value_record as at;
    let fields: [Field<'_>; 4] = [
        ("checksum", Some(at::CHECKSUM_AT), u32s(crc32c::crc32c(&covered))),
        ("key length", Some(at::KEY_LEN_AT), u16s(0x0203)),
        ("flags", Some(at::FLAGS_AT), u16s(0)),
        ("value length", Some(at::VALUE_LEN_AT), u32s(0x0001_0204)),
    ];
    check("Packed head", at::HEAD_BYTES, &record, &fields);
    assert_eq!(record[12..end], [&key[..], value].concat());
    assert_eq!(record[end..], vec![0; end.next_multiple_of(8) - end]);

    let fields: [Field<'_>; 5] = [
        ("store", None, u64s(STORE.0)),
        ("page", None, u32s(0x5152_5354)),
        ("offset", None, u32s(0x0158)),
        ("epoch", None, u32s(INCARNATION.epoch.0)),
        ("serial", None, u64s(INCARNATION.serial)),
    ];
    check("Packed seed", at::SEED_BYTES, &identity.seed(), &fields);
}

#[test]
fn the_extent_state_is_as_documented() {
    let fields: [Field<'_>; 3] = [
        ("role", None, u8s(Role::Large as u8)),
        ("epoch", None, u32s(INCARNATION.epoch.0)),
        ("serial", None, u64s(INCARNATION.serial)),
    ];
    check("Extent state", ExtentState::BYTES, &STATE.encode(), &fields);
    let roles = [
        (Role::Free as u64, "free"),
        (Role::Log as u64, "log"),
        (Role::Value as u64, "value"),
        (Role::Large as u64, "large"),
        (Role::Checkpoint as u64, "checkpoint"),
        (Role::Super as u64, "super"),
    ];
    assert_eq!(values("Extent roles"), roles);
}

#[test]
fn the_slice_header_is_as_documented() {
    let header = SliceHeader {
        store: STORE,
        image: INCARNATION,
        index: 0x3132_3334,
        kind: SliceKind::Keys,
        position: Position { batch: BatchNo(0x4142_4344_4546_4748), records: 0x5152_5354 },
        body_len: 5000,
        count: 0x6162_6364_6566_6768,
    };
    let mut pages = vec![0xff; slice_pages(5000) as usize * PAGE_BYTES];
    header.seal(&mut pages);
    use image as at;
    let fields: [Field<'_>; 11] = [
        ("checksum", Some(at::CHECKSUM_AT), u32s(crc32c::crc32c(&pages[4..]))),
        ("magic", Some(at::MAGIC_AT), b"XSLC".to_vec()),
        ("store", Some(at::STORE_AT), u64s(STORE.0)),
        ("serial", Some(at::SERIAL_AT), u64s(INCARNATION.serial)),
        ("epoch", Some(at::EPOCH_AT), u32s(INCARNATION.epoch.0)),
        ("index", Some(at::SLICE_INDEX_AT), u32s(header.index)),
        ("batch", Some(at::SLICE_BATCH_AT), u64s(header.position.batch.0)),
        ("records", Some(at::SLICE_RECORDS_AT), u32s(header.position.records)),
        ("body length", Some(at::SLICE_BODY_LEN_AT), u32s(5000)),
        ("count", Some(at::SLICE_COUNT_AT), u64s(header.count)),
        ("kind", Some(at::SLICE_KIND_AT), u32s(SliceKind::Keys as u32)),
    ];
    check("Slice header", image::HEADER_BYTES, &pages, &fields);
    assert_eq!(pages.len(), (64usize + 5000).next_multiple_of(PAGE_BYTES));
    assert_eq!(pages[64..64 + 5000], [0xff; 5000]);
    assert!(pages[64 + 5000..].iter().all(|&byte| byte == 0));
    assert!(SliceHeader::verify(&pages));
    assert_eq!(SliceHeader::peek(&pages), Some(header));

    let kinds = [
        (SliceKind::Extents as u64, "extents"),
        (SliceKind::Runs as u64, "runs"),
        (SliceKind::Keys as u64, "keys"),
    ];
    assert_eq!(values("Slice kinds"), kinds);
    assert_eq!(Position::after(BatchNo(1)).records, u32::MAX);
}

#[test]
fn the_root_page_is_as_documented() {
    let root = RootPage {
        store: STORE,
        image: INCARNATION,
        page: PageNo(0x3132_3334_3536_3738),
        next: PageNo(0x4142_4344_4546_4748),
        stream_pages: 0x5152_5354_5556_5758,
        slices: 0x6162_6364,
        newest: BatchNo(0x7172_7374_7576_7778),
        extents: (0..EXTENTS_PER_ROOT as u32).map(|i| ExtentNo(0x8182_0000 + i)).collect(),
    };
    let mut page = vec![0xff; PAGE_BYTES];
    root.encode(&mut page);
    let extents = root.extents.iter().flat_map(|extent| u32s(extent.0)).collect();
    use image as at;
    let fields: [Field<'_>; 12] = [
        ("checksum", Some(at::CHECKSUM_AT), u32s(crc32c::crc32c(&page[4..]))),
        ("magic", Some(at::MAGIC_AT), b"XROT".to_vec()),
        ("store", Some(at::STORE_AT), u64s(STORE.0)),
        ("serial", Some(at::SERIAL_AT), u64s(INCARNATION.serial)),
        ("epoch", Some(at::EPOCH_AT), u32s(INCARNATION.epoch.0)),
        ("count", Some(at::ROOT_COUNT_AT), u32s(1006)),
        ("page", Some(at::ROOT_PAGE_AT), u64s(root.page.0)),
        ("next", Some(at::ROOT_NEXT_AT), u64s(root.next.0)),
        ("stream pages", Some(at::ROOT_STREAM_AT), u64s(root.stream_pages)),
        ("newest", Some(at::ROOT_BATCH_AT), u64s(root.newest.0)),
        ("slices", Some(at::ROOT_SLICES_AT), u32s(root.slices)),
        ("extents", Some(at::ROOT_EXTENTS_AT), extents),
    ];
    check("Root page", PAGE_BYTES, &page, &fields);
    assert_eq!(RootPage::decode(&page, STORE, root.page), Some(root));
}

#[test]
fn the_run_line_is_as_documented() {
    let line = RunLine { page: PageNo(0x3132_3334), pages: 0x4142_4344, incarnation: INCARNATION };
    let mut bytes = Vec::new();
    line.encode(&mut bytes);
    let fields: [Field<'_>; 4] = [
        ("page", None, u32s(0x3132_3334)),
        ("pages", None, u32s(0x4142_4344)),
        ("serial", None, u64s(INCARNATION.serial)),
        ("epoch", None, u32s(INCARNATION.epoch.0)),
    ];
    check("Run line", RunLine::BYTES, &bytes, &fields);
    assert_eq!(bytes.len(), RunLine::BYTES);
}

#[test]
fn the_packed_location_is_as_documented() {
    let (page, value_len) = (PageNo(0x5152_5354), 0x0162_6364);
    for (name, home, location) in [
        ("log", Home::Log, Location::log(page, 0x0152, value_len)),
        ("large", Home::Large, Location::large(page, 0xf1f2_f3f4)),
        ("value", Home::Value, Location::value(page, 0x0158, value_len)),
    ] {
        let (mut what, mut end) = (0, 0);
        for row in rows("Packed location", "| home | from bit | bits |") {
            let (from, bits): (u32, u32) = (row[1].parse().unwrap(), row[2].parse().unwrap());
            if row[0] != name {
                continue;
            }
            assert_eq!(from, end, "{name}: no gap before bit {from}");
            end += bits;
            let field = match row[3] {
                "offset" => u64::from(location.offset()),
                "value length" => u64::from(location.value_len()),
                ZEROS => 0,
                number => number.parse().unwrap(),
            };
            assert!(from > 0 || field == home as u64, "{name}: its home comes first");
            assert!(field < 1 << bits, "{name}: {} fits", row[3]);
            what |= field << from;
        }
        assert_eq!(end, 40, "{name}: all bits");
        let packed = location.pack();
        let fields: [Field<'_>; 2] = [
            ("page", None, u32s(location.page().0 as u32)),
            ("what", None, what.to_le_bytes()[..5].to_vec()),
        ];
        check("Packed location", Location::PACKED_BYTES, &packed, &fields);
        assert_eq!(Location::unpack(&packed), Some(location));
    }
    assert_eq!(Location::log(PageNo(0), 0, (1 << 26) - 1).value_len(), Location::MAX_INLINE_BYTES);
}

/// A leaf that the index wrote, of keys and their locations.
fn leaf_of(entries: &[(Vec<u8>, Location)]) -> Vec<u8> {
    let index = Index::new();
    index.edit(|edit| {
        for (key, location) in entries {
            edit.insert(key, *location);
        }
    });
    let mut leaf = Vec::new();
    let slice = index.copy_slice(&[], usize::MAX, &mut leaf);
    assert_eq!((slice.next, slice.entries), (None, entries.len() as u64));
    assert_eq!(Leaves::new(&leaf).count(), 1, "the entries fit one leaf");
    leaf
}

/// Reads a compact leaf by what the document says, and nothing else.
fn read_leaf(leaf: &[u8]) -> Vec<(Vec<u8>, Location)> {
    let number = |at: usize, bytes: usize| {
        let mut number = [0; 8];
        number[..bytes].copy_from_slice(&leaf[at..at + bytes]);
        u64::from_le_bytes(number) as usize
    };
    let field = |name: &str| {
        let field = table("Compact leaf").into_iter().find(|field| field.name == name).unwrap();
        number(field.at, field.len)
    };
    let (length, entries, ends) = (field("length"), field("entries"), field("ends"));
    let suffixes = 16 + field("prefix length");
    let record_bytes = 9 + ends;
    let record = |i: usize| length - (i + 1) * record_bytes;
    let end = |i: usize| match ends {
        0 => (i + 1) * field("suffix length"),
        _ => number(record(i) + 9, ends),
    };
    assert_eq!(leaf.len(), length);
    assert_eq!(suffixes + end(entries - 1), length - entries * record_bytes, "there is no gap");
    let entry = |i: usize| {
        let start = if i == 0 { 0 } else { end(i - 1) };
        let key = [&leaf[16..suffixes], &leaf[suffixes + start..suffixes + end(i)]].concat();
        let packed = leaf[record(i)..].first_chunk().unwrap();
        (key, Location::unpack(packed).unwrap())
    };
    (0..entries).map(entry).collect()
}

fn check_leaf(entries: &[(Vec<u8>, Location)], prefix: u16, suffix: u16, ends: u8) -> Vec<u8> {
    let leaf = leaf_of(entries);
    let last = &entries[entries.len() - 1].0[usize::from(prefix)..];
    let mut highest = [0; 4];
    if ends == 0 {
        let len = last.len().min(4);
        highest[..len].copy_from_slice(&last[..len]);
    }
    let fields: [Field<'_>; 7] = [
        ("length", None, u32s(leaf.len() as u32)),
        ("entries", None, u16s(entries.len() as u16)),
        ("prefix length", None, u16s(prefix)),
        ("suffix length", None, u16s(suffix)),
        ("level", None, u8s(0)),
        ("ends", None, u8s(ends)),
        ("highest", None, u32s(u32::from_be_bytes(highest))),
    ];
    check("Compact leaf", 16, &leaf, &fields);
    assert_eq!(read_leaf(&leaf), entries);
    let mut read = Vec::new();
    CompactLeaf::new(&leaf).unwrap().for_each(|it| read.push((it.key(), it.location())));
    assert_eq!(read, entries);
    leaf
}

#[test]
fn the_compact_leaf_is_as_documented() {
    let at = |i: usize| Location::log(PageNo(0x3132_3300 + i as u64), 0x0152, 0x62_6364);
    let fixed: Vec<_> = (0..9).map(|i| (format!("prefix{i}00").into_bytes(), at(i))).collect();
    check_leaf(&fixed, 6, 3, 0);
    check_leaf(&fixed[..1], 9, 0, 0);
    let variable = |bytes: usize| -> Vec<_> {
        (0..5)
            .map(|i| ([&b"prefix"[..], &vec![b'a' + i as u8; i * bytes]].concat(), at(i)))
            .collect()
    };
    check_leaf(&variable(300), 6, 0, 2);
    let long = check_leaf(&variable(15_000), 6, 0, 4);
    assert_eq!(long.len(), 16 + 6 + 15_000 * 10 + 5 * 13);

    // What the header says of the rest must be so.
    for byte in [0, 4, 6, 8, 10, 11, 12, 13, 14, 15] {
        let mut leaf = leaf_of(&fixed);
        leaf[byte] ^= 1;
        assert!(CompactLeaf::new(&leaf).is_none(), "byte {byte}");
    }
}

#[test]
fn what_is_reserved_is_refused() {
    for flag in [4, 8, 16, 32, 64, 128] {
        let mut stream = prefix_of(&Record::Put { key: b"12345678", value_len: 0, expected: None });
        stream.extend_from_slice(b"12345678");
        assert!(record::decode_record(&stream, 0).is_some());
        stream[record::FLAGS_AT] |= flag;
        assert!(record::decode_record(&stream, 0).is_none(), "flag {flag}");
    }
    let mut encoded = location().encode();
    encoded[10] = 4;
    assert_eq!(Location::decode(&encoded), None);
}

/// With what the examples of the document begin.
fn marker() -> Superblock {
    let anchor = Anchor { page: PageNo(0), chain: 0, batch: BatchNo(0), epoch: Epoch(0) };
    Superblock {
        store: StoreId(0x0123_4567_89ab_cdef),
        generation: Generation(0),
        extent_pages: 16,
        fixed: false,
        creating: true,
        max_pages: 1024,
        pages: 1,
        checkpoint: Checkpoint::of_whole_log(anchor),
        previous: None,
        spares: Vec::new(),
    }
}

/// The example of the document: a volume that began with a known marker, and one put.
fn example_volume() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("example.vol");
    let mut page = vec![0; PAGE_BYTES];
    marker().encode(&mut page);
    std::fs::write(&path, page).unwrap();
    let db = Db::open(&path).unwrap();
    db.put("user:1", "Ada").unwrap();
    db.close().unwrap();
    std::fs::read(&path).unwrap()
}

/// As the document dumps bytes: offset, sixteen bytes, and what of them is text.
fn dump(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (i, line) in bytes.chunks(16).enumerate() {
        let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = |&byte: &u8| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '.',
        };
        let text: String = line.iter().map(text).collect();
        writeln!(out, "{:04x}  {:<47}  {text}", i * 16, hex.join(" ")).unwrap();
    }
    out
}

/// Checks the dump called `name` against `bytes`; whatever it leaves out must be zeros.
fn check_dump(name: &str, bytes: &[u8], shown: usize) {
    let documented = fence(DOC, &format!("hex {name}")).expect("the document has this dump");
    let actual = dump(&bytes[..shown]);
    assert_eq!(documented, actual, "format.md must have for {name}:\n{actual}");
    assert!(bytes[shown..].iter().all(|&byte| byte == 0), "{name}: the rest is zeros");
}

#[test]
fn the_example_volume_is_as_documented() {
    let volume = example_volume();
    let page = |number: usize| &volume[number * PAGE_BYTES..(number + 1) * PAGE_BYTES];
    check_dump("superblock", page(0), 80);
    check_dump("genesis", page(16), 80);
    check_dump("put", page(18), 112);
    check_dump("evidence", page(19), 80);
    assert_eq!(volume.len(), 192 * PAGE_BYTES);
    let second = Superblock::decode(page(15)).unwrap();
    assert_eq!(second.generation, Generation(3));
    assert_eq!(log_page::checksum(page(16)), second.checkpoint.anchor.chain);
    assert_eq!(
        log_page::open(page(17), second.store, PageNo(17)).map(|header| header.kind),
        Some(PageKind::Epoch)
    );

    let at = Location::log(PageNo(18), 8, 3);
    check_dump("location", &at.encode(), Location::BYTES);

    let mut list_of_it = Vec::new();
    let mut lister = Lister::begin(BatchNo(1), PageNo(18), &mut list_of_it);
    lister.list(&Record::Put { key: b"user:1", value_len: 3, expected: None }, &mut list_of_it);
    let head = FooterHead {
        chain: log_page::checksum(page(18)),
        epoch: Epoch(2),
        batch: BatchNo(1),
        listed_len: list_of_it.len() as u32,
    };
    let stream = [&head.encode()[..], &list_of_it].concat();
    check_dump("footer", &stream, stream.len());
}

#[test]
fn the_example_of_a_large_value_is_as_documented() {
    let identity = LargeIdentity {
        store: StoreId(0x0123_4567_89ab_cdef),
        page: PageNo(48),
        incarnation: Incarnation { epoch: Epoch(2), serial: 2 },
    };
    let value = vec![b'a'; 70_000];
    let value_len = value.len() as u32;
    let blocks: Vec<u32> = value.chunks(BLOCK_BYTES).map(crc32c::crc32c).collect();
    let shape = LargeShape { key_len: 5, value_len };
    assert_eq!((shape.header_pages(), shape.data_pages()), (1, 18));
    let mut header = vec![0; PAGE_BYTES];
    let checksum = large::seal(&mut header, identity, b"photo", value_len, &blocks);
    check_dump("large-header", &header, 80);

    let (page, incarnation) = (identity.page, identity.incarnation);
    let pointer = LargePointer { page, checksum, incarnation, barriered: false };
    let record = Record::PutLarge { key: b"photo", value_len, pointer, expected: None };
    let mut stream = prefix_of(&record);
    stream.extend_from_slice(b"photo");
    stream.resize(record.log_len(), 0);
    check_dump("large-record", &stream, stream.len());
}

#[test]
fn the_example_of_a_packed_record_is_as_documented() {
    let identity = ValueIdentity {
        store: StoreId(0x0123_4567_89ab_cdef),
        page: PageNo(64),
        offset: 4072,
        incarnation: Incarnation { epoch: Epoch(2), serial: 3 },
    };
    let mut packed = vec![0xff; record_len(6, 3)];
    value_record::encode(identity, b"user:1", b"Ada", &mut packed);
    check_dump("packed-record", &packed, packed.len());

    let from = Location::log(PageNo(18), 8, 3);
    let mut moves = List::new(Location::value(identity.page, identity.offset, 3));
    moves.push(b"user:1", from);
    let record = Record::Relocate { moves: moves.bytes(), keys: moves.keys() };
    let mut stream = prefix_of(&record);
    stream.extend_from_slice(moves.bytes());
    stream.resize(record.log_len(), 0);
    check_dump("relocate-record", &stream, stream.len());
}

/// Opens the volume without threads, so that what is written depends on nothing else.
fn open_alone(path: &Path) -> Arc<Engine> {
    let opened = device::open(path, DirectIo::default(), true).unwrap();
    let medium = Medium {
        device: Arc::new(opened.device),
        info: opened.info,
        len_bytes: opened.len_bytes,
        pool: BufferPool::new(4 << 20),
    };
    Engine::open_on(medium, &Options::new(), Background::Manual).unwrap()
}

#[test]
fn the_example_of_a_checkpoint_is_as_documented() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("example.vol");
    let mut page = vec![0; PAGE_BYTES];
    marker().encode(&mut page);
    std::fs::write(&path, page).unwrap();
    let db = Db::new(open_alone(&path));
    db.put("user:1", "Ada").unwrap();
    db.put("photo", vec![b'a'; 70_000]).unwrap();
    db.checkpoint().unwrap();
    let volume = std::fs::read(&path).unwrap();
    let pages =
        |range: std::ops::Range<usize>| &volume[range.start * PAGE_BYTES..range.end * PAGE_BYTES];

    let superblock = Superblock::decode(pages(15..16)).unwrap();
    assert_eq!(superblock.generation, Generation(3));
    assert_eq!(superblock.checkpoint.anchor.page, PageNo(19));
    assert_eq!(superblock.checkpoint.anchor.batch, BatchNo(2));
    let first = Superblock::decode(pages(0..1)).unwrap();
    assert_eq!(superblock.previous, Some(first.checkpoint));
    check_dump("checkpoint", pages(15..16), 128);

    let root = RootPage::decode(pages(83..84), superblock.store, superblock.checkpoint.root);
    assert_eq!(root.unwrap().image, superblock.checkpoint.image);
    check_dump("root", pages(83..84), 80);
    check_dump("extents", pages(80..81), 64 + 3 * 20);
    check_dump("runs", pages(81..82), 64 + 24);
    check_dump("keys", pages(82..83), 64 + 4 + 49);
    let keys = [
        (b"photo".to_vec(), Location::large(PageNo(48), 70_000)),
        (b"user:1".to_vec(), Location::log(PageNo(18), 8, 3)),
    ];
    assert_eq!(read_leaf(&pages(82..83)[68..68 + 49]), keys);

    let line = &pages(80..81)[64 + 2 * 20..64 + 3 * 20];
    let incarnation = Incarnation { epoch: Epoch(2), serial: 2 };
    let state = ExtentState { role: Role::Large, incarnation };
    let fields: [Field<'_>; 2] =
        [("extent", None, u32s(4)), ("state", None, state.encode().to_vec())];
    check("Extent line", 20, line, &fields);

    let leaf = leaf_of(&[
        (b"user:1".to_vec(), Location::log(PageNo(18), 8, 3)),
        (b"user:2".to_vec(), Location::log(PageNo(19), 8, 3)),
    ]);
    check_dump("leaf", &leaf, leaf.len());
}
