//! Canonical workloads.

use super::workload::{Op, Shape};
use crate::durability::Durability::{Buffered, Synced, Written};

pub(super) const TINY: Shape =
    Shape { extent_pages: 4, max_pages: 256, fixed: false, large_min: 2000, discards: false };
pub(super) const SMALL: Shape =
    Shape { extent_pages: 16, max_pages: 512, fixed: false, large_min: 3000, discards: false };
/// Full with eight values of a page.
pub(super) const FULL: Shape = Shape { max_pages: 64, ..TINY };
pub(super) const FIXED: Shape =
    Shape { extent_pages: 8, max_pages: 256, fixed: true, large_min: 9000, discards: false };

/// Grows to several times its first size.
pub(super) const SHRINKING: Shape = Shape { max_pages: 400, ..TINY };

pub(super) fn put(key: u8, len: usize) -> Op {
    Op::Put(key, len, Synced)
}

fn task(op: Op) -> Op {
    Op::Task(Box::new(op))
}

fn dropped(op: Op) -> Op {
    Op::DroppedTask(Box::new(op))
}

/// In each of two extents a value of 12 pages and one of 3.
fn two_full_large_extents() -> impl Iterator<Item = Op> {
    [put(1, 45_000), put(2, 5000), put(3, 45_000), put(4, 5000)].into_iter()
}

/// Names the one workload to run.
pub(super) const VARIABLE: &str = "EXTENTDB_WORKLOAD";

/// A name, the shape of the volume, and what is done to it.
pub(super) type Workload = (&'static str, Shape, Vec<Op>);

/// Canonical workloads, or the one that the environment names: each drives one mechanism through a
/// crash at every point.
pub(super) fn canonical() -> Vec<Workload> {
    let mut workloads = all();
    if let Ok(name) = std::env::var(VARIABLE) {
        workloads.retain(|workload| workload.0 == name);
        assert!(!workloads.is_empty(), "{VARIABLE}={name}: there is no such workload");
    }
    workloads
}

/// Of all of them.
pub(super) fn names() -> Vec<&'static str> {
    all().iter().map(|workload| workload.0).collect()
}

/// The operations of one of them.
pub(super) fn ops_of(name: &str) -> (Shape, Vec<Op>) {
    let found = all().into_iter().find(|workload| workload.0 == name);
    let (_, shape, ops) = found.expect("there is such a workload");
    (shape, ops)
}

