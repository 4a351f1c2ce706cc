//! Where the current value of a key is.

use super::ids::PageNo;

/// Which kind of pages hold a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub(crate) enum Home {
    /// A record in log pages, its value beside its key.
    Log = 1,
    /// A run of pages of its own in a large extent.
    Large = 2,
}

/// Where a value is: which pages to read, and its exact length. Unique to one put for as long
/// as anything refers to it (G3), so equal locations mean the same version.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Location {
    page: u32,
    value_len: u32,
    offset: u16,
    home: Home,
}

impl Location {
    /// Bytes of an encoded location.
    pub(crate) const BYTES: usize = 12;

    /// A record whose key starts `offset` bytes into the payload of log page `page`; its value
    /// follows the key.
    #[must_use]
    pub(crate) fn log(page: PageNo, offset: u16, value_len: u32) -> Self {
        Self { page: page_bits(page), value_len, offset, home: Home::Log }
    }

    /// A large value whose header starts at `page`.
    #[must_use]
    pub(crate) fn large(page: PageNo, value_len: u32) -> Self {
        Self { page: page_bits(page), value_len, offset: 0, home: Home::Large }
    }

    /// The first page to read.
    #[must_use]
    pub(crate) const fn page(self) -> PageNo {
        PageNo(self.page as u64)
    }

    /// Bytes into the payload of the first page; 0 for large values.
    #[must_use]
    pub(crate) const fn offset(self) -> u16 {
        self.offset
    }

    /// Length of the value in bytes.
    #[must_use]
    pub(crate) const fn value_len(self) -> u32 {
        self.value_len
    }

    /// Which kind of pages hold it.
    #[must_use]
    pub(crate) const fn home(self) -> Home {
        self.home
    }

    /// The encoded form.
    #[must_use]
    pub(crate) fn encode(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[0..4].copy_from_slice(&self.page.to_le_bytes());
        out[4..8].copy_from_slice(&self.value_len.to_le_bytes());
        out[8..10].copy_from_slice(&self.offset.to_le_bytes());
        out[10] = self.home as u8;
        out
    }

    /// Reads an encoded location; `None` if it is not one.
    #[must_use]
    pub(crate) fn decode(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let home = match bytes[10] {
            1 => Home::Log,
            2 => Home::Large,
            _ => return None,
        };
        let location = Self {
            page: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            value_len: u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            offset: u16::from_le_bytes([bytes[8], bytes[9]]),
            home,
        };
        (location.encode() == *bytes).then_some(location)
    }
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}@{}+{} len {}", self.home, self.page, self.offset, self.value_len)
    }
}

fn page_bits(page: PageNo) -> u32 {
    u32::try_from(page.0).expect("a volume has at most 2^32 pages")
}
