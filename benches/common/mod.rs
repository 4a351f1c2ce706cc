//! What the benchmarks share: short runs, stores and raw files that are gone afterwards.

#![allow(dead_code, reason = "every benchmark uses its own part")]
#![allow(clippy::unwrap_used, reason = "benchmarks fail by panicking")]

use criterion::Criterion;
use extentdb::{AlignedBuf, Db, DirectState, Options};
use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const PAGE: usize = 4096;
pub(crate) const VALUE: usize = 1024;
/// The most that a store takes: as much as is put again and again.
const MAX_BYTES: u64 = 1 << 30;

/// Runs that take a second or two each.
pub(crate) fn short() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
        .configure_from_args()
}

/// A store on the disk that the build is on. It goes away with its directory.
pub(crate) fn store(options: Options) -> (TempDir, Db) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let db = options.max_bytes(MAX_BYTES).open(dir.path().join("data.vol")).unwrap();
    (dir, db)
}

/// A store with `keys` values.
pub(crate) fn loaded(options: Options, keys: u64) -> (TempDir, Db) {
    let (dir, db) = store(options);
    let mut random = Random(1);
    for first in (0..keys).step_by(100) {
        let mut batch = extentdb::WriteBatch::new();
        for number in first..keys.min(first + 100) {
            batch.put(key(number), random.bytes(VALUE));
        }
        db.write(&batch).unwrap();
    }
    (dir, db)
}

/// Key number `number`: 16 bytes, in no order.
pub(crate) fn key(number: u64) -> [u8; 16] {
    let (mut high, mut low) = (Random(number ^ 0x5555), Random(number));
    (u128::from(high.next()) << 64 | u128::from(low.next())).to_be_bytes()
}

/// A file without a store, all of it written before, which bypasses the page cache where the store
/// does.
pub(crate) struct Raw {
    file: File,
    buf: AlignedBuf,
    places: u64,
    next: u64,
    random: Random,
}

impl Raw {
    const BYTES: u64 = 64 << 20;

    /// Transfers of `bytes` bytes on the disk of `db`, in `dir`.
    pub(crate) fn new(dir: &TempDir, db: &Db, bytes: usize) -> Self {
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        if db.info().device.direct == DirectState::Active {
            options.custom_flags(libc::O_DIRECT);
        }
        let file = options.open(dir.path().join("raw")).unwrap();
        let mut buf = AlignedBuf::new(1 << 20).unwrap();
        let mut random = Random(2);
        buf.copy_from_slice(&random.bytes(1 << 20));
        for offset in (0..Self::BYTES).step_by(buf.len()) {
            file.write_all_at(&buf, offset).unwrap();
        }
        file.sync_all().unwrap();
        let buf = AlignedBuf::from_slice(&buf[..bytes]).unwrap();
        Self { file, buf, places: Self::BYTES / bytes as u64, next: 0, random }
    }

    /// A write, round the file in order, and a flush.
    pub(crate) fn write(&mut self) {
        let place = self.next % self.places;
        self.next += 1;
        self.buf[..8].copy_from_slice(&self.next.to_le_bytes());
        self.file.write_all_at(&self.buf, place * self.buf.len() as u64).unwrap();
        self.file.sync_data().unwrap();
    }

    /// A read of a random place.
    pub(crate) fn read(&mut self) {
        let place = self.random.next() % self.places;
        let offset = place * self.buf.len() as u64;
        self.file.read_exact_at(&mut self.buf, offset).unwrap();
    }
}

/// A splitmix64 generator.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes());
        words.take(len).collect()
    }
}
