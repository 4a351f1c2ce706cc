//! Collections beside a footer that somebody else is writing.

use super::device::SimDevice;
use super::gate::Gate;
use super::odd::{Odd, Own};
use super::trace::Pages;
use super::workload::Shape;
use crate::db::Db;
use crate::format::ids::{PAGE_BYTES, PageNo};
use crate::sync::{Arc, Duration};
use std::io;

const SHAPE: Shape =
    Shape { extent_pages: 32, max_pages: 512, fixed: false, large_min: 6000, discards: false };
const EXTENT_BYTES: u64 = SHAPE.extent_pages * PAGE_BYTES as u64;
/// What takes longer does not come.
const PATIENCE: Duration = Duration::from_millis(200);

/// Holds writes of the last pages of extents, which are of their footers.
#[derive(Debug)]
struct Footers(Arc<Gate>);

impl Own for Footers {
    fn write(&self, page: PageNo) -> io::Result<()> {
        let last = SHAPE.extent_pages - 1;
        if page.0 % SHAPE.extent_pages == last { self.0.pass() } else { Ok(()) }
    }
}

/// What is asked for is all that is worth it, and the extent is, as soon as its footer is there.
#[test]
fn who_collects_all_waits_for_it() {
    let gate = Arc::new(Gate::default());
    let device = SimDevice::new(Pages::zeros(0));
    let engine = Odd { device, own: Footers(Arc::clone(&gate)) }.create(SHAPE);
    let db = Db::new(Arc::clone(&engine));
    db.put("lives", [1; 1000]).unwrap();
    for round in 0..32 {
        db.put("key", [round; 1000]).unwrap();
    }
    // No checkpoint keeps the extent that was left, and the one that is written to is not worth leaving.
    db.checkpoint().unwrap();
    db.checkpoint().unwrap();
    gate.close();
    std::thread::scope(|scope| {
        let footer = scope.spawn(|| engine.footer_step());
        gate.await_waiting(1);
        let collection = scope.spawn(|| engine.collect_garbage());
        std::thread::sleep(PATIENCE);
        gate.open(false);
        assert!(footer.join().unwrap().unwrap());
        collection.join().unwrap().unwrap();
    });
    let metrics = db.metrics();
    assert_eq!((metrics.log_bytes, metrics.value_bytes), (EXTENT_BYTES, EXTENT_BYTES), "{metrics}");
    assert_eq!(db.get("lives").unwrap().unwrap(), [1; 1000][..]);
}
