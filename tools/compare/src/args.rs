//! The command line.

use crate::cell::Part;
use crate::peer::Kind;
use anyhow::{Result, ensure};
use clap::Parser;
use std::path::PathBuf;

/// Measures extentdb beside its peers and the raw device: the same work, in rounds, each store in a
/// process of its own. Writes compare.json, compare.txt and compare.html, and removes the stores.
#[derive(Debug, Clone, Parser)]
#[command(name = "compare", version)]
pub(crate) struct Args {
    /// Folder on the disk to measure; the stores go to a folder of their own in it.
    #[arg(long, default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Folder for the results.
    #[arg(long, default_value = "compare-results")]
    pub(crate) out: PathBuf,
    /// Keys of each store, as 1000000 or 1e6; fewer where their values would be more than --most-mib.
    #[arg(long, default_value = "1e6", value_parser = number)]
    pub(crate) keys: u64,
    /// The most that is loaded into one store, in MiB.
    #[arg(long, default_value_t = 1024)]
    pub(crate) most_mib: u64,
    /// Time of one measurement, in seconds.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    pub(crate) seconds: f64,
    /// The longest time of churn, in seconds.
    #[arg(long, default_value_t = 60.0, value_parser = positive)]
    pub(crate) churn_seconds: f64,
    /// Churn ends when this many times the data has been overwritten.
    #[arg(long, default_value_t = 1.5, value_parser = positive)]
    pub(crate) churn: f64,
    /// How often each thing is measured; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=99))]
    pub(crate) rounds: u64,
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Part>,
    /// Only these stores.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) peers: Vec<Kind>,
    /// Only values of these sizes, in bytes.
    #[arg(long, value_delimiter = ',')]
    pub(crate) values: Vec<usize>,
    /// For the processes that this one starts.
    #[arg(long, hide = true)]
    pub(crate) task: Option<String>,
}

impl Args {
    /// The stores to measure, in order.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        if self.peers.is_empty() {
            return Kind::ALL.to_vec();
        }
        let mut kinds = self.peers.clone();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// Fails where there is not enough room on the disk for all stores.
    pub(crate) fn check_room(&self) -> Result<()> {
        /// What a store may take of the disk for each byte that is in it.
        const SPACE: u64 = 3;
        let disk = nix::sys::statvfs::statvfs(&self.dir)?;
        let free = disk.blocks_available() * disk.fragment_size();
        let need = (self.most_mib << 20) * SPACE * self.kinds().len() as u64;
        ensure!(
            free >= need,
            "the stores may need {} MiB of disk, and {} are free: lower --most-mib",
            need >> 20,
            free >> 20
        );
        Ok(())
    }
}

fn number(text: &str) -> Result<u64, String> {
    let number: f64 = text.parse().map_err(|_| "give a number, as 1000000 or 1e6".to_owned())?;
    if (1.0..1e12).contains(&number) { Ok(number as u64) } else { Err("from 1 to 1e12".to_owned()) }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && number < 1e6 => Ok(number),
        _ => Err("give a number above 0".to_owned()),
    }
}
