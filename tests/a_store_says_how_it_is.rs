//! Health, metrics, info and the open report say what is; handles go wherever threads do.

mod support;

use extentdb::{
    Db, DirectIo, Durability, Entry, Error, Iter, Keys, Options, Snapshot, Stage, Value,
    ValueReader, WriteBatch,
};
use support::{bytes, directory, fresh};

/// Checked when this compiles.
const fn is_free_to_go<T: Send + Sync + 'static>() {}
const _: () = {
    is_free_to_go::<Db>();
    is_free_to_go::<Snapshot>();
    is_free_to_go::<Iter>();
    is_free_to_go::<Keys>();
    is_free_to_go::<Entry>();
    is_free_to_go::<Value>();
    is_free_to_go::<ValueReader>();
    is_free_to_go::<WriteBatch>();
    is_free_to_go::<Options>();
    is_free_to_go::<Error>();
};

#[test]
fn in_health() {
    let (_dir, db) = fresh();
    assert!(db.health().is_healthy());
    db.put("", "v").expect_err("an empty key");
    assert!(db.health().is_healthy(), "what the caller got wrong does no harm");
}

#[test]
fn in_counters_of_operations() {
    let (_dir, db) = fresh();
    for i in 0..30u8 {
        db.put([i], "value").expect("a put");
    }
    db.delete([0]).expect("a delete");
    for i in 0..40u8 {
        db.get([i]).expect("a get");
    }
    let metrics = db.metrics();
    assert_eq!((metrics.puts, metrics.deletes), (30, 1));
    assert_eq!((metrics.gets, metrics.misses), (40, 11));
    assert_eq!((metrics.keys, metrics.batches), (29, 0));
    assert!(metrics.records >= 31 && metrics.writes >= 31 && metrics.barriers >= 31);
    assert!(metrics.written.log >= 31 * 4096);
    assert!(metrics.latency(Stage::PutWrite).is_some_and(|latency| latency.samples >= 31));
    assert!(metrics.to_string().contains("puts"));
}

/// The stages of a put are there whoever waits for it.
#[test]
fn in_the_latencies_of_puts_that_nobody_waits_for() {
    const PUTS: u64 = 16;
    type Operation = fn(&Db, u64) -> extentdb::Result<()>;
    let kinds: [(&str, Operation); 3] = [
        ("puts", |db, i| db.put_async(i.to_be_bytes(), "value").wait()),
        ("deletes", |db, i| db.delete_async(i.to_be_bytes()).wait()),
        ("batches", |db, i| {
            let mut batch = WriteBatch::new();
            batch.put(i.to_be_bytes(), "value");
            db.write_async(&batch).wait()
        }),
    ];
    for (kind, operation) in kinds {
        for mode in support::MODES {
            let dir = directory();
            let path = dir.path().join("data.vol");
            let db = Db::open(&path).expect("a new volume");
            for i in 0..PUTS {
                db.put(i.to_be_bytes(), "value").expect("a put");
            }
            db.close().expect("a close");
            // The first operations after an open are all timed.
            let db = Db::open(&path).expect("the volume").with_durability(mode);
            let begun = std::time::Instant::now();
            for i in 0..PUTS {
                operation(&db, i).expect("an operation");
            }
            let took = begun.elapsed().as_nanos() as u64;
            db.sync().expect("a sync");
            let metrics = db.metrics();
            for stage in [Stage::Put, Stage::PutQueue] {
                let latency = metrics.latency(stage).expect("it was timed");
                assert!(
                    (PUTS..=PUTS + 2).contains(&latency.samples),
                    "{kind}, {mode:?}: {metrics}"
                );
                assert!(latency.max_ns <= took + took / 500, "{kind}, {mode:?}: {metrics}");
            }
            let [whole, queue] = [Stage::Put, Stage::PutQueue].map(|stage| metrics.latency(stage));
            let mean = |latency: Option<&extentdb::Latency>| latency.expect("timed").mean_ns;
            assert!(mean(whole) >= mean(queue), "{kind}, {mode:?}: {metrics}");
            for stage in [Stage::PutWrite, Stage::PutFlush, Stage::PutApply] {
                assert!(metrics.latency(stage).is_some(), "{kind}, {mode:?}, {stage}: {metrics}");
            }
            if mode == Durability::Synced {
                let flush = mean(metrics.latency(Stage::PutFlush));
                assert!(mean(whole) >= flush / 2, "{kind}: it is until it is durable: {metrics}");
            }
        }
    }
}

/// A put that finds no room is timed from the call, not from where there was room.
#[test]
fn in_the_latencies_of_puts_that_queue_up() {
    let dir = directory();
    let window = extentdb::SyncWindow { bytes: 8 << 10, time: std::time::Duration::from_secs(60) };
    let options = Options::new().sync_window(window);
    let db = options.open(dir.path().join("data.vol")).expect("a new volume");
    let db = db.with_durability(Durability::Buffered);
    let puts: Vec<_> = (0..16_u8).map(|i| db.put_async([i], [i; 3000])).collect();
    puts.into_iter().for_each(|put| put.wait().expect("a put"));
    let metrics = db.metrics();
    let queue = metrics.latency(Stage::PutQueue).expect("it was timed");
    let flush = metrics.latency(Stage::PutFlush).expect("the window was full");
    assert!(queue.samples >= 16, "{metrics}");
    assert!(queue.max_ns >= flush.p50_ns, "the last waited for flushes: {metrics}");
}

