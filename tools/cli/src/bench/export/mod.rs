//! The latencies of a run, for others to read: an interval log, percentiles as text, a page.

mod hgrm;
mod hlog;
mod page;
mod plots;
mod track;

use super::report::Report;
use crate::args::BenchArgs;
use crate::measure::sample::Sample;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;
use track::Track;

/// All that was timed, in the order in which it began.
#[derive(Debug, Default)]
pub(super) struct Tracks(Vec<Track>);

impl Tracks {
    /// A slice of what `names` say, part and operation, was measured on `side`.
    pub(super) fn note(&mut self, names: [&str; 3], side: &'static str, sample: &Sample) {
        if sample.ops() == 0 {
            return;
        }
        let is_of = |track: &&mut Track| track.names == names && track.side == side;
        if let Some(track) = self.0.iter_mut().find(is_of) {
            return track.add(sample);
        }
        let mut track = Track::new(names, side);
        track.add(sample);
        self.0.push(track);
    }

    /// Writes what `args` ask for.
    pub(super) fn write(&self, args: &BenchArgs, report: &Report) -> Result<()> {
        if let Some(path) = &args.hlog {
            hlog(&self.0, path).with_context(|| path.display().to_string())?;
        }
        if let Some(dir) = &args.hgrm {
            hgrm(&self.0, dir).with_context(|| dir.display().to_string())?;
        }
        match &args.html {
            Some(path) => fs::write(path, page::page(report, &self.0))
                .with_context(|| path.display().to_string()),
            None => Ok(()),
        }
    }
}

fn hlog(tracks: &[Track], path: &Path) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    hlog::write(tracks, &mut file)?;
    file.into_inner()?.sync_all()?;
    Ok(())
}

/// A file for each track, named by it.
fn hgrm(tracks: &[Track], dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    for track in tracks {
        fs::write(dir.join(format!("{}.hgrm", track.tag())), hgrm::text(&track.latencies))?;
    }
    Ok(())
}
