//! A lock on the configuration file, which programs of this crate hold while they replace it.
//! Perl's `aemp` knows of no lock.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

/// The right to replace the file, given back when dropped.
pub(super) struct Lock {
    _file: File,
    /// There was no file before.
    pub(super) is_new: bool,
}

/// Waits for the right to replace the file. Where there is none, an empty one is made, which counts
/// as none: so there is something to hold the lock on, and no file of another name is left behind.
pub(super) fn lock(target: &Path) -> io::Result<Lock> {
    loop {
        let (file, is_new) = match File::open(target) {
            Ok(file) => (file, false),
            Err(error) if error.kind() == ErrorKind::NotFound => match create(target) {
                Ok(file) => (file, true),
                // Somebody else was faster.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            },
            Err(error) => return Err(error),
        };
        wait_for(&file);
        // Who held the lock has replaced the file, and a lock on the old one is worth nothing.
        match fs::metadata(target) {
            Ok(now) if is_same(&now, &file.metadata()?) => {
                return Ok(Lock {
                    _file: file,
                    is_new,
                });
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
}

fn create(target: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(target)
}

/// A file system without locks is no reason not to save: there it is as it is with Perl's command.
#[cfg(unix)]
fn wait_for(file: &File) {
    use rustix::fs::{FlockOperation, flock};
    while let Err(rustix::io::Errno::INTR) = flock(file, FlockOperation::LockExclusive) {}
}

#[cfg(unix)]
fn is_same(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn wait_for(_: &File) {}

#[cfg(not(unix))]
fn is_same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}
