//! The command line.

use crate::bench;
use crate::churn;
use crate::reads;
use crate::scale::{Part, Role, count};
use crate::size;
use clap::{Parser, Subcommand, ValueEnum};
use extentdb::DirectIo;
use std::ffi::OsString;
use std::path::PathBuf;

/// Operator's tool and benchmark of the extentdb key-value store.
///
/// VOL is a volume: a regular file or a block device. Sizes take the suffixes K, M, G and T, or
/// KiB, MiB, GiB and TiB. Exit codes: 0 done; 1 failed, absent, or not all was done; 2 damage
/// found by `check`; 64 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "extentdb", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Store a value: VALUE, a file, or what stdin has
    Put(PutArgs),
    /// Write the value of a key to stdout or to a file
    Get(GetArgs),
    /// Remove keys and their values
    Delete(DeleteArgs),
    /// List keys in order, with the beginnings of their values
    Scan(ScanArgs),
    /// Show the device, what opening the volume found, and the space in use
    Info(InfoArgs),
    /// Read and verify everything; exit code 2 if the volume is damaged
    Check(CheckArgs),
    /// Store a directory tree: relative paths as keys, contents as values
    Import(ImportArgs),
    /// Write all values to a directory tree, with their keys as paths
    Export(ExportArgs),
    /// Measure a new volume beside the raw device
    Bench(BenchArgs),
    /// Measure memory, snapshots, opening and tails at many keys, on new volumes
    Scale(ScaleArgs),
    /// Measure garbage collection, on new volumes
    Churn(ChurnArgs),
    /// Measure gets, multi-gets and scans beside raw reads of the same volume
    Reads(ReadsArgs),
}

/// How a volume is opened.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OpenArgs {
    /// Whether to bypass the page cache
    #[arg(long, value_enum, default_value_t = Direct::Preferred)]
    pub(crate) direct: Direct,
    /// Size to which the volume may grow
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) max_bytes: Option<u64>,
}

/// How a volume is opened or created.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    pub(crate) open: OpenArgs,
    /// Create the volume with all of this allocated, never to grow
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) volume_bytes: Option<u64>,
    /// Insist on creating the volume; needed to create one on a block device
    #[arg(long)]
    pub(crate) create_new: bool,
}

/// Whether to bypass the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direct {
    /// Fail where it cannot be bypassed
    Required,
    /// Bypass it where that is possible
    Preferred,
    /// Use it
    Off,
}

impl From<Direct> for DirectIo {
    fn from(direct: Direct) -> Self {
        match direct {
            Direct::Required => Self::Required,
            Direct::Preferred => Self::Preferred,
            Direct::Off => Self::Off,
        }
    }
}

/// How keys are written on the command line.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KeyArgs {
    /// Keys are given escaped, as `scan` prints them: \n, \\, \x00, ...
    #[arg(long, short)]
    pub(crate) escaped: bool,
}

/// Arguments of `put`.
#[derive(Debug, clap::Args)]
pub(crate) struct PutArgs {
    /// The volume; created if absent
    #[arg(value_name = "VOL")]
    pub(crate) volume: PathBuf,
    /// The key
    pub(crate) key: OsString,
    /// The value; stdin if absent
    pub(crate) value: Option<OsString>,
    /// Store what this file holds
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) create: CreateArgs,
}

/// Arguments of `get`.
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// The volume
    #[arg(value_name = "VOL")]
    pub(crate) volume: PathBuf,
    /// The key
    pub(crate) key: OsString,
    /// Write the value to this file, whole or not at all, instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
}

/// Arguments of `delete`.
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    /// The volume
    #[arg(value_name = "VOL")]
    pub(crate) volume: PathBuf,
    /// The keys; those that have no value are passed over
    #[arg(required = true, value_name = "KEY")]
    pub(crate) delete: Vec<OsString>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
}

/// Arguments of `scan`.
#[derive(Debug, clap::Args)]
pub(crate) struct ScanArgs {
    /// The volume
    #[arg(value_name = "VOL")]
    pub(crate) volume: PathBuf,
    /// Only keys that start with this
    #[arg(long)]
    pub(crate) prefix: Option<OsString>,
    /// Only keys from this on
    #[arg(long, value_name = "KEY")]
    pub(crate) from: Option<OsString>,
    /// Only keys below this
    #[arg(long, value_name = "KEY")]
    pub(crate) to: Option<OsString>,
    /// Highest key first
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Keys only, no values
    #[arg(long = "keys")]
    pub(crate) keys_only: bool,
    /// Whole values rather than their first 64 bytes
    #[arg(long, conflicts_with = "keys_only")]
    pub(crate) full: bool,
    /// At most this many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
}

