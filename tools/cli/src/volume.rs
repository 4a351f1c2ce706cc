//! Opening the volume that a command works on.

use crate::args::{CreateArgs, OpenArgs};
use crate::progress;
use extentdb::{Db, Options, Result};
use std::path::Path;

/// Opens the volume at `path`, which must exist.
pub(crate) fn open_existing(path: &Path, args: &OpenArgs) -> Result<Db> {
    finish(options(args).create(false), path)
}

/// Opens the volume at `path`, creating it if it is absent.
pub(crate) fn open_or_create(path: &Path, args: &CreateArgs) -> Result<Db> {
    finish(creating(args), path)
}

/// The options that `args` ask for.
pub(crate) fn creating(args: &CreateArgs) -> Options {
    let options = options(&args.open).create_new(args.create_new);
    match args.volume_bytes {
        Some(bytes) => options.volume_bytes(bytes),
        None => options,
    }
}

fn options(args: &OpenArgs) -> Options {
    let options = Options::new().direct_io(args.direct.into());
    match args.max_bytes {
        Some(bytes) => options.max_bytes(bytes),
        None => options,
    }
}

/// Opens the volume, and says what an operator should know about it.
fn finish(options: Options, path: &Path) -> Result<Db> {
    let watch = progress::Opening::new();
    let shown = watch.clone();
    let db = options.on_open_progress(move |progress| shown.show(progress)).open(path);
    watch.finish();
    let db = db?;
    let report = db.open_report();
    for warning in report.warnings.iter().chain(&report.repaired) {
        progress::say(&format!("extentdb: {}: {warning}", path.display()));
    }
    Ok(db)
}
