//! `extentdb check`: reads and verifies everything.

use crate::Outcome;
use crate::args::CheckArgs;
use crate::progress::Progress;
use crate::{size, volume};
use anyhow::Result;
use extentdb::{CheckReport, Db, Error};
use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Time between looks at how much has been read.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Prints every problem; damage that keeps the volume from opening is one.
pub(crate) fn run(args: &CheckArgs) -> Result<Outcome> {
    let db = match volume::open_existing(&args.volume, &args.open) {
        Err(error @ Error::Corrupt { .. }) => {
            writeln!(io::stdout(), "{error}\ndamaged: the volume does not open")?;
            return Ok(Outcome::Damaged);
        }
        db => db?,
    };
    let report = watched(&db)?;
    print(&report)?;
    db.close()?;
    Ok(if report.is_clean() { Outcome::Done } else { Outcome::Damaged })
}

/// Checks, and shows how much has been read meanwhile.
fn watched(db: &Db) -> extentdb::Result<CheckReport> {
    let progress = Progress::endless("checked");
    let before = db.metrics().read_bytes;
    let (done, is_done) = mpsc::channel::<()>();
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            let is_done = is_done;
            while is_done.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                progress.set(db.metrics().read_bytes - before);
            }
        });
        let report = db.check();
        drop(done);
        report
    });
    progress.finish();
    report
}

fn print(report: &CheckReport) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for problem in &report.problems {
        writeln!(out, "{problem}")?;
    }
    let verdict = match report.problems.len() {
        0 => "clean".to_owned(),
        1 => "damaged, 1 problem".to_owned(),
        problems => format!("damaged, {problems} problems"),
    };
    writeln!(
        out,
        "{verdict}: {} keys, {} of values, {} batches in {} log extents, {} slices of checkpoints",
        report.keys,
        size::show(report.value_bytes),
        report.batches,
        report.log_extents,
        report.slices,
    )
}
