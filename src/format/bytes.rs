//! Little-endian fields at fixed offsets, and numbers of variable length.

pub(super) fn put_u16(page: &mut [u8], at: usize, value: u16) {
    page[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u32(page: &mut [u8], at: usize, value: u32) {
    page[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(page: &mut [u8], at: usize, value: u64) {
    page[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// Writes 48 bits. That is enough to count anything for centuries: only what nobody wrote is more,
/// and becomes the most there is.
pub(super) fn put_u48(page: &mut [u8], at: usize, value: u64) {
    page[at..at + 6].copy_from_slice(&value.min((1 << 48) - 1).to_le_bytes()[..6]);
}

fn array<const N: usize>(page: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&page[at..at + N]);
    out
}

pub(super) fn get_u16(page: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(page, at))
}

pub(super) fn get_u32(page: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(page, at))
}

pub(super) fn get_u64(page: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(page, at))
}

pub(super) fn get_u48(page: &[u8], at: usize) -> u64 {
    let [a, b, c, d, e, f] = array(page, at);
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

/// Appends `value`, seven bits a byte, the lowest first; the top bit says that more follow.
pub(super) fn put_varint(out: &mut Vec<u8>, value: u64) {
    let mut rest = value;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Bytes that `value` takes as a number of variable length.
pub(super) fn varint_len(value: u64) -> usize {
    let bits = (u64::BITS - value.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

/// Takes a number off the beginning of `bytes`; `None` if there is none.
pub(super) fn get_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        // No bit beyond the last is lost.
        if bits << shift >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_come_back() {
        let mut bytes = Vec::new();
        let numbers = [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::from(u32::MAX), u64::MAX];
        numbers.iter().for_each(|&number| put_varint(&mut bytes, number));
        assert_eq!(bytes.len(), numbers.map(varint_len).iter().sum());
        let mut rest = &bytes[..];
        assert!(numbers.iter().all(|&number| get_varint(&mut rest) == Some(number)));
        assert_eq!(get_varint(&mut rest), None);
    }

    #[test]
    fn numbers_that_are_cut_or_too_long_are_refused() {
        assert_eq!(get_varint(&mut &[0x80, 0x80][..]), None);
        assert_eq!(get_varint(&mut &[0xff; 11][..]), None);
        let mut too_long = [0xff; 10];
        too_long[9] = 2;
        assert_eq!(get_varint(&mut &too_long[..]), None);
    }
}
