//! Threads for whose work nobody waits.

/// How long such a thread may run on before the processor goes to others of its kind: the most that
/// the kernel takes. Its share of the processor stays what it is.
const SLICE_NS: u64 = 100_000_000;
/// Has the kernel choose it.
const USUAL: u64 = 0;

/// Has whoever wakes while this thread runs take its place at once. Without it the kernel lets a thread
/// run for its slice of some milliseconds while a `get` or a commit waits for the processor; one with
/// a longer slice than theirs gives way to them (EEVDF, from Linux 6.12; older ones and other policies
/// than the usual take no notice).
pub(crate) fn gives_way() {
    set_slice(SLICE_NS);
}

/// Calls `body`, in which this thread gives way.
pub(crate) fn giving_way<T>(body: impl FnOnce() -> T) -> T {
    with_slice(SLICE_NS, body)
}

/// Calls `body`, in which this thread runs like any other: whoever waits for a lock that is held in there
/// would wait for all to whom its holder gives way.
pub(crate) fn insisting<T>(body: impl FnOnce() -> T) -> T {
    with_slice(USUAL, body)
}

fn with_slice<T>(slice_ns: u64, body: impl FnOnce() -> T) -> T {
    struct Restore(Option<u64>);
    impl Drop for Restore {
        fn drop(&mut self) {
            if let Some(slice_ns) = self.0 {
                set_slice(slice_ns);
            }
        }
    }
    let _restore = Restore(set_slice(slice_ns));
    body()
}

/// Sets the slice of the calling thread, and returns what it was, where it is scheduled as is usual.
fn set_slice(slice_ns: u64) -> Option<u64> {
    let size = size_of::<libc::sched_attr>();
    // SAFETY: all of it is integers, for which zeros are values.
    let mut attr: libc::sched_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most the size that it is given to where there is as much; 0 is
    // the calling thread.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) };
    if got != 0 || attr.sched_policy != libc::SCHED_OTHER as u32 {
        return None;
    }
    let before = std::mem::replace(&mut attr.sched_runtime, slice_ns);
    // SAFETY: the kernel reads what `attr` says is its size. That it refuses changes nothing.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
    Some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice_ns() -> (libc::c_long, u64) {
        // SAFETY: as above.
        let mut attr: libc::sched_attr = unsafe { std::mem::zeroed() };
        let size = size_of::<libc::sched_attr>();
        // SAFETY: as above.
        let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) };
        (got, attr.sched_runtime)
    }

    /// Kernels that tell of no slice say 0 before and after.
    #[test]
    fn its_slice_is_longer_than_that_of_others() {
        let usual = std::thread::spawn(slice_ns).join().unwrap();
        let given = std::thread::spawn(|| {
            gives_way();
            slice_ns()
        });
        let given = given.join().unwrap();
        assert_eq!(usual.0, given.0);
        assert!(given.1 == SLICE_NS || given.1 == usual.1, "{usual:?}, then {given:?}");
        assert!(usual.1 < SLICE_NS, "nobody else's is changed");
    }

    #[test]
    fn it_is_as_before_afterwards() {
        let slices = std::thread::spawn(|| {
            let usual = slice_ns();
            let (given, insisted) = giving_way(|| (slice_ns(), insisting(slice_ns)));
            let panicked = std::panic::catch_unwind(|| giving_way(|| panic!("on purpose")));
            assert!(panicked.is_err());
            (usual, given, insisted, slice_ns())
        });
        let (usual, given, insisted, after) = slices.join().unwrap();
        assert_eq!((insisted, after), (usual, usual));
        assert!(given.1 == SLICE_NS || given == usual, "{given:?}");
    }
}
