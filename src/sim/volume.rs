//! The volume on a device that errs as the kernel does, and the space on it where threads meet.

use super::device::SimDevice;
use super::odd::{Odd, Own};
use super::trace::Pages;
use crate::device::{AlignedBuf, BufferPool, Volume};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::extent::{Claim, Space};
use crate::format::ids::{Epoch, PageNo};
use crate::sync::{Arc, AtomicBool, AtomicUsize, Duration, Ordering, sleep};
use std::io;
use std::sync::OnceLock;
use std::time::Instant;

const PATIENCE: Duration = Duration::from_millis(300);

fn volume_on(own: impl Own + 'static, direct: bool) -> Volume {
    let device = Odd { device: SimDevice::new(Pages::zeros(8)), own };
    Volume::new(Arc::new(device), Arc::default(), direct, Events::new(None))
}

/// A page cache that lost a write: one barrier hears of it, and no other does.
#[derive(Debug, Default)]
struct LostOnce {
    told: AtomicBool,
    ended: AtomicUsize,
}

impl Own for Arc<LostOnce> {
    fn barrier(&self) -> io::Result<()> {
        if self.told.swap(true, Ordering::SeqCst) {
            self.ended.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        // Were another barrier to go beside it, it would end first.
        let begun = Instant::now();
        while self.ended.load(Ordering::SeqCst) == 0 && begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(1));
        }
        Err(io::Error::other("a write was lost"))
    }
}

/// E1p: of two barriers through the page cache, neither says that all is well.
#[test]
fn a_lost_write_fails_every_barrier_that_it_may_have_been_of() {
    let lost = Arc::new(LostOnce::default());
    let volume = volume_on(Arc::clone(&lost), false);
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let first = scope.spawn(|| volume.barrier());
        while !lost.told.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let second = scope.spawn(|| volume.barrier());
        [first, second].into_iter().map(|barrier| barrier.join().unwrap()).collect()
    });
    assert!(results.iter().all(Result::is_err), "{results:?}");
}

/// The volume whose length is looked at while a barrier is under way.
#[derive(Debug, Default)]
struct Looked {
    volume: OnceLock<std::sync::Weak<Volume>>,
    seen: AtomicUsize,
}

impl Own for Arc<Looked> {
    fn barrier(&self) -> io::Result<()> {
        if let Some(volume) = self.volume.get().and_then(std::sync::Weak::upgrade) {
            self.seen.store(volume.len_pages() as usize, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// A superblock that is written meanwhile would name it, and power could take it back.
#[test]
fn a_length_is_shown_when_it_is_durable() {
    let looked = Arc::new(Looked::default());
    let volume = Arc::new(volume_on(Arc::clone(&looked), true));
    looked.volume.set(Arc::downgrade(&volume)).unwrap();
    volume.grow(24).unwrap();
    assert_eq!((looked.seen.load(Ordering::SeqCst), volume.len_pages()), (8, 24));
}

#[derive(Debug)]
struct NotConnected;

impl Own for NotConnected {
    fn read(&self) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::ENOTCONN))
    }
}

/// A network device that is gone is no handle that was closed: the store must know of the failure.
#[test]
fn what_the_system_calls_not_connected_is_a_failure() {
    let volume = volume_on(NotConnected, true);
    let mut page = AlignedBuf::new(4096).unwrap();
    let error = volume.read(PageNo(0), &mut page).unwrap_err();
    assert!(matches!(error, Error::Io { op: "read", .. }), "{error}");
    volume.close();
    assert!(matches!(volume.barrier(), Err(Error::Closed)), "the handle was closed");
}

/// S1: who comes second finds the room that the first one made, though there is no more to be had.
#[test]
fn a_volume_grows_once_for_all_who_find_no_room() {
    const EXTENT_PAGES: u32 = 4;
    let device = SimDevice::new(Pages::zeros(8 * 4)).with_latency(Duration::from_millis(50));
    let volume = Volume::new(Arc::new(device), Arc::default(), true, Events::new(None));
    let pool = BufferPool::new(1 << 20);
    let space = Space::new(Arc::new(volume), pool, EXTENT_PAGES, 12 * 4, 4096);
    space.begin_epoch(Epoch(1));
    while space.has_room(Claim::Image) {
        space.reserve_extent(Claim::Image).unwrap();
    }
    let reserved: Vec<_> = std::thread::scope(|scope| {
        let reserve = || space.reserve_extent(Claim::Image);
        let both = [scope.spawn(reserve), scope.spawn(reserve)];
        both.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert!(reserved.iter().all(Result::is_ok), "{reserved:?}");
}
