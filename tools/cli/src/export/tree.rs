//! The directory tree that is written.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

/// A directory in which directories are made as they are needed.
#[derive(Debug)]
pub(super) struct TargetTree {
    root: PathBuf,
    /// Directories under the root that are known to be there.
    known: RwLock<HashSet<PathBuf>>,
}

impl TargetTree {
    /// The tree at `root`, which is made if it is absent.
    pub(super) fn at(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self { root: root.to_owned(), known: RwLock::default() })
    }

    /// Makes the directory that `path` lies in. Returns it, and the whole path.
    pub(super) fn make_room(&self, path: &Path) -> io::Result<(PathBuf, PathBuf)> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if !self.is_known(parent) {
            self.make(parent)?;
        }
        Ok((self.root.join(parent), self.root.join(path)))
    }

    /// Makes all that was written in it durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(nix::unistd::syncfs(File::open(&self.root)?)?)
    }

    fn is_known(&self, directory: &Path) -> bool {
        directory.as_os_str().is_empty()
            || self.known.read().unwrap_or_else(PoisonError::into_inner).contains(directory)
    }

    fn make(&self, directory: &Path) -> io::Result<()> {
        let mut made = PathBuf::new();
        for component in directory {
            made.push(component);
            if !self.is_known(&made) {
                self.make_one(&made)?;
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                known.insert(made.clone());
            }
        }
        Ok(())
    }

    /// A symbolic link is no directory here: it may lead out of the tree.
    fn make_one(&self, directory: &Path) -> io::Result<()> {
        let path = self.root.join(directory);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if fs::symlink_metadata(&path)?.is_dir() {
                    return Ok(());
                }
                let name: OsString = directory.into();
                Err(io::Error::other(format!("{} is not a directory", name.display())))
            }
            made => made,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn directories_are_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let tree = TargetTree::at(&dir.path().join("new/root")).unwrap();
        for _ in 0..2 {
            let (parent, target) = tree.make_room(Path::new("a/b/c")).unwrap();
            assert!(parent.is_dir());
            assert_eq!(target, dir.path().join("new/root/a/b/c"));
        }
        tree.make_room(Path::new("top")).unwrap();
        tree.sync().unwrap();
    }

    #[test]
    fn links_and_files_are_no_directories() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/tmp", dir.path().join("link")).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let tree = TargetTree::at(dir.path()).unwrap();
        for path in ["link/x", "file/x", "link/x/y"] {
            assert!(tree.make_room(Path::new(path)).is_err(), "{path}");
        }
    }
}
