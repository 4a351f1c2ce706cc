//! Whether bytes from elsewhere are a leaf.

use super::MAX_KEY_BYTES;
use super::block::{Block, HEADER_BYTES, Layout, head};
use crate::format::location::Location;

/// Whether `block` is a compact leaf through and through: header, keys ascending, locations.
pub(crate) fn validate(block: &[u8]) -> bool {
    let Some(header) = block.first_chunk::<HEADER_BYTES>() else { return false };
    let layout = Layout::read(header);
    is_sane(&layout, block)
        && suffixes_fill(&layout, block)
        && block[12..16] == layout.highest(block).to_le_bytes()
        && are_ascending(&Block::new(block))
        && (0..layout.count).all(|at| Location::unpack(Block::new(block).payload(at)).is_some())
}

/// Whether what the header says fits the block, so that reading records is safe.
fn is_sane(layout: &Layout, block: &[u8]) -> bool {
    layout.bytes == block.len()
        && layout.level == 0
        && layout.count > 0
        && matches!((layout.ends, layout.stride), (0, _) | (2 | 4, 0))
        && layout.suffixes() + layout.count * layout.record() <= block.len()
}

/// Whether the suffixes lie one after another from the prefix to the records, no key too long.
fn suffixes_fill(layout: &Layout, block: &[u8]) -> bool {
    let all = layout.records() - layout.suffixes();
    let longest = MAX_KEY_BYTES - layout.prefix;
    if layout.ends == 0 {
        return layout.stride <= longest && layout.count * layout.stride == all;
    }
    let mut start = 0;
    let sound = (0..layout.count).all(|at| {
        let end = layout.read_end(block, at);
        let sound = start <= end && end <= all && end - start <= longest;
        start = end;
        sound
    });
    sound && start == all
}

fn are_ascending(block: &Block<'_>) -> bool {
    let mut before = block.suffix(0);
    (1..block.len()).all(|at| {
        let suffix = block.suffix(at);
        let (lower, higher) = (head(before), head(suffix));
        let ascends = lower < higher || (lower == higher && before < suffix);
        before = suffix;
        ascends
    })
}
