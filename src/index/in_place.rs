//! Changing a block within its bytes.

use super::arena::NodeId;
use super::block::{Block, Layout, Payload, payload_bytes};

/// Bytes a block needs to take `key` too with no change of its encoding; `None` if it cannot.
pub(super) fn bytes_with(block: &[u8], key: &[u8]) -> Option<usize> {
    let layout = Layout::of(block);
    let suffix = key.strip_prefix(Block::new(block).prefix())?;
    let fits = match layout.ends {
        0 => suffix.len() == layout.stride,
        2 => layout.start(block, layout.count) + suffix.len() <= usize::from(u16::MAX),
        _ => true,
    };
    (fits && layout.count > 0).then(|| layout.used(block) + suffix.len() + layout.record())
}

/// Puts an entry before entry `at`; false, and no change, if there is no room.
pub(super) fn insert(block: &mut [u8], at: usize, key: &[u8], payload: &[u8]) -> bool {
    let before = Layout::of(block);
    if bytes_with(block, key).is_none_or(|bytes| bytes > before.bytes) {
        return false;
    }
    let suffix = &key[before.prefix..];
    let first = before.suffixes();
    let start = before.start(block, at);
    let end = before.start(block, before.count);
    let record = before.record();
    block.copy_within(first + start..first + end, first + start + suffix.len());
    block[first + start..first + start + suffix.len()].copy_from_slice(suffix);
    let records = before.records();
    block.copy_within(records..before.bytes - at * record, records - record);
    let layout = Layout { count: before.count + 1, ..before };
    layout.write(block);
    let place = layout.record_at(at);
    block[place..place + payload.len()].copy_from_slice(payload);
    if layout.ends > 0 {
        layout.write_end(block, at, start);
        for index in at..layout.count {
            let end = layout.read_end(block, index) + suffix.len();
            layout.write_end(block, index, end);
        }
    }
    if at == before.count {
        layout.write_highest(block);
    }
    true
}

/// Takes entry `at` out.
pub(super) fn remove(block: &mut [u8], at: usize) {
    let before = Layout::of(block);
    let first = before.suffixes();
    let (start, next) = (before.start(block, at), before.start(block, at + 1));
    let end = before.start(block, before.count);
    if before.ends > 0 {
        for index in at + 1..before.count {
            let end = before.read_end(block, index) - (next - start);
            before.write_end(block, index, end);
        }
    }
    block.copy_within(first + next..first + end, first + start);
    let (records, record) = (before.records(), before.record());
    block.copy_within(records..before.record_at(at), records + record);
    let layout = Layout { count: before.count - 1, ..before };
    layout.write(block);
    if at == layout.count {
        layout.write_highest(block);
    }
}

/// Replaces the payload of entry `at` of a leaf; returns the old one.
pub(super) fn replace(block: &mut [u8], at: usize, payload: &Payload) -> Payload {
    let start = Layout::of(block).record_at(at);
    let place = block[start..].first_chunk_mut().expect("a leaf's payload");
    std::mem::replace(place, *payload)
}

/// Points child `rank` of an inner node elsewhere.
pub(super) fn set_child(block: &mut [u8], rank: usize, child: NodeId) {
    let start = if rank == 0 { 12 } else { Layout::of(block).record_at(rank - 1) };
    block[start..start + payload_bytes(1)].copy_from_slice(&child.to_bytes());
}

/// Writes what `from` holds to `to`, a block of another length but long enough.
pub(super) fn copy(from: &[u8], to: &mut [u8]) {
    let layout = Layout::of(from);
    let front = layout.suffixes() + layout.start(from, layout.count);
    let records = layout.records();
    let tail = to.len() - (layout.bytes - records);
    to[..front].copy_from_slice(&from[..front]);
    to[tail..].copy_from_slice(&from[records..layout.bytes]);
    Layout { bytes: to.len(), ..layout }.write(to);
}
