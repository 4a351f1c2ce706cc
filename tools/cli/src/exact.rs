//! A file that is read as it was when it was opened, or not at all.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::time::SystemTime;

/// Reads as many bytes as the file had when it was opened. Fails, before it has returned the
/// last of them, if the file has changed meanwhile; so whoever needs all of them stores nothing.
#[derive(Debug)]
pub(crate) struct ExactFile {
    file: File,
    len: u64,
    left: u64,
    modified: Option<SystemTime>,
}

impl ExactFile {
    /// `file`, which must be a regular one, from its beginning.
    pub(crate) fn of(file: File) -> io::Result<Self> {
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(Self { file, len: meta.len(), left: meta.len(), modified: modified(&meta) })
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// All of it.
    pub(crate) fn read_whole(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.len).map_err(io::Error::other)?];
        if bytes.is_empty() {
            self.check_unchanged()?;
        }
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn check_unchanged(&self) -> io::Result<()> {
        let meta = self.file.metadata()?;
        if meta.len() != self.len {
            let now = meta.len();
            return Err(changed(&format!("it had {} bytes, now it has {now}", self.len)));
        }
        if modified(&meta) != self.modified {
            return Err(changed("it was written to"));
        }
        Ok(())
    }
}

impl Read for ExactFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let wanted = self.left.min(buf.len() as u64) as usize;
        if wanted == 0 {
            return Ok(0);
        }
        let len = self.file.read(&mut buf[..wanted])?;
        if len == 0 {
            return Err(changed(&format!("{} of its {} bytes are gone", self.left, self.len)));
        }
        self.left -= len as u64;
        if self.left == 0 {
            self.check_unchanged()?;
        }
        Ok(len)
    }
}

fn modified(meta: &Metadata) -> Option<SystemTime> {
    meta.modified().ok()
}

fn changed(how: &str) -> io::Error {
    io::Error::other(format!("the file changed while it was read: {how}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::path::Path;

    fn exact(path: &Path) -> io::Result<ExactFile> {
        ExactFile::of(File::open(path)?)
    }

    fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn an_unchanged_file_is_read_whole() {
        for bytes in [&b""[..], b"x", &[7; 100_000]] {
            let file = file_of(bytes);
            assert_eq!(exact(file.path()).unwrap().read_whole().unwrap(), bytes);
        }
    }

    #[test]
    fn a_file_that_grows_is_not_read_to_its_end() {
        for before in [&b""[..], b"before"] {
            let mut file = file_of(before);
            let source = exact(file.path()).unwrap();
            file.write_all(b"more").unwrap();
            let error = source.read_whole().unwrap_err();
            assert!(error.to_string().contains("changed while it was read"), "{error}");
        }
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let file = file_of(b"before");
        let source = exact(file.path()).unwrap();
        file.as_file().set_len(2).unwrap();
        let error = source.read_whole().unwrap_err();
        assert!(error.to_string().contains("4 of its 6 bytes are gone"), "{error}");
    }

    #[test]
    fn a_file_that_is_written_in_place_is_an_error() {
        let file = file_of(b"before");
        let mut source = exact(file.path()).unwrap();
        let mut first = [0; 2];
        source.read_exact(&mut first).unwrap();
        file.as_file().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(source.read_exact(&mut [0; 4]).is_err());
    }

    #[test]
    fn a_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        assert!(exact(&dir.path().join("d")).is_err());
    }
}
