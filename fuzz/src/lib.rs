//! What the targets share.

use extentdb::{DirectIo, Options};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

pub const PAGE: usize = 4096;

fn options() -> Options {
    Options::new().extent_bytes(16 << 10).max_bytes(1 << 20).direct_io(DirectIo::Off)
}

/// Gives a page the checksum that it should have.
pub fn seal(page: &mut [u8]) {
    let checksum = extentdb::fuzzing::checksum(&page[4..]);
    page[..4].copy_from_slice(&checksum.to_le_bytes());
}

fn in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.exists() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
        .expect("a temporary directory")
}

/// A small volume with a checkpoint, large values, and what came after.
pub fn sound_volume() -> &'static [u8] {
    static VOLUME: OnceLock<Vec<u8>> = OnceLock::new();
    VOLUME.get_or_init(|| {
        let dir = in_memory();
        let path = dir.path().join("data.vol");
        let db = options().open(&path).expect("a new volume");
        for i in 0..40_u8 {
            db.put([i % 7], vec![i; 200 * usize::from(i)]).expect("a put");
            if i % 15 == 14 {
                db.checkpoint().expect("a checkpoint");
            }
        }
        db.delete([3]).expect("a delete");
        db.close().expect("a close");
        fs::read(&path).expect("the volume's bytes")
    })
}

/// Opens the bytes as a volume and does all that can be done to it; errors are answers.
pub fn exercise(bytes: &[u8]) {
    let dir = in_memory();
    let path = dir.path().join("data.vol");
    fs::write(&path, bytes).expect("a file");
    let Ok(db) = options().create(false).open(&path) else { return };
    for entry in db.iter() {
        drop(entry.and_then(|entry| entry.value()));
    }
    drop(db.check());
    for i in 0..3_u8 {
        drop(db.get([i]));
        drop(db.put([i], vec![i; 2000]));
    }
    drop(db.checkpoint());
    drop(db.close());
}
