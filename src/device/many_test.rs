//! Reads that are issued together, through io_uring and by threads: both do the same.

use super::fork::tests::in_child;
use super::open::tests::{open_file, temp_dir};
use super::{
    AlignedBuf, BufferPool, Device, DirectIo, IoUring, IoUringState, READS_IN_FLIGHT, ReadRequest,
};
use crate::format::ids::{PAGE_BYTES, PageNo};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

const PAGES: u64 = 256;

/// A device in which every page is filled with its number, by `io_uring` and `direct`.
fn device(dir: &tempfile::TempDir, io_uring: IoUring, direct: DirectIo) -> super::Opened {
    let opened = open_file(&dir.path().join("volume"), direct).with_io_uring(io_uring);
    opened.device.grow(PAGES).unwrap();
    let bytes: Vec<u8> = (0..PAGES).flat_map(|page| [page as u8; PAGE_BYTES]).collect();
    opened.device.write(PageNo(0), &AlignedBuf::from_slice(&bytes).unwrap()).unwrap();
    opened
}

/// Runs `test` on a device of each kind.
fn on_each(test: impl Fn(&tempfile::TempDir, super::Opened)) {
    for io_uring in [IoUring::Preferred, IoUring::Off] {
        for direct in [DirectIo::Preferred, DirectIo::Off] {
            let dir = temp_dir();
            let opened = device(&dir, io_uring, direct);
            assert_eq!(opened.info.io_uring == IoUringState::Off, io_uring == IoUring::Off);
            test(&dir, opened);
        }
    }
}

fn request(tag: usize, page: u64, pages: usize) -> ReadRequest {
    let buf = AlignedBuf::from_slice(&vec![0xEE; pages * PAGE_BYTES]).unwrap();
    ReadRequest { tag, page: PageNo(page), buf }
}

type Outcomes = BTreeMap<usize, (ReadRequest, io::Result<()>)>;

/// Does all of it, and says what became of each.
fn read_all(device: &dyn Device, requests: impl IntoIterator<Item = ReadRequest>) -> Outcomes {
    let mut outcomes = BTreeMap::new();
    device.read_many(&mut requests.into_iter(), &mut |request, outcome| {
        let first = outcomes.insert(request.tag, (request, outcome));
        assert!(first.is_none(), "each is handed back once");
    });
    outcomes
}

fn kind(outcomes: &Outcomes, tag: usize) -> Option<ErrorKind> {
    outcomes[&tag].1.as_ref().err().map(io::Error::kind)
}

#[test]
fn each_read_gets_its_own_pages() {
    on_each(|_, opened| {
        for count in [0, 1, 3, 32, 1000] {
            let pages = |tag: usize| 1 + tag % 5;
            let at = |tag: usize| (tag * 37) as u64 % (PAGES - 5);
            let outcomes =
                read_all(&opened.device, (0..count).map(|tag| request(tag, at(tag), pages(tag))));
            assert_eq!(outcomes.len(), count);
            for (tag, (request, outcome)) in outcomes {
                outcome.unwrap();
                let mut found = request.buf.chunks(PAGE_BYTES).enumerate();
                assert_eq!(request.buf.len(), pages(tag) * PAGE_BYTES);
                assert!(
                    found.all(|(i, page)| page.iter().all(|&b| b == (at(tag) + i as u64) as u8))
                );
            }
        }
    });
}

#[test]
fn no_more_than_so_many_are_under_way() {
    on_each(|_, opened| {
        let under_way = std::cell::Cell::new(0);
        let mut requests = (0..500).map(|tag| {
            under_way.set(under_way.get() + 1);
            assert!(under_way.get() <= READS_IN_FLIGHT);
            request(tag, tag as u64 % PAGES, 1)
        });
        opened.device.read_many(&mut requests, &mut |_, outcome| {
            outcome.unwrap();
            under_way.set(under_way.get() - 1);
        });
        assert_eq!(under_way.get(), 0);
    });
}

