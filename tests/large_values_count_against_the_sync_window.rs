//! What the weaker modes may lose is bounded by the bytes of the window, however large the values.

mod support;

use extentdb::{Durability, Options, SyncWindow};
use std::time::Duration;

#[test]
fn a_flush_comes_before_more_than_the_window_is_at_risk() {
    let dir = support::directory();
    let window = SyncWindow { bytes: 4 << 20, time: Duration::from_secs(3600) };
    let db = Options::new().sync_window(window).open(dir.path().join("volume")).expect("a volume");
    for mode in [Durability::Buffered, Durability::Written] {
        let weak = db.with_durability(mode);
        weak.put("first", vec![1; 1 << 20]).expect("a put");
        let before = db.metrics().barriers;
        for number in 0..16u8 {
            weak.put([number], vec![number; 1 << 20]).expect("a put");
        }
        let flushes = db.metrics().barriers - before;
        assert!(flushes >= 4, "{mode:?}: 16 MiB were acknowledged with {flushes} flushes");
    }
}