/// `Metrics::puts` and `Metrics::deletes` say "alone or in write batches".
#[test]
fn in_counters_of_what_batches_hold() {
    let (_dir, db) = fresh();
    let mut batch = WriteBatch::new();
    for i in 0..10u8 {
        batch.put([i], "value");
    }
    batch.delete("k");
    db.write(&batch).expect("a batch");
    let metrics = db.metrics();
    assert_eq!((metrics.batches, metrics.records), (1, 11));
    assert_eq!((metrics.puts, metrics.deletes), (10, 1), "in a write batch");
}

#[test]
fn in_the_bytes_of_its_records() {
    let (_dir, db) = fresh();
    for i in 0..10u8 {
        db.put([i], bytes(1, 3000)).expect("a put");
    }
    db.put("large", bytes(1, 1 << 20)).expect("a put");
    let metrics = db.metrics();
    let least = 10 * 3001 + (1 << 20) + 5;
    assert!((least..least + 2000).contains(&metrics.record_bytes), "{}", metrics.record_bytes);
    assert!(metrics.live_bytes >= least, "{}", metrics.live_bytes);
    let amplification = metrics.write_amplification.expect("there are records");
    assert!((1.0..1.2).contains(&amplification), "{amplification}");
}

#[test]
fn in_the_space_it_takes() {
    let dir = directory();
    let options = Options::new().extent_bytes(64 << 10).volume_bytes(16 << 20);
    let db = options.open(dir.path().join("data.vol")).expect("a new volume");
    let before = db.metrics();
    assert_eq!((before.volume_bytes, before.max_bytes), (16 << 20, 16 << 20));
    assert!(before.log_bytes > 0 && before.large_bytes == 0);
    db.put("k", bytes(1, 3 << 20)).expect("a put");
    let after = db.metrics();
    assert!((3 << 20..(3 << 20) + (128 << 10)).contains(&after.large_bytes), "{after}");
    assert!(after.free_bytes <= before.free_bytes - (3 << 20), "{after}");
}

#[test]
fn in_what_it_was_created_with() {
    let dir = directory();
    let path = dir.path().join("data.vol");
    let options = Options::new().extent_bytes(64 << 10).volume_bytes(8 << 20).pipeline_depth(3);
    let db = options.direct_io(DirectIo::Off).large_min(10_000).open(&path).expect("a volume");
    assert!(db.open_report().created);
    let info = db.info();
    assert_eq!((info.extent_bytes, info.volume_bytes, info.fixed), (64 << 10, 8 << 20, true));
    assert_eq!((info.large_min, info.pipeline_depth, info.max_bytes), (10_000, 3, 8 << 20));
    assert_eq!(std::fs::metadata(&path).expect("a file").len(), 8 << 20);
    db.put("k", "v").expect("a put");
    db.close().expect("a close");
    // What was settled at creation stays, whatever the options say.
    let options = Options::new().extent_bytes(1 << 20).volume_bytes(64 << 20);
    let db = options.open(&path).expect("the same volume");
    let (again, report) = (db.info(), db.open_report());
    assert_eq!((again.extent_bytes, again.volume_bytes, again.fixed), (64 << 10, 8 << 20, true));
    assert_eq!(again.store_id, info.store_id);
    assert_eq!((report.created, report.keys), (false, 1));
    assert!(report.recovered_batch >= 1 && report.dropped_tail.is_none(), "{report:?}");
}

#[test]
fn in_views_of_its_handle() {
    let (_dir, db) = fresh();
    assert_eq!(db.durability(), Durability::Synced);
    let fast = db.with_durability(Durability::Buffered);
    assert_eq!((fast.durability(), db.durability()), (Durability::Buffered, Durability::Synced));
    assert_eq!(fast.clone().durability(), Durability::Buffered);
    fast.put("k", "v").expect("a put");
    assert_eq!(db.len(), 1);
}

#[test]
fn in_an_error_when_a_reader_ends_early() {
    let (_dir, db) = fresh();
    db.put("k", "old").expect("a put");
    for len in [10, 5000, 100_000, 5_000_000] {
        let short = bytes(1, len - 1);
        let refused = db.put_reader("k", len as u64, &short[..]);
        assert!(matches!(refused, Err(Error::Source { .. })), "{refused:?}");
    }
    let huge = db.put_reader("k", u64::from(u32::MAX) + 1, std::io::repeat(0));
    assert!(matches!(huge, Err(Error::ValueTooLong { len: 0x1_0000_0000 })), "{huge:?}");
    assert_eq!(db.get("k").expect("a get").as_deref(), Some(&b"old"[..]));
    assert!(db.health().is_healthy());
    db.put("k", "new").expect("a put");
    support::assert_clean(&db);
}
