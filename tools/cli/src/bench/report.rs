//! The results of a run.

use super::part::Part;
use super::phase::Kind;
use super::setup::Plan;
use crate::args::BenchArgs;
use crate::measure::raw::Scratch;
use crate::measure::row;
use crate::measure::sample::Summary;
use crate::size;
use extentdb::{Info, Metrics};
use serde::Serialize;

/// All of it, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    volume: String,
    scratch: String,
    /// Whether the raw measurements bypassed the page cache.
    scratch_direct: bool,
    /// Whether the scratch file may be on another device than the volume.
    scratch_elsewhere: bool,
    device: Device,
    durability: &'static str,
    phase_seconds: f64,
    rounds: u32,
    /// Those of the phases.
    pub(super) rows: Vec<Row>,
    keys: u64,
    volume_bytes: u64,
    /// The other parts.
    pub(super) parts: Vec<PartReport>,
}

/// A part other than the phases.
#[derive(Debug, Serialize)]
pub(super) struct PartReport {
    pub(super) part: Part,
    pub(super) durability: &'static str,
    /// Keys that it begins with.
    pub(super) keys: u64,
    /// `None` where there are several lengths.
    pub(super) value_bytes: Option<u64>,
    /// `None` where there are several numbers.
    pub(super) threads: Option<u16>,
    pub(super) rows: Vec<row::Row>,
}

impl PartReport {
    /// A part without rows so far.
    pub(super) fn new(part: Part, keys: u64) -> Self {
        let rows = Vec::new();
        Self { part, durability: "synced", keys, value_bytes: None, threads: None, rows }
    }

    /// What it works on, in words.
    pub(super) fn says(&self) -> String {
        let values = self
            .value_bytes
            .map_or_else(String::new, |bytes| format!(", values of {}", size::show(bytes)));
        let threads = match self.threads {
            None => String::new(),
            Some(1) => ", 1 thread".to_owned(),
            Some(threads) => format!(", {threads} threads"),
        };
        let (name, keys, durability) = (self.part.name(), self.keys, self.durability);
        format!("{name}: begins with {keys} keys{values}{threads}; puts are {durability}")
    }
}

/// One phase: the store beside the raw device.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) phase: Kind,
    pub(super) value_bytes: u64,
    pub(super) threads: usize,
    pub(super) store: Summary,
    /// As many threads; `None` where the store does not go to the device.
    pub(super) raw: Option<Summary>,
    /// A lone raw writer, in phases of several writers.
    pub(super) raw_lone: Option<Summary>,
    /// Median of the store for that of the raw device with as many threads.
    pub(super) p50_ratio: Option<f64>,
    /// Rate of the store for that of the raw device: a lone writer's, or as many readers'.
    pub(super) rate_ratio: Option<f64>,
    /// Bytes written to the log and as large values, for each byte of keys and values put.
    pub(super) write_amplification: Option<f64>,
    /// Records that share a flush.
    pub(super) records_per_flush: Option<f64>,
}

impl Row {
    /// Rate and median as rows of the part that they are of.
    pub(super) fn figures(&self) -> [row::Row; 2] {
        let part = Part::Phases.name();
        let new = |name: String, figure, unit| row::Row::new(part, name, figure, unit);
        let rate = new(self.name.clone(), self.store.ops_per_s, row::Unit::PerSecond);
        let p50 = |of: &Summary| of.p50_ns as f64 / 1e9;
        let median = new(format!("{}, p50", self.name), p50(&self.store), row::Unit::Seconds);
        let Some(raw) = &self.raw else { return [rate, median] };
        let lone = self.raw_lone.as_ref().unwrap_or(raw);
        let name = if self.raw_lone.is_some() { "a lone raw writer" } else { "raw" };
        [rate.beside(name, lone.ops_per_s), median.beside("raw", p50(raw))]
    }
}

/// The device, and how the store uses it.
#[derive(Debug, Serialize)]
struct Device {
    is_block_device: bool,
    filesystem: Option<String>,
    disk: Option<String>,
    direct: String,
    write_cache: Option<String>,
    fua: Option<bool>,
    sync_method: &'static str,
    offset_alignment: Option<u32>,
}

impl Report {
    /// A report without rows so far.
    pub(super) fn new(args: &BenchArgs, plan: &Plan, info: &Info, scratch: &Scratch) -> Self {
        let device = &info.device;
        Self {
            version: env!("CARGO_PKG_VERSION"),
            volume: args.volume.display().to_string(),
            scratch: scratch.path().display().to_string(),
            scratch_direct: scratch.is_direct(),
            scratch_elsewhere: device.is_block_device || args.scratch.is_some(),
            device: Device {
                is_block_device: device.is_block_device,
                filesystem: device.filesystem.clone(),
                disk: device.disk.clone(),
                direct: device.direct.to_string(),
                write_cache: device.write_cache.map(|cache| cache.to_string()),
                fua: device.fua,
                sync_method: device.sync_method,
                offset_alignment: device.offset_alignment,
            },
            durability: "synced",
            phase_seconds: plan.phase_time.as_secs_f64(),
            rounds: plan.rounds,
            rows: Vec::new(),
            keys: 0,
            volume_bytes: 0,
            parts: Vec::new(),
        }
    }

    /// Takes in what the store holds at the end.
    pub(super) fn finish(&mut self, metrics: &Metrics) {
        (self.keys, self.volume_bytes) = (metrics.keys, metrics.volume_bytes);
    }

    /// What stands above the table.
    pub(super) fn head(&self) -> String {
        let unknown = || "unknown".to_owned();
        let device = &self.device;
        let fua = device.fua.map_or_else(unknown, |fua| if fua { "yes" } else { "no" }.to_owned());
        let kind = device.filesystem.clone().unwrap_or_else(|| "block device".to_owned());
        let elsewhere = if self.scratch_elsewhere {
            ": NOT on the volume's own device as far as is known, so the ratios may mean little"
        } else {
            ""
        };
        let direct = if self.scratch_direct { "direct" } else { "through the page cache" };
        [
            format!("volume      {}", self.volume),
            format!(
                "device      {kind} on {}, direct I/O {}, write cache {}, fua {fua}, {}",
                device.disk.clone().unwrap_or_else(unknown),
                device.direct,
                device.write_cache.clone().unwrap_or_else(unknown),
                device.sync_method,
            ),
            format!("raw         {direct}, {}{elsewhere}", self.scratch),
            format!("durability  {}: a put returns when it survives power loss", self.durability),
            "keys        16 bytes, random; values random, incompressible".to_owned(),
            String::new(),
        ]
        .join("\n")
    }

    /// What stands below it.
    pub(super) fn foot(&self) -> String {
        format!(
            "\n{} keys, volume {}.\n\
             p50/raw: median of the store for that of as many raw threads (pwrite + fdatasync, or \
             pread).\n\
             rate/raw: rate of the store for that of a lone raw writer, or of as many raw readers.\n\
             rec/flush: records that share a flush. WA: bytes to log and large values for each \
             byte put.\n\
             scan keys: the latencies are means of 256 keys.",
            self.keys,
            size::show(self.volume_bytes),
        )
    }
}
