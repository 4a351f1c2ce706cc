//! Arbitrary bytes as the first pages of a volume, most of them under checksums that are right.
#![no_main]

use extentdb_fuzz::{PAGE, exercise, seal};
use libfuzzer_sys::fuzz_target;

/// Pages of the volume; what the bytes do not reach is zeros.
const PAGES: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    if kind == 0 {
        return exercise(bytes);
    }
    let mut volume = vec![0; PAGES * PAGE];
    let len = bytes.len().min(volume.len());
    volume[..len].copy_from_slice(&bytes[..len]);
    volume[..len.next_multiple_of(PAGE)].chunks_exact_mut(PAGE).for_each(seal);
    exercise(&volume);
});
