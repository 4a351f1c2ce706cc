//! A sound volume of which bytes were changed, under checksums that are right: each change is six
//! bytes, a page, a place in it and a value.
#![no_main]

use extentdb_fuzz::{PAGE, exercise, seal, sound_volume};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|changes: &[u8]| {
    let mut volume = sound_volume().to_vec();
    let pages = volume.len() / PAGE;
    for change in changes.chunks_exact(6).take(64) {
        let page = usize::from(u16::from_le_bytes([change[0], change[1]])) % pages;
        let at = usize::from(u16::from_le_bytes([change[2], change[3]])) % PAGE;
        let page = &mut volume[page * PAGE..][..PAGE];
        page[at] = change[4];
        if change[5] != 0 {
            seal(page);
        }
    }
    exercise(&volume);
});
