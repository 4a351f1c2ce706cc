//! Whether the file system has room.

use crate::size;
use anyhow::{Context, Result, bail};
use nix::sys::statvfs::statvfs;
use std::path::Path;

/// Refuses what takes `needed` bytes beside `volume` where they are not free; `advice` says what
/// takes less.
pub(crate) fn check(volume: &Path, needed: u64, advice: &str) -> Result<()> {
    let dir = match volume.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let stat = statvfs(dir).with_context(|| dir.display().to_string())?;
    let free = stat.blocks_available() * stat.fragment_size();
    if needed > free {
        bail!(
            "{} has {} free, and this takes about {}; {advice}",
            dir.display(),
            size::show(free),
            size::show(needed),
        );
    }
    Ok(())
}
