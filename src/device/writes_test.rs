//! Writes that go on meanwhile, through io_uring and deferred: both do the same.

use super::open::tests::{open_file, temp_dir};
use super::writes::MAX_DEFERRED_BYTES;
use super::{AlignedBuf, Device, DirectIo, IoUring, Part};
use crate::format::ids::{PAGE_BYTES, PageNo};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PAGES: u64 = 2048;

/// Runs `test` on a device of each kind.
fn on_each(test: impl Fn(super::Opened)) {
    for io_uring in [IoUring::Preferred, IoUring::Off] {
        for direct in [DirectIo::Preferred, DirectIo::Off] {
            let dir = temp_dir();
            let opened = open_file(&dir.path().join("volume"), direct).with_io_uring(io_uring);
            opened.device.grow(PAGES).unwrap();
            test(opened);
        }
    }
}

/// Pages that are filled with `first` and what follows it.
fn part(first: u64, pages: u64) -> Part {
    let bytes: Vec<u8> = (first..first + pages).flat_map(|page| [page as u8; PAGE_BYTES]).collect();
    Part::all(AlignedBuf::from_slice(&bytes).unwrap())
}

fn first_bytes(device: &dyn Device, pages: u64) -> Vec<u8> {
    let mut buf = AlignedBuf::new(pages as usize * PAGE_BYTES).unwrap();
    device.read(PageNo(0), &mut buf).unwrap();
    let page = |page: &[u8]| {
        assert!(page.iter().all(|&byte| byte == page[0]));
        page[0]
    };
    buf.chunks(PAGE_BYTES).map(page).collect()
}

#[test]
fn what_was_pushed_is_there_once_it_was_waited_for() {
    on_each(|opened| {
        // More than a ring has at once, and than is deferred; in an order that is not the pages'.
        let (count, pages) = (100, 7);
        assert!(count * pages * PAGE_BYTES > 2 * MAX_DEFERRED_BYTES);
        let mut writes = opened.device.begin_writes();
        for at in (0..count as u64).map(|i| i * 37 % count as u64 * pages as u64) {
            let whole = part(at, 7);
            let (head, rest) = (0..2 * PAGE_BYTES, 2 * PAGE_BYTES..7 * PAGE_BYTES);
            let parts = match at % 3 {
                0 => vec![whole],
                _ => vec![whole.cut(head), whole.cut(rest)],
            };
            writes.push(PageNo(at), parts);
        }
        writes.wait().unwrap();
        let expected: Vec<u8> = (0..700u64).map(|page| page as u8).collect();
        assert_eq!(first_bytes(&opened.device, 700), expected);
        // They can be used again.
        writes.push(PageNo(0), vec![part(9, 1)]);
        writes.wait().unwrap();
        assert_eq!(first_bytes(&opened.device, 2), [9, 1]);
    });
}

#[test]
fn what_is_dropped_is_written() {
    on_each(|opened| {
        let mut writes = opened.device.begin_writes();
        writes.push(PageNo(3), vec![part(3, 2)]);
        drop(writes);
        assert_eq!(first_bytes(&opened.device, 6), [0, 0, 0, 3, 4, 0]);
    });
}

#[test]
fn a_page_that_does_not_exist_fails_all() {
    on_each(|opened| {
        let mut writes = opened.device.begin_writes();
        writes.push(PageNo(0), vec![part(1, 1)]);
        writes.push(PageNo(PAGES - 1), vec![part(1, 2)]);
        writes.push(PageNo(1), vec![part(1, 1)]);
        assert_eq!(writes.wait().unwrap_err().kind(), ErrorKind::InvalidInput);
        drop(writes);
        assert_eq!(first_bytes(&opened.device, 2), [1, 0]);
        assert_eq!(opened.device.len_pages(), PAGES);
    });
}

#[test]
fn a_closed_device_refuses_them() {
    on_each(|opened| {
        opened.device.close();
        let mut writes = opened.device.begin_writes();
        writes.push(PageNo(0), vec![part(1, 1)]);
        assert_eq!(writes.wait().unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

/// What lands after another process has the volume would destroy what that wrote.
#[test]
fn closing_waits_for_them() {
    on_each(|opened| {
        let closed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let mut writes = opened.device.begin_writes();
            writes.push(PageNo(0), vec![part(1, 256)]);
            scope.spawn(|| {
                opened.device.close();
                closed.store(true, Ordering::SeqCst);
            });
            while opened.device.barrier().is_ok() {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(20));
            assert!(!closed.load(Ordering::SeqCst), "it is under way");
            writes.push(PageNo(256), vec![part(1, 1)]);
            writes.wait().unwrap();
        });
        assert!(closed.load(Ordering::SeqCst));
    });
}