#[test]
fn what_fails_fails_alone() {
    on_each(|dir, opened| {
        let file = std::fs::File::options().write(true).open(dir.path().join("volume")).unwrap();
        // The last pages are cut off, one in its middle; others never were.
        file.set_len(100 * PAGE_BYTES as u64 + 100).unwrap();
        let pages = [3, 99, 98, 100, 200, PAGES, u64::MAX, 7];
        let outcomes = read_all(
            &opened.device,
            pages.iter().enumerate().map(|(tag, &page)| request(tag, page, 2)),
        );
        let failed = Some(ErrorKind::UnexpectedEof);
        let expected = [None, failed, None, failed, failed, failed, failed, None];
        for (tag, expected) in expected.into_iter().enumerate() {
            assert_eq!(kind(&outcomes, tag), expected, "page {}", pages[tag]);
        }
    });
}

#[test]
fn a_closed_device_fails_each() {
    on_each(|_, opened| {
        read_all(&opened.device, (0..40).map(|tag| request(tag, 1, 1)));
        opened.device.close();
        let outcomes = read_all(&opened.device, (0..40).map(|tag| request(tag, 1, 1)));
        assert!((0..40).all(|tag| kind(&outcomes, tag) == Some(ErrorKind::NotConnected)));
    });
}

#[test]
fn threads_read_together_and_close_waits_for_them() {
    on_each(|_, opened| {
        let device = &opened.device;
        std::thread::scope(|scope| {
            for thread in 0..6 {
                scope.spawn(move || {
                    loop {
                        let page = |tag: usize| (tag * 7 + thread) as u64 % PAGES;
                        let outcomes =
                            read_all(device, (0..90).map(|tag| request(tag, page(tag), 1)));
                        for (tag, (request, outcome)) in outcomes {
                            match outcome {
                                Ok(()) => {
                                    assert!(request.buf.iter().all(|&b| b == page(tag) as u8))
                                }
                                Err(cause) => {
                                    return assert_eq!(cause.kind(), ErrorKind::NotConnected);
                                }
                            }
                        }
                    }
                });
            }
            crate::sync::sleep(crate::sync::Duration::from_millis(30));
            device.close();
        });
    });
}

#[test]
fn a_panic_leaves_no_read_under_way() {
    on_each(|_, opened| {
        let pool = BufferPool::new(1 << 20);
        let pooled = |tag| ReadRequest { tag, page: PageNo(9), buf: pool.take(1).unwrap() };
        for panics_in_requests in [true, false] {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let mut requests = (0..50).map(|tag| {
                    assert!(!panics_in_requests || tag < 40, "on purpose");
                    pooled(tag)
                });
                opened.device.read_many(&mut requests, &mut |request, _| {
                    assert!(panics_in_requests || request.tag < 30, "on purpose");
                });
            }));
            assert!(caught.is_err());
            // The buffers are back, and nothing writes to them any more.
            let mut buffers: Vec<_> = (0..64).map(|_| pool.take(1).unwrap()).collect();
            buffers.iter_mut().for_each(|buf| buf.fill(0x55));
            crate::sync::sleep(crate::sync::Duration::from_millis(5));
            assert!(buffers.iter().all(|buf| buf.iter().all(|&b| b == 0x55)));
        }
        let outcomes = read_all(&opened.device, (0..70).map(|tag| request(tag, 1, 1)));
        assert_eq!(outcomes.len(), 70);
    });
}

#[test]
fn a_forked_child_reads_nothing_and_harms_nothing() {
    on_each(|_, opened| {
        // Leaves a ring behind, if there is one.
        read_all(&opened.device, (0..40).map(|tag| request(tag, 1, 1)));
        let mut prepared = Some(request(0, 1, 1));
        let verdict = in_child(|| {
            let mut refused = 0;
            let mut requests = std::iter::from_fn(|| prepared.take());
            opened.device.read_many(&mut requests, &mut |request, outcome| {
                refused += u8::from(outcome.is_err());
                std::mem::forget((request, outcome));
            });
            opened.device.close();
            refused
        });
        assert_eq!(verdict, 1);
        let outcomes = read_all(&opened.device, (0..40).map(|tag| request(tag, 1, 1)));
        assert!(outcomes.values().all(|(_, outcome)| outcome.is_ok()));
    });
}
