//! What the footer of an extent will list.

use crate::device::AlignedBuf;
use std::fmt;
use std::ops::Deref;

/// The least that is mapped.
const LEAST_BYTES: usize = 16 << 10;

/// Entries, one after the other, in pages of their own. Where records are short they are
/// megabytes an extent. The allocator would keep these, in an arena for each of the threads that
/// take turns to lead; the system takes them back.
#[derive(Default)]
pub(crate) struct Listing {
    /// Zeros that nobody has touched take no memory, so half of it may be to spare.
    pages: Option<AlignedBuf>,
    len: usize,
}

impl Listing {
    /// Adds `entries` at the end.
    pub(super) fn extend(&mut self, entries: &[u8]) {
        let len = self.len + entries.len();
        if self.pages.as_ref().is_none_or(|pages| pages.len() < len) {
            let mut wider = AlignedBuf::new(len.next_power_of_two().max(LEAST_BYTES))
                .expect("the system has memory for what footers list");
            wider[..self.len].copy_from_slice(self);
            self.pages = Some(wider);
        }
        if let Some(pages) = &mut self.pages {
            pages[self.len..len].copy_from_slice(entries);
        }
        self.len = len;
    }

    /// Drops what comes after the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl Deref for Listing {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.pages.as_ref().map_or(&[], |pages| &pages[..self.len])
    }
}

impl Clone for Listing {
    fn clone(&self) -> Self {
        let mut clone = Self::default();
        clone.extend(self);
        clone
    }
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of entries", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_added() {
        let mut listing = Listing::default();
        assert!(listing.is_empty() && listing.clone().is_empty());
        let mut all = Vec::new();
        for step in 0..3000_usize {
            let entries = vec![step as u8; step % 97];
            listing.extend(&entries);
            all.extend(entries);
        }
        assert_eq!(listing[..], all);
        assert_eq!(listing.clone()[..], all);
        listing.truncate(20_000);
        listing.extend(b"end");
        assert_eq!((&listing[..20_000], &listing[20_000..]), (&all[..20_000], &b"end"[..]));
    }
}
