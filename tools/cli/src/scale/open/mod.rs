//! Opening: after SIGKILL just before a checkpoint becomes due, and after a clean close; beside
//! the time that the raw device takes to read as much.
//!
//! 1. A writer, in a process of its own, fills the volume, calls for a checkpoint, writes as much
//!    as fits before the next one, and is killed.
//! 2. An opener, in a process of its own each time, opens the volume and answers with what that
//!    took; then it is killed too, so that the next one finds the same. Between two of them the
//!    raw device reads as many bytes from the same file.
//! 3. The same with openers that close the volume.

mod opener;
mod raw;
mod writer;

use super::child::{self, Child};
use super::part::{Part, Role};
use super::store::{self, Needs, Temporary};
use crate::args::ScaleArgs;
use crate::measure::median::median;
use crate::measure::row::{Row, Unit};
use crate::progress::Steps;
use anyhow::{Result, ensure};
use opener::Opened;
use writer::Written;

pub(super) use opener::run as run_opener;
pub(super) use writer::run as run_writer;

/// Keys that are overwritten last before the writer is killed, for the opener to look at.
const PROBES: u64 = 1000;
/// Their version.
const PROBE_VERSION: u64 = 2;

/// How a volume was left before it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Killed,
    Closed,
}

/// One open, and the raw device after it.
#[derive(Debug)]
struct Round {
    opened: Opened,
    /// Seconds that one reader took, and several.
    raw: [f64; 2],
}

/// Measures, and answers with rows.
pub(super) fn run(args: &ScaleArgs) -> Result<()> {
    let records = args.keys + writer::most_records(args);
    store::check_room(args, Needs { records, bytes: args.log_since.unwrap_or(0) })?;
    let volume = Temporary::volume(args)?;
    let mut writer = Child::spawn(Role::Writer)?;
    let written: Written = writer.expect()?;
    writer.kill()?;
    written.answer(args.keys)?;
    for left in [Left::Killed, Left::Closed] {
        if left == Left::Closed {
            open(args, left)?;
        }
        let steps = Steps::new(args.opens.into());
        let mut rounds = Vec::new();
        for _ in 0..args.opens {
            steps.begin(left.name());
            let opened = open(args, left)?;
            let raw = [1, raw::SEVERAL].map(|threads| raw::read(args, opened.read_bytes, threads));
            let [lone, several] = raw;
            rounds.push(Round { opened, raw: [lone?, several?] });
        }
        steps.finish();
        answer(left, &rounds)?;
    }
    drop(volume);
    Ok(())
}

/// Opens the volume in a process of its own, and leaves it as it is to be left.
fn open(args: &ScaleArgs, left: Left) -> Result<Opened> {
    let mut opener = Child::spawn(Role::Opener)?;
    let opened: Opened = opener.expect()?;
    match left {
        Left::Killed => opener.kill()?,
        Left::Closed => opener.finish()?,
    }
    ensure!(opened.keys == args.keys, "{} keys of {} came back", opened.keys, args.keys);
    for what in &opened.remarks {
        crate::progress::say(&format!("extentdb: {}: {what}", args.volume.display()));
    }
    Ok(opened)
}

/// The medians of `rounds`.
fn answer(left: Left, rounds: &[Round]) -> Result<()> {
    let of = |figure: fn(&Opened) -> f64| median(rounds.iter().map(|round| figure(&round.opened)));
    let raw = |n: usize| median(rounds.iter().map(|round| round.raw[n]));
    let name = left.name();
    let total = || row(format!("open {name}"), of(|o| o.total_s), Unit::Seconds);
    child::answer(&total().beside("raw, as many bytes, 1 reader", raw(0)))?;
    child::answer(&total().beside(format!("raw, {} readers", raw::SEVERAL), raw(1)))?;
    if let Some(first) = rounds.first() {
        // Only this one meets the end of the log as it was left: each open tidies it.
        let first = row("  the first of them", first.opened.total_s, Unit::Seconds);
        child::answer(&first.beside("median", of(|o| o.total_s)))?;
    }
    let phases = [
        ("  lock", of(|o| o.lock_s)),
        ("  replay", of(|o| o.replay_s)),
        ("  load", of(|o| o.load_s)),
        ("  begin", of(|o| o.begin_s)),
    ];
    for (phase, seconds) in phases {
        let seconds = row(phase, seconds, Unit::Seconds);
        child::answer(&seconds.beside("all of it", of(|o| o.total_s)))?;
    }
    let rate = row("  keys", of(|o| o.keys as f64 / o.total_s), Unit::PerSecond);
    child::answer(&rate)?;
    child::answer(&row("  bytes read", of(|o| o.read_bytes as f64), Unit::Bytes))?;
    let extents = row("  log extents walked", of(|o| o.walked_extents as f64), Unit::Count);
    let extents = extents.beside("in use", of(|o| o.log_extents as f64));
    child::answer(&extents)?;
    let peak = of(|o| o.peak_bytes as f64 / o.keys as f64);
    let after = of(|o| o.rss_bytes as f64 / o.keys as f64);
    let peak = row("  peak of RSS per key while it opens", peak, Unit::BytesPerKey);
    child::answer(&peak.beside("once it is open", after))
}

impl Left {
    fn name(self) -> &'static str {
        match self {
            Self::Killed => "after SIGKILL",
            Self::Closed => "after a clean close",
        }
    }
}

fn row(name: impl Into<String>, figure: f64, unit: Unit) -> Row {
    Row::new(Part::Open.name(), name, figure, unit)
}
