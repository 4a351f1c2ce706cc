//! Every decoder, on the bytes as they are and under a checksum that is right.
#![no_main]

use extentdb::fuzzing::decode;
use extentdb_fuzz::{PAGE, seal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    decode(bytes);
    let mut page = vec![0; bytes.len().max(1).next_multiple_of(PAGE)];
    page[..bytes.len()].copy_from_slice(bytes);
    seal(&mut page);
    decode(&page);
});
