//! Errors as text.

use anyhow::Error;
use std::io::{self, ErrorKind};

/// `error` with its causes, each said once: the library's own errors quote theirs already.
pub(crate) fn explain(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Whether the reader of our output went away.
pub(crate) fn is_broken_pipe(error: &Error) -> bool {
    let broken = |io: &io::Error| io.kind() == ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(broken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_is_quoted_is_not_repeated() {
        let error = Error::new(io::Error::other("disk on fire")).context("read: disk on fire");
        assert_eq!(explain(&error), "read: disk on fire");
        assert_eq!(explain(&error.context("copying")), "copying: read: disk on fire");
    }

    #[test]
    fn a_broken_pipe_is_found_among_the_causes() {
        let pipe = Error::new(io::Error::from(ErrorKind::BrokenPipe)).context("writing");
        assert!(is_broken_pipe(&pipe));
        assert!(!is_broken_pipe(&Error::msg("other")));
    }
}
