//! What is said on stderr while something goes on: a bar on a terminal, else a line now and then.

use crate::size;
use extentdb::OpenProgress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(100);

/// Writes a line to stderr. Where that fails, nobody is listening.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// How far a job that is measured in bytes has come. Shared by the threads that do it.
#[derive(Debug)]
pub(crate) struct Progress {
    verb: &'static str,
    bar: ProgressBar,
    /// Bytes there are, where that is known.
    total: Option<u64>,
    done: AtomicU64,
    begun: Instant,
    /// When the last line was written; `None` on a terminal, which shows the bar.
    last_line: Option<Mutex<Instant>>,
}

impl Progress {
    /// A job of `total` bytes, named by `verb`.
    pub(crate) fn bytes(verb: &'static str, total: u64) -> Self {
        let template = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}";
        Self::new(verb, Some(total), ProgressBar::new(total), template)
    }

    /// A job of unknown size.
    pub(crate) fn endless(verb: &'static str) -> Self {
        let template = "{msg} {spinner} {bytes} {bytes_per_sec} {elapsed}";
        Self::new(verb, None, ProgressBar::new_spinner(), template)
    }

    fn new(verb: &'static str, total: Option<u64>, bar: ProgressBar, template: &str) -> Self {
        let begun = Instant::now();
        let on_terminal = io::stderr().is_terminal();
        if on_terminal {
            style(&bar, template);
            bar.set_message(verb);
            bar.enable_steady_tick(TICK);
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let last_line = (!on_terminal).then(|| Mutex::new(begun));
        Self { verb, bar, total, done: AtomicU64::new(0), begun, last_line }
    }

    /// `bytes` more are done.
    pub(crate) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.line_if_due(done);
    }

    /// `bytes` that were done have to be done again.
    pub(crate) fn retract(&self, bytes: u64) {
        self.bar.dec(bytes);
        self.done.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// `done` bytes are done by now.
    pub(crate) fn set(&self, done: u64) {
        self.bar.set_position(done);
        self.done.store(done, Ordering::Relaxed);
        self.line_if_due(done);
    }

    /// Says something in between.
    pub(crate) fn note(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }

    /// `reader`, whose bytes count as done when they are read.
    pub(crate) fn watch<R: Read>(&self, reader: R) -> Watched<'_, R> {
        Watched { reader, progress: self }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Time since the job began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    fn line_if_due(&self, done: u64) {
        let Some(last) = &self.last_line else { return };
        // Whoever holds the lock is writing a line.
        let Ok(mut last) = last.try_lock() else { return };
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            say(&self.line(done));
        }
    }

    fn line(&self, done: u64) -> String {
        let rate = done as f64 / self.elapsed().as_secs_f64();
        let shown = format!("{} {}", self.verb, size::show(done));
        match self.total {
            Some(total) => {
                let eta = total.saturating_sub(done) as f64 / rate;
                let (total, rate) = (size::show(total), size::show(rate as u64));
                format!("{shown} of {total}, {rate}/s, ETA {eta:.0} s")
            }
            None => format!("{shown}, {}/s", size::show(rate as u64)),
        }
    }
}

/// A reader that shows how far it is read.
#[derive(Debug)]
pub(crate) struct Watched<'a, R> {
    reader: R,
    progress: &'a Progress,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.reader.read(buf)?;
        self.progress.advance(len as u64);
        Ok(len)
    }
}

/// How far the phases of a benchmark have come.
#[derive(Debug)]
pub(crate) struct Steps {
    bar: ProgressBar,
    on_terminal: bool,
}

impl Steps {
    /// `total` steps.
    pub(crate) fn new(total: u64) -> Self {
        let bar = ProgressBar::new(total);
        let on_terminal = io::stderr().is_terminal();
        if on_terminal {
            style(&bar, "[{pos}/{len}] {elapsed} {msg}");
            bar.enable_steady_tick(TICK);
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { bar, on_terminal }
    }

    /// Begins the next step.
    pub(crate) fn begin(&self, what: &str) {
        self.bar.inc(1);
        self.bar.set_message(what.to_owned());
        if !self.on_terminal {
            let (now, of) = (self.bar.position(), self.bar.length().unwrap_or(0));
            say(&format!("[{now}/{of}] {what}"));
        }
    }

    /// Runs `print`, which writes where the bar is.
    pub(crate) fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        self.bar.suspend(print)
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Opens that take less time than this show nothing.
const QUICK: Duration = Duration::from_millis(500);

/// How far the opening of a volume has come. Shown on a terminal, where it takes long.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    begun: Instant,
    shown: Arc<Mutex<Option<(Step, Progress)>>>,
}

/// What an open is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Reading the log since the checkpoint, which may be read meanwhile.
    Replay,
    /// Reading the checkpoint.
    Load { bytes: u64 },
}

impl Step {
    /// With so many bytes of the checkpoint loaded, of `bytes`.
    fn of(loaded: u64, bytes: u64) -> Self {
        if loaded < bytes { Self::Load { bytes } } else { Self::Replay }
    }

    fn begin(self) -> Progress {
        match self {
            Self::Replay => {
                let template = "opening {spinner} {pos} log extents replayed, {elapsed}";
                let bar = ProgressBar::new_spinner();
                Progress::new("opening: log extents replayed:", None, bar, template)
            }
            Self::Load { bytes } => Progress::bytes("opening: checkpoint", bytes),
        }
    }
}

impl Opening {
    /// Nothing is shown yet.
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), shown: Arc::new(Mutex::new(None)) }
    }

    /// Shows how much of the log has been replayed, or how much of the checkpoint loaded.
    pub(crate) fn show(&self, progress: &OpenProgress) {
        if self.begun.elapsed() < QUICK || !io::stderr().is_terminal() {
            return;
        }
        let step = Step::of(progress.loaded_bytes, progress.image_bytes);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, ended)) = shown.take_if(|(before, _)| *before != step) {
            ended.finish();
        }
        let (_, bar) = shown.get_or_insert_with(|| (step, step.begin()));
        bar.set(match step {
            Step::Replay => progress.log_extents,
            Step::Load { .. } => progress.loaded_bytes,
        });
    }

    /// Takes what was shown away.
    pub(crate) fn finish(&self) {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, shown)) = &*shown {
            shown.finish();
        }
    }
}

/// A template that indicatif does not take leaves its default style.
fn style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_rate_and_time_left() {
        let mut progress = Progress::bytes("imported", 4 << 20);
        progress.begun = Instant::now() - Duration::from_secs(10);
        progress.advance(1 << 20);
        let line = progress.line(1 << 20);
        assert_eq!(line, "imported 1.0 MiB of 4.0 MiB, 102.4 KiB/s, ETA 30 s");
    }

    #[test]
    fn a_log_that_takes_longer_than_the_checkpoint_is_shown() {
        assert_eq!(Step::of(0, 0), Step::Replay);
        assert_eq!(Step::of(0, 100), Step::Load { bytes: 100 });
        assert_eq!(Step::of(100, 100), Step::Replay);
    }

    #[test]
    fn what_is_retracted_does_not_count() {
        let progress = Progress::bytes("imported", 100);
        progress.advance(50);
        progress.retract(20);
        assert_eq!(progress.done.load(Ordering::Relaxed), 30);
    }
}
