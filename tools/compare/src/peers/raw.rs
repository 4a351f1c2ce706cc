//! The device itself: a file that was written before, past the page cache. It knows no keys: a get
//! reads a place that follows from the key, a put writes the next place in turn, as a log does. What
//! it takes for the same number of transfers of the same size is the measure of the others.

use crate::peer::{Peer, Record, Setup};
use anyhow::{Context, Result, ensure};
use extentdb::AlignedBuf;
use io_uring::{IoUring, opcode, types};
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

const PAGE_BYTES: usize = 4096;
/// Bytes that the file is written with at a time.
const FILL_BYTES: usize = 1 << 20;
/// Reads that are under way at a time where there are many to do.
const DEPTH: usize = 32;

struct Raw {
    file: File,
    /// Bytes of a transfer.
    bytes: usize,
    places: u64,
    next: AtomicU64,
}

/// What a thread transfers with.
struct Lane {
    ring: Option<IoUring>,
    buffers: Vec<AlignedBuf>,
}

thread_local! {
    static LANE: RefCell<Lane> = const { RefCell::new(Lane { ring: None, buffers: Vec::new() }) };
}

pub(crate) fn open(dir: &Path, setup: &Setup) -> Result<Box<dyn Peer>> {
    let path = dir.join("data.raw");
    let bytes = setup.value_bytes.next_multiple_of(PAGE_BYTES);
    let places = (setup.dataset_bytes / bytes as u64).max(DEPTH as u64);
    let file = options().open(&path).context("raw file without the page cache")?;
    fill(&file, (places * bytes as u64).next_multiple_of(FILL_BYTES as u64))?;
    Ok(Box::new(Raw { file, bytes, places, next: AtomicU64::new(0) }))
}

fn options() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).custom_flags(libc::O_DIRECT);
    options
}

/// Writes all of the file that was not written yet: blocks that were never written would cost
/// more than the transfer.
fn fill(file: &File, len: u64) -> Result<()> {
    let begun = file.metadata()?.len();
    if begun >= len {
        return Ok(());
    }
    let mut chunk = AlignedBuf::new(FILL_BYTES)?;
    chunk.fill(0x5A);
    for at in (begun..len).step_by(FILL_BYTES) {
        file.write_all_at(&chunk, at).context("raw file")?;
    }
    Ok(file.sync_all()?)
}

impl Raw {
    fn place_of(&self, key: &[u8]) -> u64 {
        let head = key.first_chunk().map_or(0, |head| u64::from_be_bytes(*head));
        head % self.places * self.bytes as u64
    }

    fn read_one(&self, at: u64, read: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.with_lane(1, |lane| {
            self.file.read_exact_at(&mut lane.buffers[0], at).context("raw read")?;
            read(&lane.buffers[0]);
            Ok(())
        })
    }

    /// Reads at `places`, all at a time where the kernel lets us.
    fn read_many(&self, places: &[u64], read: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        for (chunk, places) in places.chunks(DEPTH).enumerate() {
            self.with_lane(places.len(), |lane| {
                self.fetch(lane, places)?;
                let read_one = |(n, buffer): (usize, &AlignedBuf)| read(chunk * DEPTH + n, buffer);
                lane.buffers[..places.len()].iter().enumerate().for_each(read_one);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn fetch(&self, lane: &mut Lane, places: &[u64]) -> Result<()> {
        if lane.ring.is_none() {
            lane.ring = IoUring::new(DEPTH as u32).ok();
        }
        let Some(ring) = &mut lane.ring else {
            let pairs = places.iter().zip(&mut lane.buffers);
            return pairs.into_iter().try_for_each(|(at, buffer)| {
                self.file.read_exact_at(buffer, *at).context("raw read")
            });
        };
        self.fetch_with(ring, &mut lane.buffers, places).context("raw io_uring read")
    }

    fn fetch_with(
        &self,
        ring: &mut IoUring,
        buffers: &mut [AlignedBuf],
        places: &[u64],
    ) -> Result<()> {
        let file = types::Fd(self.file.as_raw_fd());
        for (at, buffer) in places.iter().zip(buffers) {
            let read = opcode::Read::new(file, buffer.as_mut_ptr(), self.bytes as u32);
            // SAFETY: the buffer is of that length, this thread's own, and stays until all reads
            // have completed, which is waited for below.
            unsafe { ring.submission().push(&read.offset(*at).build()) }?;
        }
        let mut left = places.len();
        while left > 0 {
            ring.submit_and_wait(left)?;
            for done in ring.completion() {
                left -= 1;
                ensure!(done.result() == self.bytes as i32, "{}", error(done.result()));
            }
        }
        Ok(())
    }

    fn with_lane<R>(&self, buffers: usize, act: impl FnOnce(&mut Lane) -> Result<R>) -> Result<R> {
        LANE.with_borrow_mut(|lane| {
            while lane.buffers.len() < buffers {
                lane.buffers.push(AlignedBuf::new(self.bytes)?);
            }
            act(lane)
        })
    }

    fn append(&self, transfers: u64) -> Result<()> {
        let first = self.next.fetch_add(transfers, Ordering::Relaxed);
        self.with_lane(1, |lane| {
            for turn in first..first + transfers {
                lane.buffers[0][..8].copy_from_slice(&turn.to_le_bytes());
                let at = turn % self.places * self.bytes as u64;
                self.file.write_all_at(&lane.buffers[0], at).context("raw write")?;
            }
            self.file.sync_data().context("raw flush")
        })
    }
}

/// What a read's result that is not its length says.
fn error(result: i32) -> io::Error {
    match result {
        0.. => io::ErrorKind::UnexpectedEof.into(),
        _ => io::Error::from_raw_os_error(-result),
    }
}

impl Peer for Raw {
    fn put(&self, _: &[u8], _: &[u8]) -> Result<()> {
        self.append(1)
    }

    fn write(&self, records: &[Record]) -> Result<()> {
        let bytes: usize = records.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.append(bytes.div_ceil(self.bytes) as u64)
    }

    fn get(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.read_one(self.place_of(key), read)?;
        Ok(true)
    }

    fn multi_get(&self, keys: &[Vec<u8>], read: &mut dyn FnMut(usize, &[u8])) -> Result<usize> {
        let places: Vec<_> = keys.iter().map(|key| self.place_of(key)).collect();
        self.read_many(&places, read)?;
        Ok(keys.len())
    }

    /// Values that were written in any order are anywhere.
    fn scan(&self, from: &[u8], limit: usize, read: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let first = self.place_of(from) / self.bytes as u64;
        let place = |n: u64| (first + n * 7919) % self.places * self.bytes as u64;
        let places: Vec<_> = (0..limit as u64).map(place).collect();
        self.read_many(&places, &mut |_, value| read(from, value))?;
        Ok(limit)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.file.sync_all()?)
    }
}
