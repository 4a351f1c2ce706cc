//! Arbitrary bytes as a volume.
#![no_main]

use extentdb_fuzz::exercise;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| exercise(bytes));