/// Arguments of `info`.
#[derive(Debug, clap::Args)]
pub(crate) struct InfoArgs {
    /// The volume
    #[arg(value_name = "VOL")]
    pub(crate) volume: PathBuf,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
}

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The volume
    #[arg(value_name = "VOL")]
    pub(crate) volume: PathBuf,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
}

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The volume; created if absent
    #[arg(value_name = "VOL")]
    pub(crate) volume: PathBuf,
    /// The directory
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// Files that are read and stored at a time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: u16,
    #[command(flatten)]
    pub(crate) create: CreateArgs,
}

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// The volume
    #[arg(value_name = "VOL")]
    pub(crate) volume: PathBuf,
    /// The directory; created if absent
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// Values that are read and written at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: u16,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
}

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// A volume that does not exist yet; a file is removed afterwards
    #[arg(value_name = "VOL")]
    pub(crate) volume: PathBuf,
    /// Only these parts [default: phases]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART,...")]
    pub(crate) only: Vec<bench::Part>,
    /// About 10 seconds rather than 90 for the phases, and less space: enough to see that all is well
    #[arg(long)]
    pub(crate) quick: bool,
    /// ycsb, open-loop: keys to begin with, such as 10^6 [default: 10^6; 20,000 with --quick]
    #[arg(long, value_name = "N", value_parser = parse_keys)]
    pub(crate) keys: Option<u64>,
    /// ycsb, depths, open-loop: length of a value
    #[arg(long, value_name = "SIZE", default_value = "1K", value_parser = parse_value_bytes)]
    pub(crate) value_bytes: u64,
    /// ycsb, open-loop: threads
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: u16,
    /// Rounds of each measurement [default: 4; 1 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: Option<u16>,
    /// Seconds that the store is measured for in each phase, all rounds together; the device takes as
    /// long again
    #[arg(long, value_name = "N", value_parser = parse_seconds)]
    pub(crate) seconds: Option<f64>,
    /// open-loop: operations a second that arrive
    #[arg(long, value_name = "N", value_parser = parse_rate, conflicts_with = "load")]
    pub(crate) rate: Option<f64>,
    /// open-loop: the same in percent of what a closed loop of the same threads reaches
    #[arg(long, value_name = "PERCENT,...", value_delimiter = ',', default_value = "50,70,90", value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) load: Vec<u16>,
    /// Most that the volume may take [default: 3 GiB; 1 GiB with --quick; what --keys need where
    /// that is more]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) bytes: Option<u64>,
    /// Write the results as JSON to this file; - for stdout, instead of the table
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the results as a page with plots of latencies to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the latencies as an HdrHistogram interval log (V2, tagged) to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) hlog: Option<PathBuf>,
    /// Write their percentiles in HdrHistogram's text form to this directory, a file for each
    #[arg(long, value_name = "DIR")]
    pub(crate) hgrm: Option<PathBuf>,
    /// File for the raw measurements, created and removed; default: beside the volume, or in the
    /// temporary directory where the volume is a block device
    #[arg(long, value_name = "FILE")]
    pub(crate) scratch: Option<PathBuf>,
    /// Leave the volume there; for one part
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) create: CreateArgs,
}

/// Arguments of `scale`.
#[derive(Debug, clap::Args)]
pub(crate) struct ScaleArgs {
    /// A file that does not exist yet; each part creates and removes it
    #[arg(value_name = "VOL")]
    pub(crate) volume: PathBuf,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART,...")]
    pub(crate) only: Vec<Part>,
    /// Keys, such as 10^7
    #[arg(long, value_name = "N", default_value = "10^7", value_parser = parse_keys)]
    pub(crate) keys: u64,
    /// Length of a key
    #[arg(long, value_name = "BYTES", default_value_t = 16, value_parser = clap::value_parser!(u16).range(8..=4096))]
    pub(crate) key_bytes: u16,
    /// Length of a beginning that all keys share
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub(crate) shared_prefix: u16,
    /// Length of a value
    #[arg(long, value_name = "BYTES", default_value_t = 8, value_parser = clap::value_parser!(u32).range(8..=1 << 20))]
    pub(crate) value_bytes: u32,
    /// Length of the values of puts that are timed one by one
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(8..=1 << 20))]
    pub(crate) put_bytes: u32,
    /// Writers
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) writers: u16,
    /// Records of a batch
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) batch: u16,
    /// memory: deletes and puts after the load, in multiples of the keys
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) churn: u16,
    /// snapshot: random overwrites while it is held
    #[arg(long, value_name = "N", default_value = "10^6", value_parser = parse_keys)]
    pub(crate) overwrites: u64,
    /// open: opens of each kind, of which the medians count
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) opens: u16,
    /// open: log after the last checkpoint [default: as much as there is before the next is due]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) log_since: Option<u64>,
    /// tails: rounds, of which the medians count
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: u16,
    /// tails: seconds of a slice
    #[arg(long, value_name = "N", default_value = "2", value_parser = parse_seconds)]
    pub(crate) seconds: f64,
    /// Write the results as JSON to this file; - for stdout, instead of the table
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Leave the volume there; for one part
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
    /// What this process is to do for the one that started it
    #[arg(long, value_enum, hide = true, overrides_with = "role")]
    pub(crate) role: Option<Role>,
}

