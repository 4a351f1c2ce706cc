//! What is said on stderr while it goes on: a bar on a terminal, else a line now and then.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Time between lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(200);

/// How far the steps have come.
pub(crate) struct Progress {
    bar: ProgressBar,
    what: RefCell<String>,
    begun: Instant,
    /// When the last line was written; `None` on a terminal.
    last: Option<Cell<Option<Instant>>>,
}

impl Progress {
    /// `steps` steps.
    pub(crate) fn new(steps: usize) -> Self {
        let bar = ProgressBar::new(steps as u64);
        let on_terminal = io::stderr().is_terminal();
        if on_terminal {
            let style = ProgressStyle::with_template("[{pos}/{len}] {elapsed}, ETA {eta} {msg}");
            // A template that does not parse leaves the default style.
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(TICK);
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let last = (!on_terminal).then(|| Cell::new(None));
        Self { bar, what: RefCell::new(String::new()), begun: Instant::now(), last }
    }

    /// Begins a step.
    pub(crate) fn begin(&self, what: String) {
        self.bar.set_message(what.clone());
        self.what.replace(what);
        self.line_if_due("");
    }

    /// The step has done `done` of `of`.
    pub(crate) fn part(&self, done: u64, of: u64) {
        let part = format!(", {} %", done * 100 / of.max(1));
        self.bar.set_message(format!("{}{part}", self.what.borrow()));
        self.line_if_due(&part);
    }

    /// Ends a step.
    pub(crate) fn end(&self) {
        self.bar.inc(1);
    }

    /// Says something in between.
    pub(crate) fn note(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line_if_due(&self, part: &str) {
        let Some(last) = &self.last else { return };
        if last.get().is_some_and(|last| last.elapsed() < LINE_EVERY) {
            return;
        }
        last.set(Some(Instant::now()));
        let (now, of) = (self.bar.position() + 1, self.bar.length().unwrap_or(0));
        let elapsed = self.begun.elapsed().as_secs();
        say(&format!("[{now}/{of}] {elapsed} s: {}{part}", self.what.borrow()));
    }
}

/// Where that fails, nobody is listening.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
