//! Little-endian fields at fixed offsets.

pub(super) fn put_u16(page: &mut [u8], at: usize, value: u16) {
    page[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u32(page: &mut [u8], at: usize, value: u32) {
    page[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(page: &mut [u8], at: usize, value: u64) {
    page[at..at + 8].copy_from_slice(&value.to_le_bytes());
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