/// Arguments of `churn`.
#[derive(Debug, clap::Args)]
pub(crate) struct ChurnArgs {
    /// A file that does not exist yet; each run creates and removes it
    #[arg(value_name = "VOL")]
    pub(crate) volume: PathBuf,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART,...")]
    pub(crate) only: Vec<churn::Part>,
    /// Size of a volume
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = size::parse)]
    pub(crate) bytes: u64,
    /// Size of an extent [default: as the library chooses]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) extent_bytes: Option<u64>,
    /// uniform: live part of what the volume has room for, a run for each
    #[arg(long, value_name = "PART,...", value_delimiter = ',', default_value = "0.70,0.75,0.80", value_parser = parse_utilization)]
    pub(crate) utilization: Vec<f64>,
    /// Writers
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) writers: u16,
    /// Length of a value, where it is not a large one
    #[arg(long, value_name = "SIZE", default_value = "1K", value_parser = parse_value_bytes)]
    pub(crate) value_bytes: u64,
    /// Bytes of records that are overwritten, in multiples of the volume
    #[arg(long, value_name = "N", default_value = "4", value_parser = parse_times)]
    pub(crate) times: f64,
    /// tails: rounds, of which the medians count
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: u16,
    /// Seconds of a slice of the tails; the raw device takes as long for each run
    #[arg(long, value_name = "N", default_value = "10", value_parser = parse_seconds)]
    pub(crate) seconds: f64,
    /// Write the results as JSON to this file; - for stdout, instead of the table
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the results as a page with charts to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Whether to bypass the page cache
    #[arg(long, value_enum, default_value_t = Direct::Preferred)]
    pub(crate) direct: Direct,
}

/// Arguments of `reads`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReadsArgs {
    /// A file that does not exist yet; it is removed afterwards
    #[arg(value_name = "VOL")]
    pub(crate) volume: PathBuf,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART,...")]
    pub(crate) only: Vec<reads::Part>,
    /// Keys, such as 10^6
    #[arg(long, value_name = "N", default_value = "10^6", value_parser = parse_keys)]
    pub(crate) keys: u64,
    /// Length of a value
    #[arg(long, value_name = "SIZE", default_value = "1K", value_parser = parse_value_bytes)]
    pub(crate) value_bytes: u64,
    /// Rounds, of which the medians count
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: u16,
    /// Seconds of a slice
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_seconds)]
    pub(crate) seconds: f64,
    /// Bytes of values that the store may keep in memory
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size::parse)]
    pub(crate) cache_bytes: u64,
    /// Have the store issue reads by threads rather than io_uring
    #[arg(long)]
    pub(crate) no_io_uring: bool,
    /// Write the results as JSON to this file; - for stdout, instead of the table
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Whether to bypass the page cache
    #[arg(long, value_enum, default_value_t = Direct::Preferred)]
    pub(crate) direct: Direct,
}

fn parse_utilization(text: &str) -> Result<f64, String> {
    parse_within(text, 0.01, 0.99)
}

fn parse_times(text: &str) -> Result<f64, String> {
    parse_within(text, 0.01, 1000.0)
}

fn parse_value_bytes(text: &str) -> Result<u64, String> {
    match size::parse(text)? {
        bytes @ 8..=0x10_0000 => Ok(bytes),
        _ => Err("give 8 to 1M".to_owned()),
    }
}

fn parse_keys(text: &str) -> Result<u64, String> {
    match count::parse(text)? {
        keys @ 1..=10_000_000_000 => Ok(keys),
        _ => Err("give 1 to 10^10".to_owned()),
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    parse_within(text, 1.0, 1e8)
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    parse_within(text, 0.01, 3600.0)
}

fn parse_within(text: &str, least: f64, most: f64) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("give {least} to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_defined() {
        Args::command().debug_assert();
    }

    #[test]
    fn keys_are_counted_in_powers_too() {
        assert_eq!(parse_keys("10^7"), Ok(10_000_000));
        assert!(parse_keys("0").is_err() && parse_keys("10^11").is_err());
    }

    #[test]
    fn the_last_role_counts() {
        let words = ["extentdb", "scale", "x", "--role", "open", "--role", "writer"];
        let Command::Scale(args) = Args::try_parse_from(words).unwrap().command else {
            panic!("another command")
        };
        assert_eq!(args.role, Some(Role::Writer));
    }

    #[test]
    fn seconds_are_bounded() {
        assert_eq!(parse_seconds("0.5"), Ok(0.5));
        for text in ["0", "-1", "NaN", "inf", "4000", "x"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }
}
