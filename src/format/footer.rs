//! The footer of a sealed log extent: its records in brief, at its end, so that replay need not
//! read values.
//!
//! A footer is written only when every batch of its extent is durable (its D says so), so a
//! valid one proves them. Its last page is the last of the extent; its payload stream is a head
//! and then a [list](super::listed).

use super::bytes::{get_u32, get_u64};
use super::ids::{BatchNo, Epoch};
use super::log_page::pages_for_stream;

/// Bytes before the list.
pub(crate) const HEAD_BYTES: usize = 24;

/// Where the log stands at the end of the extent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FooterHead {
    /// Checksum of the extent's last page in the chain.
    pub(crate) chain: u32,
    /// Its epoch.
    pub(crate) epoch: Epoch,
    /// Last batch up to there.
    pub(crate) batch: BatchNo,
    /// Bytes of the list.
    pub(crate) listed_len: u32,
}

impl FooterHead {
    /// The encoded head.
    pub(crate) fn encode(self) -> [u8; HEAD_BYTES] {
        let mut out = [0; HEAD_BYTES];
        out[0..4].copy_from_slice(&self.chain.to_le_bytes());
        out[4..8].copy_from_slice(&self.epoch.0.to_le_bytes());
        out[8..16].copy_from_slice(&self.batch.0.to_le_bytes());
        out[16..20].copy_from_slice(&self.listed_len.to_le_bytes());
        out
    }

    /// Splits a footer's stream into head and list.
    pub(crate) fn decode(stream: &[u8]) -> Option<(Self, &[u8])> {
        let (head, list) = stream.split_at_checked(HEAD_BYTES)?;
        let found = Self {
            chain: get_u32(head, 0),
            epoch: Epoch(get_u32(head, 4)),
            batch: BatchNo(get_u64(head, 8)),
            listed_len: get_u32(head, 16),
        };
        let sound = found.encode() == head && found.listed_len as usize == list.len();
        sound.then_some((found, list))
    }
}

/// Pages of a footer that lists so much.
pub(crate) const fn footer_pages(listed_len: usize) -> usize {
    pages_for_stream(HEAD_BYTES + listed_len)
}
