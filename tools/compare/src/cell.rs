//! What is measured of each store: one kind of work, with so many threads, on so many keys.

use crate::show;
use clap::ValueEnum;
use extentdb_measure::ycsb::Mix;
use serde::{Deserialize, Serialize};

/// Keys that a batch of gets asks for.
pub(crate) const BATCH: usize = 32;

/// What the threads do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// Every key once, in random order, in durable batches of up to 1 MiB.
    Load,
    /// Durable overwrites of random keys, one at a time.
    Put,
    /// Gets of random keys.
    Get,
    /// Gets of random keys of a few that fit in any cache, and were all read before.
    HotGet,
    /// Gets of 32 random keys at a time.
    MultiGet,
    /// So many records in the order of keys, from a random key on.
    Scan { records: usize },
    /// A mix of YCSB, with durable writes; its keys are zipfian.
    Ycsb { mix: Mix },
    /// Overwrites of random keys, until a multiple of the data is written.
    Churn,
    /// Opening and a first get, after the process before was killed while it wrote.
    Open,
}

/// What the command can be limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Puts,
    Gets,
    HotGets,
    MultiGets,
    Scans,
    Ycsb,
    Open,
    Churn,
}

/// A line of the comparison, before it is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) work: Work,
    pub(crate) threads: usize,
    pub(crate) value_bytes: usize,
    /// Keys that the store has.
    pub(crate) keys: u64,
    /// Bytes that the process may use, page cache included; `None` for as many as there are.
    pub(crate) memory: Option<u64>,
}

impl Cell {
    /// Which part of the comparison it belongs to; `None` for loading, which every part needs.
    pub(crate) fn part(&self) -> Option<Part> {
        Some(match self.work {
            Work::Load => return None,
            Work::Put => Part::Puts,
            Work::Get => Part::Gets,
            Work::HotGet => Part::HotGets,
            Work::MultiGet => Part::MultiGets,
            Work::Scan { .. } => Part::Scans,
            Work::Ycsb { .. } => Part::Ycsb,
            Work::Open => Part::Open,
            Work::Churn => Part::Churn,
        })
    }

    /// The heading under which it and its like are shown.
    pub(crate) fn group(&self) -> String {
        let size = show::bytes(self.value_bytes as f64);
        match self.work {
            Work::Load => "load".to_owned(),
            Work::Put => format!("durable puts of {size}"),
            Work::Get => "cold gets".to_owned(),
            Work::HotGet => "hot gets".to_owned(),
            Work::MultiGet => "cold multi-gets".to_owned(),
            Work::Scan { .. } => "cold scans".to_owned(),
            Work::Ycsb { .. } => "YCSB".to_owned(),
            Work::Churn => "churn".to_owned(),
            Work::Open => "open after kill -9".to_owned(),
        }
    }

    /// What tells it from others of its group.
    pub(crate) fn label(&self) -> String {
        let threads = |one: &str| match self.threads {
            1 => format!("1 {one}"),
            n => format!("{n} {one}s"),
        };
        match self.work {
            Work::Load => show::bytes(self.value_bytes as f64),
            Work::Put | Work::Churn => threads("writer"),
            Work::Get | Work::HotGet => threads("reader"),
            Work::MultiGet => format!("{BATCH} at a time"),
            Work::Scan { records } => format!("{records} records"),
            Work::Ycsb { mix } => mix.says().to_owned(),
            Work::Open => "killed while writing".to_owned(),
        }
    }

    /// All of it.
    pub(crate) fn title(&self) -> String {
        let (group, label) = (self.group(), self.label());
        let size = show::bytes(self.value_bytes as f64);
        let memory = match self.memory {
            Some(bytes) => format!(", in {} of memory", show::bytes(bytes as f64)),
            None => String::new(),
        };
        format!(
            "{group}, {label}: {} keys, values of {size}{memory}",
            show::count(self.keys as f64)
        )
    }

    /// What its rate counts.
    pub(crate) fn items(&self) -> &'static str {
        match self.work {
            Work::Load | Work::Put | Work::Churn => "puts",
            Work::Get | Work::HotGet | Work::MultiGet => "gets",
            Work::Scan { .. } => "records",
            Work::Ycsb { .. } => "operations",
            Work::Open => "opens",
        }
    }

    /// Whether it changes so much that one run must do.
    pub(crate) fn is_once(&self) -> bool {
        matches!(self.work, Work::Load | Work::Churn)
    }

    /// Bytes of a key and a value.
    pub(crate) fn record_bytes(&self) -> u64 {
        (crate::shape::KEY_BYTES + self.value_bytes) as u64
    }

    /// Bytes of all keys and values.
    pub(crate) fn dataset_bytes(&self) -> u64 {
        self.keys * self.record_bytes()
    }
}
