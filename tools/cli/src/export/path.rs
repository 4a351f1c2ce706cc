//! Keys as paths.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The path that `key` is, from the root of the tree on; or why it is none within it.
pub(super) fn relative(key: &[u8]) -> Result<PathBuf, &'static str> {
    if key.contains(&0) {
        return Err("it has a NUL byte, which no path has");
    }
    if key.first() == Some(&b'/') {
        return Err("it is an absolute path");
    }
    let mut path = PathBuf::new();
    for component in key.split(|&byte| byte == b'/') {
        path.push(match component {
            b"" => return Err("it has an empty component"),
            b"." => return Err("it has the component `.`"),
            b".." => return Err("it leads out of the directory"),
            name => OsStr::from_bytes(name),
        });
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_within_the_tree_are_taken() {
        for key in [&b"a"[..], b"a/b", b"a b/\xff", b"...", b"..a/b..", b"a\\b"] {
            assert_eq!(relative(key).unwrap().as_os_str().as_bytes(), key);
        }
    }

    #[test]
    fn what_leads_out_or_is_no_path_is_refused() {
        let keys = ["", "/", "/a", "a/", "a//b", "..", "../x", "a/../b", "a/..", ".", "a/./b"];
        for key in keys {
            assert!(relative(key.as_bytes()).is_err(), "{key}");
        }
        assert!(relative(b"a\0b").is_err());
    }
}
