//! Unix sockets: listening.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;

use tokio::net::UnixStream;

use crate::config::Endpoint;

/// How Perl's nodes write who connects to a Unix socket, which has no name.
const UNNAMED: &str = "unix/";

/// Accepts connections at a path, which is removed with it.
#[derive(Debug)]
pub(crate) struct UnixListener {
    listener: tokio::net::UnixListener,
    path: PathBuf,
    text: String,
    /// What was made there; something else is not removed.
    made: Option<(u64, u64)>,
}

impl UnixListener {
    /// Listens there. A socket that somebody left there, and nobody listens on any more, is
    /// replaced.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if somebody listens there, or something else has that path; those of listening.
    pub(super) fn bind(path: String) -> io::Result<Self> {
        let text = Endpoint::Unix(path.clone()).to_string();
        let path = PathBuf::from(path);
        let left =
            std::fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_socket());
        if left
            && let Err(error) = std::os::unix::net::UnixStream::connect(&path)
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            std::fs::remove_file(&path)?;
        }
        let listener = tokio::net::UnixListener::bind(&path)?;
        let made = identity(&path);
        Ok(UnixListener {
            listener,
            path,
            text,
            made,
        })
    }

    /// The next connection, and what its other end is called.
    pub(super) async fn accept(&self) -> io::Result<(UnixStream, String)> {
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, UNNAMED.to_owned()))
    }

    pub(super) fn local_addr(&self) -> String {
        self.text.clone()
    }
}

/// Which file it is.
fn identity(path: &PathBuf) -> Option<(u64, u64)> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        if self.made.is_some() && identity(&self.path) == self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_stands_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let text = path.display().to_string();
        let bind = || UnixListener::bind(text.clone());

        let first = bind().unwrap();
        assert_eq!(bind().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(!path.exists());

        // Left by a process that was killed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(bind().unwrap());

        std::fs::write(&path, "a file").unwrap();
        assert_eq!(bind().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read(&path).unwrap(), b"a file");
        std::fs::remove_file(&path).unwrap();

        // Somebody has put something else there meanwhile.
        let listener = bind().unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "a file").unwrap();
        drop(listener);
        assert!(path.exists());
    }
}
