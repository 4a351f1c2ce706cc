//! The processes that this one starts: itself, each with a task.

use crate::message::Message;
use crate::outcome::Outcome;
use crate::task::Task;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::{self, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// A process at work. It is killed, with SIGKILL, when it is dropped.
pub(crate) struct Child {
    process: process::Child,
    messages: Receiver<Message>,
    deadline: Instant,
}

impl Child {
    /// Starts `task`, which is to end within `time`.
    pub(crate) fn start(task: &Task, time: Duration) -> Result<Self> {
        let mut process = Command::new("/proc/self/exe")
            .args(["--task", &serde_json::to_string(task)?])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start another process")?;
        let stdout = process.stdout.take().context("the process has no output")?;
        Ok(Self { process, messages: listen(stdout), deadline: Instant::now() + time })
    }

    /// Waits until it may be killed.
    pub(crate) fn wait_until_ready(&mut self) -> Result<()> {
        match self.next()? {
            Message::Ready => Ok(()),
            Message::Failed(why) => bail!(why),
            other => bail!("the process says {other:?}"),
        }
    }

    /// Waits until it is done. `progress` hears how much of how much it has done.
    pub(crate) fn wait(mut self, progress: impl Fn(u64, u64)) -> Result<Outcome> {
        loop {
            match self.next()? {
                Message::Ready => {}
                Message::Progress { done, of } => progress(done, of),
                Message::Done(outcome) => {
                    // It closes its output when it ends.
                    self.process.wait()?;
                    return Ok(outcome);
                }
                Message::Failed(why) => bail!(why),
            }
        }
    }

    fn next(&mut self) -> Result<Message> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.messages.recv_timeout(left) {
            Ok(message) => Ok(message),
            Err(RecvTimeoutError::Timeout) => bail!("took too long, and was killed"),
            Err(RecvTimeoutError::Disconnected) => bail!("ended early: {}", self.process.wait()?),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads what a process says, so that waiting for it can end.
fn listen(stdout: ChildStdout) -> Receiver<Message> {
    let (sender, messages) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Libraries may print; only our lines are messages.
            let Ok(message) = serde_json::from_str(&line) else { continue };
            if sender.send(message).is_err() {
                break;
            }
        }
    });
    messages
}
