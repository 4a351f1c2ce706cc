//! Where it was measured.

use nix::sys::utsname::uname;
use serde::Serialize;
use std::fs;
use std::path::Path;
use std::thread;

/// A machine.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    kernel: String,
    cores: usize,
    processor: String,
    memory_kib: u64,
    /// That the stores are on.
    file_system: String,
    /// Processes that ran, or wanted to, in the minute before.
    load: f64,
}

impl Machine {
    /// This one, with the file system of `dir`.
    pub(super) fn this(dir: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim_start_matches([' ', '\t', ':']).to_owned()
        };
        let memory = after(&read("/proc/meminfo"), "MemTotal");
        let load = read("/proc/loadavg");
        Self {
            kernel: uname()
                .map_or_else(|_| String::new(), |u| u.release().to_string_lossy().into()),
            cores: thread::available_parallelism().map_or(0, usize::from),
            processor: after(&read("/proc/cpuinfo"), "model name"),
            memory_kib: memory.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0),
            file_system: file_system(dir, &read("/proc/self/mounts")),
            load: load.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0),
        }
    }

    /// In a line.
    pub(super) fn line(&self) -> String {
        format!(
            "{} cores ({}), {} of memory, Linux {}, {}, load {:.1} at the beginning",
            self.cores,
            self.processor,
            crate::show::bytes(self.memory_kib as f64 * 1024.0),
            self.kernel,
            self.file_system,
            self.load
        )
    }
}

/// The file system that `dir` is on, of those in `mounts`.
fn file_system(dir: &Path, mounts: &str) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let over = fields.filter(|mount| mount.len() > 2 && dir.starts_with(mount[1]));
    let nearest = over.max_by_key(|mount| mount[1].len());
    nearest.map_or_else(String::new, |mount| format!("{} on {}", mount[2], mount[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_counts() {
        let mounts =
            "/dev/vda / ext4 rw 0 0\nnone /proc proc rw 0 0\n/dev/vdb /proc/sys xfs rw 0 0\n";
        assert_eq!(file_system(Path::new("/proc"), mounts), "proc on none");
        assert_eq!(file_system(Path::new("/"), mounts), "ext4 on /dev/vda");
    }
}
