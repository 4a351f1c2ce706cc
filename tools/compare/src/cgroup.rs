//! A group of processes whose memory is limited, page cache included.

use anyhow::{Context, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

const ROOT: &str = "/sys/fs/cgroup";

/// A memory cgroup of our own. It is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Memory {
    dir: PathBuf,
    limit: &'static str,
}

impl Memory {
    /// A group with no limit yet; fails where we may not make one.
    pub(crate) fn create() -> Result<Self> {
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let mut last = None;
        for (parent, limit) in candidates(&own) {
            let dir = parent.join(format!("extentdb-compare-{}", process::id()));
            match Self::create_at(dir, limit) {
                Ok(group) => return Ok(group),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("there are no memory cgroups")?.into())
    }

    fn create_at(dir: PathBuf, limit: &'static str) -> io::Result<Self> {
        fs::create_dir(&dir)?;
        let group = Self { dir, limit };
        // Without the controller there is no such file.
        fs::metadata(group.dir.join(limit))?;
        Ok(group)
    }

    /// Limits it to `bytes`.
    pub(crate) fn limit(&self, bytes: u64) -> Result<()> {
        fs::write(self.dir.join(self.limit), bytes.to_string()).context("cgroup limit")
    }

    /// The file through which a process joins.
    pub(crate) fn processes(&self) -> PathBuf {
        self.dir.join("cgroup.procs")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // A process that is still in it keeps it; nothing depends on it.
        let _ = fs::remove_dir(&self.dir);
    }
}

/// Has this process join the group whose file of processes is `processes`.
pub(crate) fn join(processes: &Path) -> Result<()> {
    fs::write(processes, "0").context("cannot join the cgroup")
}

/// Where a group may be made, and how its limit is called there. `own` says which groups this
/// process is in.
fn candidates(own: &str) -> Vec<(PathBuf, &'static str)> {
    let mut found = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let path = path.trim_start_matches('/');
        if controllers.split(',').any(|name| name == "memory") {
            let root = Path::new(ROOT).join("memory");
            found.push((root.join(path), "memory.limit_in_bytes"));
            found.push((root, "memory.limit_in_bytes"));
        } else if controllers.is_empty() {
            // A group with processes has no groups with limits in it: ours goes beside our own.
            let root = Path::new(ROOT);
            let beside = root.join(path).parent().unwrap_or(root).to_owned();
            found.extend([(beside, "memory.max"), (root.to_owned(), "memory.max")]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_cgroups_are_known() {
        let first = candidates("4:memory:/a/b\n3:cpuset:/\n");
        assert_eq!(first[0].0, Path::new("/sys/fs/cgroup/memory/a/b"));
        assert_eq!(first.len(), 2);
        let second = candidates("0::/user.slice/session-1.scope\n");
        assert_eq!(second[0].0, Path::new("/sys/fs/cgroup/user.slice"));
        assert_eq!(second[1], (PathBuf::from(ROOT), "memory.max"));
    }
}
