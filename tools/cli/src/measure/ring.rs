//! The raw device under many reads at once: io_uring on a file, without a store.

use anyhow::{Context, Result, ensure};
use extentdb::AlignedBuf;
use io_uring::{IoUring, opcode, types};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// A ring over one file, registered, with a buffer for each read that may be under way.
pub(crate) struct Ring {
    uring: IoUring,
    buffers: Vec<AlignedBuf>,
    /// Length of the read that each buffer is used for.
    lens: Vec<usize>,
    under_way: usize,
}

impl Ring {
    /// A ring for `depth` reads of at most `longest` bytes at once.
    pub(crate) fn new(file: &File, depth: usize, longest: usize) -> Result<Self> {
        let uring = IoUring::builder()
            .setup_coop_taskrun()
            .build(depth as u32)
            .context("io_uring cannot be had here")?;
        uring.submitter().register_files(&[file.as_raw_fd()])?;
        let buffers = (0..depth).map(|_| AlignedBuf::new(longest)).collect::<Result<_, _>>()?;
        Ok(Self { uring, buffers, lens: vec![0; depth], under_way: 0 })
    }

    /// Reads `places`, offset and length of each, as many as there are buffers, and waits for all.
    pub(crate) fn read_all(&mut self, places: &[(u64, usize)]) -> Result<()> {
        for (number, &place) in places.iter().enumerate() {
            self.push(number, place);
        }
        while self.under_way > 0 {
            self.submit_and_wait(self.under_way)?;
            while self.next_done()?.is_some() {}
        }
        Ok(())
    }

    /// Reads what `next` says, always as much of it at once as there are buffers, until it says no
    /// more; then waits for all. Calls `done` for each.
    pub(crate) fn stream(
        &mut self,
        mut next: impl FnMut() -> Option<(u64, usize)>,
        mut done: impl FnMut(),
    ) -> Result<()> {
        let mut free: Vec<usize> = (0..self.buffers.len()).collect();
        loop {
            while let Some(&number) = free.last()
                && let Some(place) = next()
            {
                free.pop();
                self.push(number, place);
            }
            if self.under_way == 0 {
                return Ok(());
            }
            self.submit_and_wait(self.under_way.min(8))?;
            while let Some(number) = self.next_done()? {
                free.push(number);
                done();
            }
        }
    }

    fn push(&mut self, number: usize, (offset, len): (u64, usize)) {
        let buf = &mut self.buffers[number];
        assert!(len <= buf.len(), "the buffer is long enough");
        let read = opcode::Read::new(types::Fixed(0), buf.as_mut_ptr(), len as u32)
            .offset(offset)
            .build()
            .user_data(number as u64);
        self.lens[number] = len;
        self.under_way += 1;
        // SAFETY: the buffer is not let go of before the kernel has answered: see `drop`.
        let pushed = unsafe { self.uring.submission().push(&read) };
        assert!(pushed.is_ok(), "there are no more reads than entries");
    }

    fn submit_and_wait(&self, wanted: usize) -> Result<()> {
        match self.uring.submit_and_wait(wanted) {
            Err(cause) if cause.kind() != io::ErrorKind::Interrupted => {
                Err(cause).context("io_uring")
            }
            _ => Ok(()),
        }
    }

    fn next_done(&mut self) -> Result<Option<usize>> {
        let Some(answer) = self.uring.completion().next() else { return Ok(None) };
        self.under_way -= 1;
        let number = answer.user_data() as usize;
        ensure!(answer.result() == self.lens[number] as i32, "a raw read: {}", answer.result());
        Ok(Some(number))
    }
}

impl Drop for Ring {
    /// After a failure reads may be under way still, and the kernel writes to their buffers.
    fn drop(&mut self) {
        if self.under_way > 0 {
            self.buffers.drain(..).for_each(std::mem::forget);
        }
    }
}
