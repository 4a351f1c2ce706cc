//! Watches how much of the disk a store takes while it works.

use crate::files::stored_bytes;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Time between looks.
const EVERY: Duration = Duration::from_millis(500);

/// A thread that looks.
#[derive(Debug)]
pub(crate) struct Watch {
    most: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Watch {
    /// Watches the files in `dir`, if there is reason to.
    pub(crate) fn start(dir: &Path, is_worth_it: bool) -> Self {
        let watch = Self {
            most: Arc::new(AtomicU64::new(0)),
            is_over: Arc::new(AtomicBool::new(!is_worth_it)),
        };
        let (most, is_over) = (Arc::clone(&watch.most), Arc::clone(&watch.is_over));
        let dir = dir.to_owned();
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                most.fetch_max(stored_bytes(&dir), Ordering::Relaxed);
                thread::sleep(EVERY);
            }
        });
        watch
    }

    /// The most that there was.
    pub(crate) fn stop(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.most.load(Ordering::Relaxed)
    }
}
