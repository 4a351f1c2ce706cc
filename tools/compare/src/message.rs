//! What a process says to the one that started it, a line of JSON each.

use crate::outcome::Outcome;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// A line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Message {
    /// It may be killed from now on.
    Ready,
    /// It has done this much of a long task.
    Progress { done: u64, of: u64 },
    /// It has done all.
    Done(Outcome),
    /// It could not.
    Failed(String),
}

/// Says it to the process that started this one.
pub(crate) fn say(message: &Message) -> Result<()> {
    let mut line = serde_json::to_string(message)?;
    line.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    Ok(out.flush()?)
}
