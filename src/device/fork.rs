//! Noticing that this process is a forked child, at the price of one memory read.

use super::mapping::{MapError, map_pages};
use crate::format::ids::PAGE_BYTES;
use crate::seeded::{Bug, seeded};
use nix::sys::mman::{MmapAdvise, madvise, munmap};
use std::ptr::{self, NonNull};
// Not from `crate::sync`: these lie over memory that the kernel wipes, or are read in a child
// that no scheduler knows of.
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// The wiped page, once there is one; never unmapped. Lock-free, so that a child forked at any
/// moment can still use it.
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

/// Stands in for the page where the kernel cannot wipe one. Only its address is used.
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// The newest generation along this process's line of ancestors; forks copy it.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Remembers the process that made it, and tells whether the caller is a child of that one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForkGuard {
    /// `None`: process numbers are compared instead.
    page: Option<&'static AtomicU64>,
    generation: u64,
}

impl ForkGuard {
    pub(crate) fn new() -> Self {
        match wiped_page() {
            Some(page) => Self { page: Some(page), generation: generation_of(page) },
            None => Self::comparing_pids(),
        }
    }

    fn comparing_pids() -> Self {
        Self { page: None, generation: u64::from(std::process::id()) }
    }

    /// Whether the caller runs in a process forked, directly or not, from the one that made this.
    #[inline]
    pub(crate) fn is_child(&self) -> bool {
        let current = match self.page {
            Some(page) => page.load(Ordering::Relaxed),
            None => u64::from(std::process::id()),
        };
        current != self.generation && !seeded(Bug::ForkUnnoticed)
    }

    /// Tells this process from its ancestors.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }
}

/// The generation in `page`; a child that finds it wiped starts the next one.
fn generation_of(page: &AtomicU64) -> u64 {
    let current = page.load(Ordering::Relaxed);
    if current != 0 {
        return current;
    }
    let next = GENERATION.fetch_add(1, Ordering::Relaxed) + 1;
    match page.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => next,
        Err(other_thread) => other_thread,
    }
}

fn wiped_page() -> Option<&'static AtomicU64> {
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        page = publish(new_wiped_page());
    }
    if ptr::eq(page, &REFUSED) {
        return None;
    }
    // SAFETY: `PAGE` only ever holds a page that is mapped for the life of the process, aligned
    // and zero-filled, which is a valid `AtomicU64`, and only ever used as one.
    Some(unsafe { &*page })
}

/// Makes `page` the process's one page, unless another thread was first.
fn publish(page: Option<NonNull<u8>>) -> *mut AtomicU64 {
    let refused = ptr::from_ref(&REFUSED).cast_mut();
    let candidate = page.map_or(refused, |page| page.cast().as_ptr());
    let won =
        PAGE.compare_exchange(ptr::null_mut(), candidate, Ordering::AcqRel, Ordering::Acquire);
    let Err(first) = won else { return candidate };
    if let Some(page) = page {
        unmap(page);
    }
    first
}

fn new_wiped_page() -> Option<NonNull<u8>> {
    let page = map_pages(PAGE_BYTES).ok()?;
    match wipe_on_fork(page) {
        Ok(()) => Some(page),
        Err(_) => {
            unmap(page);
            None
        }
    }
}

fn wipe_on_fork(page: NonNull<u8>) -> Result<(), MapError> {
    // SAFETY: the page was just mapped by `new_wiped_page`, and nothing else refers to it.
    unsafe { madvise(page.cast(), PAGE_BYTES, MmapAdvise::MADV_WIPEONFORK) }
}

fn unmap(page: NonNull<u8>) {
    // SAFETY: the page was mapped by `new_wiped_page` and never published, so nothing uses it.
    let unmapped = unsafe { munmap(page.cast(), PAGE_BYTES) };
    debug_assert!(unmapped.is_ok(), "a mapping that exists can be unmapped");
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Runs `body` in a forked child, which must do no more than a signal handler may, and
    /// returns what it returned.
    pub(crate) fn in_child(body: impl FnOnce() -> u8) -> i32 {
        // SAFETY: the child runs `body`, which allocates nothing and takes no locks, and exits.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork failed");
        if pid == 0 {
            let code = i32::from(body());
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { libc::_exit(code) };
        }
        wait_for(pid)
    }

    /// The exit code of child `pid`, or minus the signal that ended it.
    pub(crate) fn wait_for(pid: libc::pid_t) -> i32 {
        let mut status = 0;
        // SAFETY: `status` is a live local.
        let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
        assert_eq!(waited, pid);
        if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
    }

    fn assert_child_is_noticed(guard: ForkGuard) {
        assert!(!guard.is_child());
        assert_eq!(in_child(|| u8::from(guard.is_child())), 1);
        assert!(!guard.is_child(), "the parent is still the parent");
    }

    #[test]
    fn a_child_is_noticed_by_the_wiped_page() {
        let guard = ForkGuard::new();
        assert!(guard.page.is_some(), "Linux has wiped pages on fork since 4.14");
        assert_child_is_noticed(guard);
    }

    #[test]
    fn a_child_is_noticed_by_its_process_number() {
        assert_child_is_noticed(ForkGuard::comparing_pids());
    }

    #[test]
    fn a_guard_made_in_a_child_is_its_own_and_leaves_the_parents_set_off() {
        let parents = ForkGuard::new();
        let verdict = in_child(|| {
            let own = ForkGuard::new();
            u8::from(!own.is_child() && parents.is_child())
        });
        assert_eq!(verdict, 1);
    }

    #[test]
    fn a_grandchild_is_noticed_by_both() {
        let verdict = in_child(|| {
            let own = ForkGuard::new();
            u8::from(in_child(|| u8::from(own.is_child())) == 1)
        });
        assert_eq!(verdict, 1);
    }
}
