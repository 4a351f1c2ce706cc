//! Whole transfers out of system calls that may do part of one.

use nix::errno::Errno;
use std::io;
use std::ops::Range;

/// Most bytes in one system call; the kernel itself stops a little below 2 GiB.
const MAX_CALL_BYTES: usize = 1 << 30;

/// Direct I/O stops short of a multiple of this only where the file ends.
const SECTOR_BYTES: usize = 512;

/// Fills `len` bytes. `call` transfers some of the range it is given and says how many.
pub(super) fn read_whole(
    len: usize,
    call: impl FnMut(Range<usize>) -> nix::Result<usize>,
) -> io::Result<()> {
    whole(len, io::ErrorKind::UnexpectedEof, call)
}

/// Writes `len` bytes. `call` transfers some of the range it is given and says how many.
pub(super) fn write_whole(
    len: usize,
    call: impl FnMut(Range<usize>) -> nix::Result<usize>,
) -> io::Result<()> {
    whole(len, io::ErrorKind::WriteZero, call)
}

fn whole(
    len: usize,
    ended: io::ErrorKind,
    mut call: impl FnMut(Range<usize>) -> nix::Result<usize>,
) -> io::Result<()> {
    let mut done = 0;
    while done < len {
        let end = len.min(done.saturating_add(MAX_CALL_BYTES));
        match call(done..end) {
            Ok(0) => return Err(ended.into()),
            Ok(count) => done += count,
            Err(Errno::EINTR) => {}
            // What was left over after the file's odd end cannot even be asked for directly.
            Err(Errno::EINVAL) if !done.is_multiple_of(SECTOR_BYTES) => return Err(ended.into()),
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a transfer of `len` bytes whose calls answer `answers`; returns the ranges asked for.
    fn run(len: usize, answers: &[nix::Result<usize>]) -> (Vec<Range<usize>>, io::Result<()>) {
        let (mut asked, mut answers) = (Vec::new(), answers.iter());
        let result = read_whole(len, |range| {
            asked.push(range);
            *answers.next().expect("no more calls than expected")
        });
        (asked, result)
    }

    #[test]
    fn a_short_call_is_continued() {
        let (asked, result) = run(8192, &[Ok(512), Ok(3584), Ok(4096)]);
        result.unwrap();
        assert_eq!(asked, [0..8192, 512..8192, 4096..8192]);
    }

    #[test]
    fn an_interrupted_call_is_repeated() {
        let (asked, result) = run(4096, &[Err(Errno::EINTR), Err(Errno::EINTR), Ok(4096)]);
        result.unwrap();
        assert_eq!(asked, [0..4096, 0..4096, 0..4096]);
    }

    #[test]
    fn a_large_transfer_is_split() {
        let (asked, result) = run((1 << 30) + 4096, &[Ok(1 << 30), Ok(4096)]);
        result.unwrap();
        assert_eq!(asked, [0..1 << 30, 1 << 30..(1 << 30) + 4096]);
    }

    #[test]
    fn no_progress_ends_it() {
        let (_, read) = run(4096, &[Ok(2048), Ok(0)]);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let written = write_whole(4096, |_| Ok(0));
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::WriteZero);
    }

    #[test]
    fn an_odd_end_is_an_end_and_other_errors_stand() {
        let (_, odd) = run(4096, &[Ok(100), Err(Errno::EINVAL)]);
        assert_eq!(odd.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let (_, invalid) = run(4096, &[Err(Errno::EINVAL)]);
        assert_eq!(invalid.unwrap_err().raw_os_error(), Some(libc::EINVAL));
        let (_, failed) = run(4096, &[Ok(512), Err(Errno::EIO)]);
        assert_eq!(failed.unwrap_err().raw_os_error(), Some(libc::EIO));
    }

    #[test]
    fn nothing_takes_no_calls() {
        let (asked, result) = run(0, &[]);
        result.unwrap();
        assert!(asked.is_empty());
    }
}
