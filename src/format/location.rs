//! Where the current value of a key is.

use super::ids::{PAGE_BYTES, PageNo};

/// Which kind of pages hold a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub(crate) enum Home {
    /// A record in log pages, its value beside its key.
    Log = 1,
    /// A run of pages of its own in a large extent.
    Large = 2,
    /// A packed record in a value extent, its value beside its key.
    Value = 3,
}

/// Bits of a packed location that name its home.
const HOME_BITS: u32 = 2;

/// Bits of a packed location that hold an offset into a page.
const OFFSET_BITS: u32 = 12;

/// Packed records start at multiples of this in their pages.
const PACKED_ALIGN: u16 = 8;

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

    /// Bytes of a packed location.
    pub(crate) const PACKED_BYTES: usize = 9;

    /// Longest value beside its key whose location can be packed.
    pub(crate) const MAX_INLINE_BYTES: u32 = (1 << 26) - 1;

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

    /// A packed record that starts `offset` bytes into page `page` of a value extent.
    ///
    /// # Panics
    ///
    /// If no packed record starts at `offset`.
    #[must_use]
    pub(crate) fn value(page: PageNo, offset: u16, value_len: u32) -> Self {
        assert!(
            Self::is_packed_at(offset),
            "a packed record starts at a multiple of 8 in its page"
        );
        Self { page: page_bits(page), value_len, offset, home: Home::Value }
    }

    /// Whether a packed record may start `offset` bytes into a page.
    #[must_use]
    pub(crate) fn is_packed_at(offset: u16) -> bool {
        usize::from(offset) < PAGE_BYTES && offset.is_multiple_of(PACKED_ALIGN)
    }

    /// The first page to read.
    #[must_use]
    pub(crate) const fn page(self) -> PageNo {
        PageNo(self.page as u64)
    }

    /// Bytes into the payload of the first page, which for packed records is the page; 0 for
    /// large values.
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

    /// The form the index holds: the page in 32 bits, then 40 that say what it is the page of.
    ///
    /// # Panics
    ///
    /// If an inline value is longer than [`MAX_INLINE_BYTES`](Self::MAX_INLINE_BYTES).
    #[must_use]
    pub(crate) fn pack(self) -> [u8; Self::PACKED_BYTES] {
        let what = match self.home {
            Home::Log | Home::Value => {
                assert!(self.value_len <= Self::MAX_INLINE_BYTES, "an inline value");
                assert!(self.offset < 1 << OFFSET_BITS, "an offset within a page");
                u64::from(self.value_len) << OFFSET_BITS | u64::from(self.offset)
            }
            Home::Large => u64::from(self.value_len),
        };
        let bits = (what << HOME_BITS) | self.home as u64;
        let mut out = [0; Self::PACKED_BYTES];
        out[..4].copy_from_slice(&self.page.to_le_bytes());
        out[4..].copy_from_slice(&bits.to_le_bytes()[..5]);
        out
    }

    /// Reads a packed location; `None` if it is not one. Nine zeros never are.
    #[must_use]
    pub(crate) fn unpack(packed: &[u8; Self::PACKED_BYTES]) -> Option<Self> {
        let page = u32::from_le_bytes(*packed.first_chunk().expect("nine bytes"));
        // The last eight bytes, without the three of the page that are among them.
        let bits = u64::from_le_bytes(*packed.last_chunk().expect("nine bytes")) >> 24;
        let what = bits >> HOME_BITS;
        let inline = |home| {
            let offset = (what & ((1 << OFFSET_BITS) - 1)) as u16;
            Self { page, value_len: (what >> OFFSET_BITS) as u32, offset, home }
        };
        match bits & ((1 << HOME_BITS) - 1) {
            1 => Some(inline(Home::Log)),
            2 => {
                let value_len = u32::try_from(what).ok()?;
                Some(Self { page, value_len, offset: 0, home: Home::Large })
            }
            3 => Some(inline(Home::Value)).filter(|location| location.is_sound()),
            _ => None,
        }
    }

    /// Reads an encoded location; `None` if it is not one.
    #[must_use]
    pub(crate) fn decode(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let home = match bytes[10] {
            1 => Home::Log,
            2 => Home::Large,
            3 => Home::Value,
            _ => return None,
        };
        let location = Self {
            page: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            value_len: u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            offset: u16::from_le_bytes([bytes[8], bytes[9]]),
            home,
        };
        (location.encode() == *bytes && location.is_sound()).then_some(location)
    }

    /// Whether a packed record can be there, if it is one.
    fn is_sound(self) -> bool {
        self.home != Home::Value
            || Self::is_packed_at(self.offset) && self.value_len <= Self::MAX_INLINE_BYTES
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

#[cfg(test)]
mod tests {
    use super::*;

    fn extremes() -> Vec<Location> {
        let pages = [PageNo(0), PageNo(1), PageNo(0xffff_ffff)];
        let log = pages.iter().flat_map(|&page| {
            [0, 1, 4095].into_iter().flat_map(move |offset| {
                [0, 1, Location::MAX_INLINE_BYTES].map(|len| Location::log(page, offset, len))
            })
        });
        let large =
            pages.iter().flat_map(|&page| [0, 1, u32::MAX].map(|len| Location::large(page, len)));
        let value = pages.iter().flat_map(|&page| {
            [0, 8, 4088].into_iter().flat_map(move |offset| {
                [0, 1, Location::MAX_INLINE_BYTES].map(|len| Location::value(page, offset, len))
            })
        });
        log.chain(large).chain(value).collect()
    }

    #[test]
    fn a_location_reads_as_what_it_was() {
        for location in extremes() {
            assert_eq!(Location::unpack(&location.pack()), Some(location));
            assert_eq!(Location::decode(&location.encode()), Some(location));
        }
    }

    #[test]
    fn other_homes_and_stray_bits_are_no_location() {
        for location in extremes() {
            let mut packed = location.pack();
            packed[4] &= !3;
            assert_eq!(Location::unpack(&packed), None);
            for home in [0, 4, 255] {
                let mut encoded = location.encode();
                encoded[10] = home;
                assert_eq!(Location::decode(&encoded), None);
            }
        }
        for bit in 2..8 {
            let mut packed = Location::large(PageNo(7), 9).pack();
            packed[8] |= 1 << bit;
            assert_eq!(Location::unpack(&packed), None);
        }
        assert_eq!(Location::unpack(&[0; 9]), None);
    }

    #[test]
    fn no_packed_record_is_where_none_can_start() {
        let value = Location::value(PageNo(7), 8, 9);
        for bit in 2..5 {
            let mut packed = value.pack();
            packed[4] |= 1 << bit;
            assert_eq!(Location::unpack(&packed), None);
        }
        for offset in [1_u16, 9, 4095, 4096, u16::MAX] {
            let mut encoded = value.encode();
            encoded[8..10].copy_from_slice(&offset.to_le_bytes());
            assert_eq!(Location::decode(&encoded), None);
        }
        let mut encoded = value.encode();
        encoded[4..8].copy_from_slice(&(Location::MAX_INLINE_BYTES + 1).to_le_bytes());
        assert_eq!(Location::decode(&encoded), None);
    }

    #[test]
    #[should_panic(expected = "an inline value")]
    fn an_inline_value_too_long_is_not_packed() {
        let _ = Location::log(PageNo(1), 0, Location::MAX_INLINE_BYTES + 1).pack();
    }
}
