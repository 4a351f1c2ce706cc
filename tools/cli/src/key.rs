//! Keys on the command line.

use crate::args::KeyArgs;
use anyhow::{Result, bail};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

impl KeyArgs {
    /// The key that `argument` stands for.
    pub(crate) fn read(&self, argument: &OsStr) -> Result<Vec<u8>> {
        let bytes = argument.as_bytes();
        if self.escaped { unescape(bytes) } else { Ok(bytes.to_vec()) }
    }
}

/// The bytes that `<[u8]>::escape_ascii` showed as `text`.
fn unescape(text: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'\\' { escape(&mut rest)? } else { byte });
    }
    Ok(bytes)
}

/// The byte that stands after a backslash.
fn escape(rest: &mut impl Iterator<Item = u8>) -> Result<u8> {
    Ok(match rest.next() {
        Some(b't') => b'\t',
        Some(b'r') => b'\r',
        Some(b'n') => b'\n',
        Some(b'0') => 0,
        Some(byte @ (b'\\' | b'\'' | b'"')) => byte,
        Some(b'x') => match (hex_digit(rest.next()), hex_digit(rest.next())) {
            (Some(high), Some(low)) => high << 4 | low,
            _ => bail!("\\x in an escaped key needs two hexadecimal digits"),
        },
        Some(byte) => bail!("\\{} is no escape; keys are given escaped", byte.escape_ascii()),
        None => bail!("an escaped key ends with a single backslash"),
    })
}

fn hex_digit(byte: Option<u8>) -> Option<u8> {
    char::from(byte?).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_comes_back() {
        let every: Vec<u8> = (0..=255).collect();
        let shown = every.escape_ascii().to_string();
        assert_eq!(unescape(shown.as_bytes()).unwrap(), every);
    }

    #[test]
    fn what_is_no_escape_is_refused() {
        for text in ["\\", "\\x", "\\x1", "\\xg0", "\\q"] {
            assert!(unescape(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn unescaped_keys_are_taken_as_they_are() {
        let read = |escaped, text: &[u8]| KeyArgs { escaped }.read(OsStr::from_bytes(text));
        assert_eq!(read(false, b"a\\n\xff").unwrap(), b"a\\n\xff");
        assert_eq!(read(true, b"a\\n\xff").unwrap(), b"a\n\xff");
    }
}
