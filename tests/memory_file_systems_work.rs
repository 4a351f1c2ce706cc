//! On tmpfs a store works with and without direct I/O, as far as the kernel has it there.

#![allow(clippy::unwrap_used)]

mod common;

use common::{assert_holds, fill, skip};
use extentdb::{DirectIo, Options};

#[test]
fn in_every_mode_of_direct_io() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return skip("there is no /dev/shm") };
    for (i, mode) in [DirectIo::Off, DirectIo::Preferred].into_iter().enumerate() {
        let path = dir.path().join(format!("{i}.vol"));
        let options = Options::new().direct_io(mode).max_bytes(64 << 20);
        let db = options.open(&path).unwrap();
        let mut pairs = fill(&db, 300, 3000);
        db.put("large", vec![3; 3 << 20]).unwrap();
        pairs.push((b"large".to_vec(), vec![3; 3 << 20]));
        println!("{mode:?}: {:?}", db.info().device.direct);
        assert_eq!(db.info().device.filesystem.as_deref(), Some("tmpfs"));
        assert_holds(&db, &pairs);
        db.close().unwrap();
        for mode in [DirectIo::Off, DirectIo::Preferred] {
            assert_holds(&options.clone().direct_io(mode).open(&path).unwrap(), &pairs);
        }
    }
}
