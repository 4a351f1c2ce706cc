//! Large values that are still being written when their records are logged (W5).

use super::device::SimDevice;
use super::gate::Gate;
use super::odd::{Odd, Own};
use super::trace::Pages;
use super::workload::Shape;
use crate::db::Db;
use crate::durability::Durability;
use crate::engine::Engine;
use crate::sync::{Arc, Duration};
use std::io;
use std::sync::mpsc;

const SHAPE: Shape =
    Shape { extent_pages: 32, max_pages: 512, fixed: false, large_min: 6000, discards: false };
/// What takes longer does not come.
const PATIENCE: Duration = Duration::from_millis(200);

impl Own for Arc<Gate> {
    fn wait(&self) -> io::Result<()> {
        self.pass()
    }
}

fn open() -> (Db, Arc<Gate>, SimDevice) {
    let (engine, gate, device) = open_as(SHAPE);
    (Db::new(engine), gate, device)
}

fn open_as(shape: Shape) -> (Arc<Engine>, Arc<Gate>, SimDevice) {
    let (device, gate) = (SimDevice::new(Pages::zeros(0)), Arc::new(Gate::default()));
    let engine = Odd { device: device.clone(), own: Arc::clone(&gate) }.create(shape);
    (engine, gate, device)
}

fn value(byte: u8) -> Vec<u8> {
    vec![byte; 20_000]
}

/// Puts `value(byte)` on a thread of its own.
fn start_put<'s>(
    scope: &'s std::thread::Scope<'s, '_>,
    db: &Db,
    byte: u8,
) -> std::thread::ScopedJoinHandle<'s, crate::Result<()>> {
    let db = db.clone();
    scope.spawn(move || db.put([byte], value(byte)))
}

#[test]
fn nobody_is_shown_a_value_that_is_still_being_written() {
    for weaker in [Durability::Buffered, Durability::Written] {
        let (db, gate, _) = open();
        gate.close();
        std::thread::scope(|scope| {
            let held = start_put(scope, &db, 1);
            gate.await_waiting(1);
            let (send, seen) = mpsc::channel();
            let view = db.with_durability(weaker);
            scope.spawn(move || {
                view.put("small", "value").unwrap();
                send.send(view.get([1]).map(|found| found.map(|value| value.into_vec()))).unwrap();
            });
            let early = seen.recv_timeout(PATIENCE);
            assert!(early.is_err(), "{weaker:?}: {early:?}");
            assert_eq!(db.get([1]).unwrap(), None);
            gate.open(false);
            held.join().unwrap().unwrap();
            assert_eq!(seen.recv().unwrap().unwrap(), Some(value(1)));
        });
        assert_eq!(db.get("small").unwrap().unwrap(), b"value"[..]);
    }
}

/// Its barrier would not cover the value, which those who wait take to be durable.
#[test]
fn a_batch_waits_for_all_its_values() {
    let (db, gate, device) = open();
    gate.close();
    std::thread::scope(|scope| {
        let first = start_put(scope, &db, 1);
        gate.await_waiting(1);
        // One of them leads the next batch, which waits for the first; the other only joins it.
        let [second, third] = [2, 3].map(|byte| start_put(scope, &db, byte));
        gate.await_waiting(2);
        std::thread::sleep(PATIENCE);
        let puts = [first, second, third];
        assert!(puts.iter().all(|put| !put.is_finished()));
        gate.open(false);
        puts.into_iter().for_each(|put| put.join().unwrap().unwrap());
    });
    let trace = device.trace();
    let durable = trace.moment(trace.events.len()).pending;
    assert!(durable.is_empty(), "all that was acknowledged is durable: {:?}", durable.keys());
}

/// E1p: as for any other write.
#[test]
fn a_value_that_cannot_be_written_fails_its_batch_and_poisons_the_store() {
    let (db, gate, _) = open();
    db.put("before", "value").unwrap();
    gate.close();
    std::thread::scope(|scope| {
        let first = start_put(scope, &db, 1);
        gate.await_waiting(1);
        let puts = [first, start_put(scope, &db, 2)];
        gate.open(true);
        puts.into_iter().for_each(|put| assert!(put.join().unwrap().is_err()));
    });
    assert!(matches!(db.put("after", "value"), Err(crate::Error::Poisoned { .. })));
    assert_eq!(db.get("before").unwrap().unwrap(), b"value"[..]);
    assert_eq!(db.get([1]).unwrap(), None);
}

/// G3: else another value could be taken for the one that it expects, which its record names by its place.
#[test]
fn what_a_swap_expects_keeps_its_place_until_it_is_decided() {
    let shape = Shape { extent_pages: 4, max_pages: 160, large_min: 2000, ..SHAPE };
    let (engine, gate, _) = open_as(shape);
    let db = Db::new(Arc::clone(&engine));
    let [expected, other] = [1, 2].map(|byte| vec![byte; 1500]);
    // So long that it is durable before its record is written.
    let new = vec![3; 80_000];
    let overwrite = |value: &[u8]| {
        db.put("key", value).unwrap();
        db.checkpoint().unwrap();
        engine.collector_step().unwrap();
        engine.locate(b"key").unwrap().unwrap()
    };
    // Until every place has been used.
    let mut places: Vec<_> = (0..60).map(|_| overwrite(&expected)).collect();
    let place = places.pop().unwrap();
    assert!(places.contains(&place), "places are used again");
    gate.close();
    std::thread::scope(|scope| {
        let swap = scope.spawn(|| db.compare_and_swap("key", Some(&expected), Some(&new)));
        gate.await_waiting(1);
        let comes_back = (0..60).any(|_| overwrite(&other) == place);
        gate.open(false);
        let mismatch = swap.join().unwrap().unwrap().unwrap_err();
        assert_eq!(mismatch.current.unwrap(), other[..]);
        assert!(!comes_back);
    });
    assert_eq!(db.get("key").unwrap().unwrap(), other[..]);
}
