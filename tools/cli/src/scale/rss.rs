//! Memory of this process, as the kernel counts it.

use anyhow::{Context, Result};
use std::fs;

/// Bytes of memory that are resident now.
pub(super) fn now() -> Result<u64> {
    field("VmRSS:")
}

/// The most that was resident since [`forget_peak`], or since the process began. The kernel keeps
/// count, so no peak is too short to be met.
pub(super) fn peak() -> Result<u64> {
    field("VmHWM:")
}

/// Begins the peak again, from what is resident now.
pub(super) fn forget_peak() -> Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("/proc/self/clear_refs")
}

fn field(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    parse(&status, name).with_context(|| format!("/proc/self/status has no {name}"))
}

/// The field `name` of `status`, which counts in KiB.
fn parse(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_in_kib() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t      12 kB\n";
        assert_eq!(parse(status, "VmRSS:"), Some(12 << 10));
        assert_eq!(parse(status, "VmHWM:"), Some(2 << 20));
        assert_eq!(parse(status, "VmSwap:"), None);
    }

    #[test]
    fn a_peak_is_met_and_forgotten() {
        let before = now().unwrap();
        // Optimized code leaves out what nobody looks at.
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(peak().unwrap() >= before + (60 << 20));
        drop(block);
        forget_peak().unwrap();
        assert!(peak().unwrap() > 0 && now().unwrap() > 0);
    }
}
