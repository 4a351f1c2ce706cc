//! Processes that this command starts: itself, in another role. They answer in lines of JSON.

use super::part::Role;
use anyhow::{Context, Result, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::env;
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};

/// A process in another role. It is killed, with SIGKILL, if it is dropped.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts this program again with the same command line, in another role.
    pub(super) fn spawn(role: Role) -> Result<Self> {
        let role = match role {
            Role::Memory => "memory",
            Role::Snapshot => "snapshot",
            Role::Open => "open",
            Role::Tails => "tails",
            Role::Btree => "btree",
            Role::Writer => "writer",
            Role::Opener => "opener",
        };
        let mut process = Command::new("/proc/self/exe")
            .args(env::args_os().skip(1))
            .args(["--role", role])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start another process")?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().context("the process has no output")?;
        Ok(Self { process, stdin, lines: BufReader::new(stdout).lines() })
    }

    /// The next answer; `None` once it has ended.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let Some(line) = self.lines.next().transpose()? else { return Ok(None) };
        serde_json::from_str(&line).map(Some).context("the process says something else")
    }

    /// The answer that must come.
    pub(super) fn expect<T: DeserializeOwned>(&mut self) -> Result<T> {
        match self.next()? {
            Some(answer) => Ok(answer),
            None => bail!("the process that was started gave up; it said why"),
        }
    }

    /// Kills it with SIGKILL.
    pub(super) fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Lets it go on and end, which it must without a failure.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.stdin.take());
        let status = self.process.wait()?;
        if !status.success() {
            bail!("the process that was started ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Has this process killed when the one that started it ends, however that comes about.
pub(super) fn end_with_parent() -> Result<()> {
    Ok(set_pdeathsig(Signal::SIGKILL)?)
}

/// Answers the process that started this one.
pub(super) fn answer<T: Serialize>(answer: &T) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(answer)?)?;
    Ok(out.flush()?)
}

/// Waits until the process that started this one lets it go on, or has ended.
pub(super) fn wait_to_go_on() -> Result<()> {
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
