//! Whatever is done to a store, and however its volume is laid out, it holds what a `BTreeMap`
//! would hold after the same operations.
//!
//! `EXTENTDB_SEED=n cargo test --test it_behaves_like_a_btree_map -- --exact name` repeats a run.

mod draw;
mod run;
mod scan;
#[path = "../support/mod.rs"]
mod support;

use extentdb::{DirectIo, Durability, IoUring, Options};
use run::{Profile, Run};
use support::{MODES, for_seeds};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn run(profile: &Profile, seeds: impl IntoIterator<Item = u64>) {
    for_seeds(seeds, |seed| Run::new(profile, seed).finish());
}

/// Every mode, and all of them at once.
fn run_modes(options: &Options, extent_bytes: u64, longest_value: usize, ops: usize) {
    let profile =
        Profile { options: options.clone(), extent_bytes, longest_value, ops, modes: &[] };
    run(&Profile { modes: &MODES, ..profile.clone() }, [1, 2, 3]);
    run(&Profile { modes: &[Durability::Buffered], ..profile.clone() }, [4]);
    run(&Profile { modes: &[Durability::Written], ..profile.clone() }, [5]);
    run(&Profile { modes: &[Durability::Synced], ..profile }, [6]);
}

#[test]
fn with_default_options() {
    run_modes(&Options::new(), 8 * MIB, 3 << 20, 400);
}

#[test]
fn through_the_page_cache() {
    run_modes(&Options::new().direct_io(DirectIo::Off), 8 * MIB, 3 << 20, 400);
}

#[test]
fn without_a_cache_nor_io_uring() {
    run_modes(&Options::new().cache_bytes(0).io_uring(IoUring::Off), 8 * MIB, 3 << 20, 400);
}

#[test]
fn with_the_smallest_extents() {
    let options = Options::new().extent_bytes(16 * KIB).max_bytes(192 * MIB);
    run_modes(&options, 16 * KIB, 600 << 10, 600);
}

#[test]
fn with_extents_of_64_kib() {
    let options = Options::new().extent_bytes(64 * KIB).max_bytes(96 * MIB);
    run_modes(&options, 64 * KIB, 3 << 20, 500);
}

#[test]
fn with_extents_of_256_kib() {
    let options = Options::new().extent_bytes(256 * KIB).max_bytes(96 * MIB);
    run_modes(&options.direct_io(DirectIo::Off), 256 * KIB, 3 << 20, 500);
}

#[test]
fn in_a_volume_of_fixed_size() {
    run_modes(&Options::new().volume_bytes(96 * MIB), MIB, 3 << 20, 400);
}

#[test]
fn in_a_small_volume_of_the_fewest_extents() {
    let options = Options::new().extent_bytes(MIB).max_bytes(16 * MIB);
    run_modes(&options, MIB, 200 << 10, 400);
}
