//! What this process has used of the machine, and what the machine has written.

use crate::files::Disk;
use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::fs;

/// Counters that only grow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Of all its threads, in user and system mode.
    pub(crate) cpu_us: u64,
    /// Bytes that it caused to be written, as the kernel accounts them to it.
    pub(crate) process_written: u64,
    /// Bytes that the disk was told to write, by anybody.
    pub(crate) device_written: u64,
}

impl Usage {
    pub(crate) fn now(disk: &Disk) -> Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
        Ok(Self {
            cpu_us: cpu as u64,
            process_written: field(&io, "write_bytes:").unwrap_or(0),
            device_written: disk.written_bytes(),
        })
    }

    /// What was used since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            cpu_us: self.cpu_us - before.cpu_us,
            process_written: self.process_written - before.process_written,
            device_written: self.device_written - before.device_written,
        }
    }
}

/// Memory of this process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resident {
    /// The most that there was, mapped files included.
    pub(crate) peak: u64,
    /// Now, without mapped files.
    pub(crate) anonymous: u64,
}

impl Resident {
    pub(crate) fn now() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let bytes = |name| field(&status, name).unwrap_or(0) * 1024;
        Ok(Self { peak: bytes("VmHWM:"), anonymous: bytes("RssAnon:") })
    }
}

/// The number after `name`, at the beginning of a line of `text`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_names() {
        let text = "cancelled_write_bytes: 9\nwrite_bytes: 4096\nVmHWM:\t   12 kB\n";
        assert_eq!(field(text, "write_bytes:"), Some(4096));
        assert_eq!(field(text, "VmHWM:"), Some(12));
        assert_eq!(field(text, "RssAnon:"), None);
    }

    #[test]
    fn this_process_is_resident() {
        let resident = Resident::now().unwrap();
        assert!(resident.peak >= resident.anonymous && resident.anonymous > 0);
    }
}
