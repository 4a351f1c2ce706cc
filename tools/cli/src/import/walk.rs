//! Finding the files of a tree.

use std::fmt;
use std::fs::{self, DirEntry, FileType, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What a directory holds.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Regular files, in no order that matters.
    pub(super) files: Vec<SourceFile>,
    /// Bytes of all of them.
    pub(super) bytes: u64,
    /// What is passed over, or could not be read.
    pub(super) remarks: Vec<Remark>,
}

/// A file to import.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SourceFile {
    /// Path from the root of the tree, which is also the key.
    pub(super) key: Vec<u8>,
    /// Length in bytes when it was found.
    pub(super) len: u64,
}

/// Something that is not imported.
#[derive(Debug)]
pub(super) enum Remark {
    /// It is nothing that is imported.
    PassedOver(PathBuf, &'static str),
    /// It could not be looked at.
    Unreadable(PathBuf, io::Error),
}

impl Remark {
    /// Whether it should have been imported.
    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Self::Unreadable(..))
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PassedOver(path, what) => write!(f, "passed over {}: {what}", path.display()),
            Self::Unreadable(path, error) => write!(f, "cannot read {}: {error}", path.display()),
        }
    }
}

/// All that is under `root`, without following symbolic links and without `volume`, should that
/// be there too.
pub(super) fn walk(root: &Path, volume: &Metadata) -> Tree {
    let mut walk = Walk { tree: Tree::default(), volume: (volume.dev(), volume.ino()) };
    let mut directories = vec![(root.to_owned(), Vec::new())];
    while let Some((path, prefix)) = directories.pop() {
        match walk.directory(&path, &prefix) {
            Ok(found) => directories.extend(found),
            Err(error) => walk.tree.remarks.push(Remark::Unreadable(path, error)),
        }
    }
    walk.tree
}

/// A directory, and the beginning of the keys in it.
type Directory = (PathBuf, Vec<u8>);

struct Walk {
    tree: Tree,
    /// Device and inode of the volume.
    volume: (u64, u64),
}

impl Walk {
    /// Takes in the files of one directory. Returns the directories in it.
    fn directory(&mut self, path: &Path, prefix: &[u8]) -> io::Result<Vec<Directory>> {
        let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(DirEntry::file_name);
        if entries.is_empty() {
            self.pass_over(path, "empty directory");
        }
        let mut directories = Vec::new();
        for entry in entries {
            let key = [prefix, entry.file_name().as_bytes()].concat();
            match self.entry(&entry, key) {
                Ok(found) => directories.extend(found),
                Err(error) => self.tree.remarks.push(Remark::Unreadable(entry.path(), error)),
            }
        }
        Ok(directories)
    }

    fn entry(&mut self, entry: &DirEntry, mut key: Vec<u8>) -> io::Result<Option<Directory>> {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            key.push(b'/');
            return Ok(Some((entry.path(), key)));
        }
        if kind.is_file() {
            self.file(&entry.path(), &entry.metadata()?, key);
        } else {
            self.pass_over(&entry.path(), name_of(kind));
        }
        Ok(None)
    }

    fn file(&mut self, path: &Path, meta: &Metadata, key: Vec<u8>) {
        if (meta.dev(), meta.ino()) == self.volume {
            return self.pass_over(path, "the volume itself");
        }
        self.tree.bytes += meta.len();
        self.tree.files.push(SourceFile { key, len: meta.len() });
    }

    fn pass_over(&mut self, path: &Path, what: &'static str) {
        self.tree.remarks.push(Remark::PassedOver(path.to_owned(), what));
    }
}

fn name_of(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "symbolic link"
    } else if kind.is_socket() {
        "socket"
    } else if kind.is_fifo() {
        "named pipe"
    } else {
        "device"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn files_are_found_and_the_rest_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir(at("empty")).unwrap();
        fs::write(at("a/b/deep"), "12345").unwrap();
        fs::write(at("a-file"), "").unwrap();
        fs::write(at("volume"), "not me").unwrap();
        symlink("a", at("link")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();

        let mut tree = walk(dir.path(), &fs::metadata(at("volume")).unwrap());
        tree.files.sort_by(|a, b| a.key.cmp(&b.key));
        let found: Vec<_> = tree.files.iter().map(|file| (&file.key[..], file.len)).collect();
        assert_eq!(found, [(&b"a-file"[..], 0), (b"a/b/deep", 5)]);
        assert_eq!(tree.bytes, 5);
        let mut remarks: Vec<_> = tree.remarks.iter().map(ToString::to_string).collect();
        remarks.sort();
        let expected = ["empty: empty directory", "link: symbolic link", "socket: socket"];
        assert!(remarks.iter().zip(expected).all(|(remark, end)| remark.ends_with(end)));
        assert!(remarks.last().unwrap().ends_with("volume: the volume itself"));
        assert_eq!(remarks.len(), 4);
    }
}