fn all() -> Vec<Workload> {
    let delete = |key| Op::Delete(key, Synced);
    let some = |pairs: &[(u8, usize)]| pairs.iter().map(|&(k, len)| (k, Some(len))).collect();
    vec![
        ("creation", TINY, vec![]),
        ("lone puts", TINY, vec![put(1, 100), put(2, 0), put(1, 700)]),
        ("deletes", TINY, vec![put(1, 10), delete(1), put(1, 20), delete(1), delete(2)]),
        ("rotation", TINY, (0..9).map(|i| put(i, 1500)).collect()),
        ("many pages a batch", SMALL, (0..5).map(|i| put(i, 2900)).collect()),
        (
            "batches of many pages",
            SMALL,
            (0..4)
                .map(|i| Op::Batch(some(&[(1, 2800 + i), (2, 2900), (3, 2900)]), Synced))
                .collect(),
        ),
        ("fixed volume", FIXED, (0..6).map(|i| put(i, 2500)).collect()),
        ("large values", TINY, vec![put(1, 9000), put(2, 20_000), put(1, 12_000), delete(2)]),
        ("large overwrites", SMALL, vec![put(1, 70_000), put(1, 70_001), put(2, 4096)]),
        (
            "batches",
            SMALL,
            vec![
                Op::Batch(some(&[(1, 50), (2, 60), (3, 9000)]), Synced),
                Op::Batch(vec![(1, None), (2, Some(3)), (2, None), (4, Some(10))], Synced),
            ],
        ),
        (
            "conditions",
            TINY,
            vec![
                Op::PutIfAbsent(1, 30),
                Op::PutIfAbsent(1, 40),
                Op::Swap(1, 50),
                Op::Swap(1, 4000),
                delete(1),
                Op::PutIfAbsent(1, 60),
            ],
        ),
        ("evidence", TINY, vec![put(1, 10), Op::Step, put(2, 1800), Op::Step, Op::Step, put(3, 9)]),
        (
            "footers",
            TINY,
            (0..12).map(|i| if i % 3 == 2 { Op::Step } else { put(i, 1600) }).collect(),
        ),
        (
            "written",
            SMALL,
            vec![
                Op::Put(1, 10, Written),
                Op::Put(2, 2000, Written),
                Op::Delete(1, Written),
                Op::Sync,
                Op::Put(3, 9000, Written),
            ],
        ),
        (
            "buffered",
            SMALL,
            vec![
                Op::Put(1, 10, Buffered),
                Op::Put(2, 2000, Buffered),
                put(3, 5),
                Op::Put(1, 12_000, Buffered),
                Op::Delete(2, Buffered),
                Op::Step,
            ],
        ),
        (
            "mixed modes",
            SMALL,
            vec![
                Op::Put(1, 10, Buffered),
                Op::Put(2, 10, Written),
                put(3, 10),
                Op::Batch(some(&[(4, 2500), (5, 2500)]), Buffered),
                Op::PutIfAbsent(6, 10),
                Op::Sync,
            ],
        ),
        (
            "tasks",
            SMALL,
            vec![
                task(put(1, 100)),
                task(Op::Batch(some(&[(2, 2500), (3, 2500)]), Synced)),
                dropped(put(4, 900)),
                task(put(1, 9000)),
                dropped(delete(4)),
                dropped(put(5, 8000)),
                task(Op::Batch(vec![(2, None), (6, Some(40))], Synced)),
            ],
        ),
        ("tasks that rotate the log", TINY, (0..9).map(|i| task(put(i % 4, 1500))).collect()),
        (
            "tasks of weaker modes",
            SMALL,
            (0..12)
                .map(|i| task(Op::Put(i % 5, 3000, [Buffered, Written][usize::from(i) % 2])))
                .chain([dropped(Op::Delete(1, Written)), task(put(7, 10))])
                .collect(),
        ),
        (
            "checkpoints",
            TINY,
            vec![put(1, 300), delete(2), Op::Checkpoint, put(2, 500), Op::Checkpoint, put(1, 20)],
        ),
        (
            "three checkpoints and rotation",
            TINY,
            vec![
                put(1, 1500),
                put(2, 1600),
                Op::Checkpoint,
                put(3, 1700),
                put(1, 1800),
                Op::Checkpoint,
                delete(2),
                put(4, 1900),
                Op::Checkpoint,
                put(5, 5),
            ],
        ),
        (
            "slices between commits",
            SMALL,
            vec![
                put(1, 30),
                put(2, 9000),
                Op::Slice,
                put(3, 40),
                Op::Slice,
                Op::Batch(vec![(1, None), (4, Some(9))], Synced),
                Op::Slice,
                Op::PutIfAbsent(1, 50),
                put(2, 9500),
                Op::Slice,
                delete(3),
                Op::Slice,
                Op::Swap(4, 60),
            ],
        ),
        (
            "slices of weaker modes",
            SMALL,
            vec![
                Op::Put(1, 10, Buffered),
                Op::Slice,
                Op::Slice,
                Op::Put(2, 10, Buffered),
                Op::Slice,
                Op::Put(3, 2000, Written),
                Op::Slice,
                Op::Delete(1, Buffered),
                Op::Slice,
                Op::Slice,
                Op::Put(1, 11, Buffered),
                Op::Slice,
                Op::Slice,
                Op::Put(2, 11, Buffered),
                Op::Slice,
                Op::Put(3, 12, Buffered),
                Op::Slice,
                Op::Slice,
                Op::Slice,
                Op::Put(2, 12, Buffered),
                Op::Slice,
                Op::Slice,
                Op::Put(1, 13, Buffered),
                Op::Slice,
            ],
        ),
        (
            "extents of images are used again",
            SMALL,
            vec![
                put(1, 10),
                Op::Checkpoint,
                put(2, 10),
                Op::Checkpoint,
                put(3, 10),
                Op::Checkpoint,
                put(4, 4000),
                put(5, 40_000),
            ],
        ),
        (
            "an image makes room for another",
            Shape { max_pages: 128, large_min: 2000, ..FIXED },
            (0..4)
                .map(|i| put(i, 24_000))
                .chain([Op::Checkpoint, put(1, 9), Op::Checkpoint, put(2, 9), Op::Checkpoint])
                .collect(),
        ),
        (
            "pages of large values are used again",
            TINY,
            vec![
                put(8, 9000),
                put(9, 9000),
                Op::Checkpoint,
                delete(8),
                delete(9),
                Op::Reopen,
                put(1, 9000),
                put(2, 9000),
                put(3, 9000),
                Op::Reopen,
                put(2, 10),
            ],
        ),
        (
            "extents that die are used again",
            TINY,
            vec![
                put(1, 1500),
                put(2, 1500),
                put(1, 1600),
                put(2, 1600),
                put(1, 1700),
                Op::Checkpoint,
                put(2, 1700),
                Op::Checkpoint,
                Op::Reopen,
                put(3, 1800),
                put(1, 1800),
                Op::Kill,
                put(2, 1900),
                Op::Discard(3),
                Op::Checkpoint,
                Op::Kill,
                put(3, 50),
            ],
        ),
        (
            "live records move",
            TINY,
            vec![
                put(1, 1500),
                put(2, 1500),
                put(3, 100),
                put(1, 1600),
                put(4, 1500),
                Op::Checkpoint,
                delete(2),
                Op::Checkpoint,
                Op::Collect,
                put(3, 120),
                put(5, 1700),
                Op::Collect,
                Op::Kill,
                put(1, 10),
            ],
        ),
        (
            "collection before the log is durable",
            TINY,
            vec![
                put(1, 1500),
                put(2, 1500),
                put(3, 1400),
                Op::Checkpoint,
                put(2, 10),
                Op::Checkpoint,
                Op::Delete(1, Buffered),
                Op::Collect,
                Op::Put(3, 1300, Buffered),
                Op::CollectStep,
                put(4, 1500),
            ],
        ),
        (
            "extents are used again at once",
            Shape { max_pages: 96, ..TINY },
            (0..7)
                .flat_map(|i| [put(1, 1500 + i), put(2, 1400), Op::Checkpoint, Op::CollectStep])
                .chain([put(3, 9000), delete(1), Op::Collect, put(4, 9000), delete(3)])
                .chain([Op::Collect, put(5, 9100), Op::Reopen, put(2, 30)])
                .collect(),
        ),
        (
            "a snapshot keeps what it shows",
            TINY,
            vec![
                put(1, 1500),
                put(2, 9000),
                put(3, 1500),
                Op::Hold,
                put(1, 1600),
                put(2, 9100),
                delete(3),
                Op::Checkpoint,
                put(4, 1500),
                Op::Checkpoint,
                Op::Collect,
                put(5, 9000),
                put(6, 1500),
                Op::Release,
                Op::Collect,
                put(7, 9000),
                put(8, 1500),
            ],
        ),
        (
            "large extents are emptied",
            SMALL,
            two_full_large_extents()
                .chain([delete(1), delete(3), Op::Collect, put(5, 25_000), Op::Kill, delete(4)])
                .chain([Op::Checkpoint, Op::Collect, put(6, 5000)])
                .collect(),
        ),
        (
            "a put overtakes what moves it",
            SMALL,
            two_full_large_extents()
                .chain([delete(1), delete(3)])
                .chain([Op::CollectAround(Box::new(put(2, 5001))), Op::Collect])
                .chain([Op::Kill, put(6, 5000)])
                .collect(),
        ),
        (
            "a delete overtakes what moves it",
            SMALL,
            two_full_large_extents()
                .chain([delete(1), delete(3)])
                .chain([Op::CollectAround(Box::new(Op::Delete(2, Buffered)))])
                .chain([put(2, 5000), Op::Kill, put(6, 5000)])
                .collect(),
        ),
        (
            "a snapshot is held while large values move",
            SMALL,
            two_full_large_extents()
                .chain([Op::Hold, delete(1), delete(3), Op::Collect, put(5, 5000)])
                .chain([Op::Release, Op::Collect, put(6, 5000), Op::Kill, put(2, 9)])
                .collect(),
        ),
        (
            "a full volume is collected",
            Shape { max_pages: 64, ..TINY },
            (0..26)
                .map(|i| put(i % 3, 1500 + usize::from(i)))
                .chain([delete(1), put(2, 9)])
                .collect(),
        ),
        (
            "the sync window",
            SMALL,
            (0..9)
                .map(|i| Op::Put(i, 2900, if i == 4 { Written } else { Buffered }))
                .chain([Op::Put(9, 30_000, Buffered), Op::Put(1, 10, Buffered)])
                .collect(),
        ),
        (
            "footers wait for their batches",
            TINY,
            (0..4)
                .flat_map(|i| {
                    let weak = |k| Op::Put(k, 1400, Written);
                    [put(i, 1500), weak(i + 4), weak(i + 8), Op::Collect]
                })
                .collect(),
        ),
        (
            "rotation in a weaker mode",
            Shape { max_pages: 96, ..TINY },
            (0..10)
                .flat_map(|_| {
                    let weak = |k| Op::Put(k, 1400, Written);
                    [weak(1), weak(2), weak(1), weak(2), Op::Checkpoint, Op::CollectStep]
                })
                .collect(),
        ),
        (
            "long batches in extents that are used again",
            Shape { max_pages: 256, ..SMALL },
            (0..30)
                .flat_map(|i| {
                    let pairs = some(&[(1, 2800), (2, 2700), (3, 2900)]);
                    let then = [Op::CollectStep, Op::Step, Op::CollectStep, Op::Checkpoint];
                    [Op::Batch(pairs, Synced), then[i % 4].clone()]
                })
                .chain([Op::Kill, put(1, 9)])
                .collect(),
        ),
        (
            "an open from within an extent",
            SMALL,
            [put(1, 100), Op::Checkpoint, put(2, 100), put(1, 110), Op::Checkpoint, put(3, 90)]
                .into_iter()
                .chain([Op::Kill])
                .chain((0..14).map(|i| put(4 + i % 3, 1000)))
                .chain([Op::Step, put(1, 9)])
                .collect(),
        ),
        (
            "a condition that was overtaken",
            TINY,
            vec![
                put(1, 30),
                put(2, 40),
                Op::Slice,
                Op::Overtaken(1, 50),
                Op::Discard(1),
                Op::Overtaken(2, 60),
                Op::Slice,
                Op::Slice,
                Op::Slice,
                Op::Slice,
                Op::Overtaken(2, 70),
                Op::Kill,
                put(3, 10),
            ],
        ),
        (
            "an image under way",
            TINY,
            vec![
                put(1, 100),
                put(2, 100),
                Op::Checkpoint,
                put(3, 100),
                Op::Checkpoint,
                put(1, 110),
                Op::Checkpoint,
                put(2, 110),
                Op::Slice,
                Op::Slice,
                Op::Slice,
                Op::Slice,
            ],
        ),
        (
            "the log of the older checkpoint is kept",
            // So much is live that nothing else is collected.
            Shape { max_pages: 400, ..TINY },
            [put(9, 200_000), put(1, 1500), Op::Checkpoint]
                .into_iter()
                .chain((0..3).flat_map(|_| [put(1, 1500), put(2, 1500)]))
                .chain([Op::Checkpoint, Op::CollectStep])
                .chain((0..5).flat_map(|_| [put(1, 1500), put(2, 1500), Op::CollectStep]))
                .collect(),
        ),
        (
            "the older image is kept",
            TINY,
            vec![
                put(1, 100),
                Op::Checkpoint,
                put(2, 100),
                Op::Checkpoint,
                Op::Kill,
                put(3, 20_000),
                put(4, 20_000),
                put(5, 20_000),
            ],
        ),
        (
            "space of deletes that are not durable",
            TINY,
            vec![
                put(1, 9000),
                put(2, 10),
                Op::Delete(1, Buffered),
                Op::CollectStep,
                Op::Put(3, 9000, Buffered),
                Op::CollectStep,
                Op::Put(4, 9000, Buffered),
                put(5, 5),
            ],
        ),
        (
            "the same record in the same place",
            Shape { max_pages: 80, ..TINY },
            (0..20)
                .flat_map(|_| [put(1, 1500), Op::Checkpoint, Op::CollectStep])
                .chain([put(2, 10), Op::Checkpoint])
                .collect(),
        ),
        (
            "large values in the same place",
            Shape { max_pages: 80, ..TINY },
            (0..4)
                .flat_map(|_| [put(1, 9000), put(2, 9000), delete(1), Op::CollectStep])
                .chain([Op::Collect, put(1, 9000)])
                .collect(),
        ),
        (
            "deletes where there is no room",
            FULL,
            (0..8)
                .map(|i| put(i, 1500))
                .chain([Op::Again(3), delete(0), Op::Again(4), Op::Discard(1), Op::Again(5)])
                .chain([Op::Batch(vec![(2, None), (3, None)], Synced), Op::Again(6), put(11, 1400)])
                .chain([Op::Delete(4, Buffered), Op::Again(7), delete(5), Op::Reopen, delete(6)])
                .chain([put(12, 3000), Op::Again(8), delete(7), put(13, 900)])
                .collect(),
        ),
        (
            "opened where there is no room",
            FULL,
            (0..8)
                .map(|i| put(i, 1500))
                .chain((0..11).map(|_| Op::Kill))
                .chain([delete(0), Op::Again(1), Op::Kill, delete(1), put(9, 1500)])
                .collect(),
        ),
        (
            "the end of the file is given back",
            SHRINKING,
            (0..5)
                .map(|i| put(i, 60_000))
                .chain([put(5, 900)])
                .chain((0..5).map(delete))
                .chain([Op::Collect, put(1, 50_000), put(2, 60_000), put(3, 70_000), Op::Kill])
                .chain([delete(1), put(6, 1500), delete(2), delete(3), put(7, 1500)])
                .chain([Op::Checkpoint, put(6, 1600), Op::Checkpoint, Op::CollectStep])
                .chain([put(8, 1500), put(9, 60_000), delete(6)])
                .collect(),
        ),
        (
            "the end of the file goes by itself",
            SHRINKING,
            (0..5)
                .map(|i| put(i, 60_000))
                .chain((0..5).map(delete))
                .chain([put(5, 900), Op::CollectStep, put(6, 1500), Op::CollectStep])
                .chain([Op::CollectStep, Op::Checkpoint, put(6, 900), Op::Checkpoint])
                .chain([put(6, 901), Op::CollectStep, put(7, 1500), put(8, 9000)])
                .collect(),
        ),
        (
            "free extents are discarded",
            Shape { discards: true, fixed: true, max_pages: 160, ..TINY },
            (0..5)
                .map(|i| put(i, 30_000))
                .chain((0..12).map(|i| put(5 + i % 2, 1500)))
                .chain((0..5).map(delete))
                .chain([Op::Checkpoint, put(6, 1500), Op::Checkpoint, Op::Collect])
                .chain([put(1, 30_000), put(2, 1500), Op::Kill, put(3, 60_000), delete(3)])
                .chain((0..20).map(|i| put(7 + i % 2, 1500)))
                .chain([Op::Checkpoint, Op::CollectStep, put(4, 900), Op::CollectStep])
                .chain([Op::Checkpoint, put(4, 901), Op::CollectStep, Op::CollectStep, Op::Kill])
                .chain((0..8).map(|i| put(9 + i % 2, 1500)))
                .collect(),
        ),
        (
            "discards wait for what is durable",
            Shape { discards: true, ..TINY },
            vec![
                put(1, 9000),
                put(2, 10),
                Op::Delete(1, Buffered),
                Op::CollectStep,
                Op::CollectStep,
                Op::Put(3, 9000, Buffered),
                Op::CollectStep,
                put(5, 5),
            ],
        ),
        ("growth", Shape { max_pages: 400, ..TINY }, (0..6).map(|i| put(i, 60_000)).collect()),
    ]
}
