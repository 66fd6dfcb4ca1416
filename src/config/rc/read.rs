//! Reading the configuration file: in bounds, from a regular file only, and with a warning where
//! others can get at its secret.

use std::collections::BTreeSet;
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Map, Value};

use crate::config::error::ConfigError;
use crate::log::log_at;

/// The most octets of a configuration file. Real ones have some hundreds, with a certificate some
/// thousands.
pub(super) const MAX_OCTETS: usize = 1 << 20;

/// What is in the file, and what the system says about it; `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<(Vec<u8>, Metadata)>, ConfigError> {
    match read_regular(path) {
        Ok((octets, _)) if octets.len() > MAX_OCTETS => Err(ConfigError::TooLarge {
            path: path.to_owned(),
            most: MAX_OCTETS,
        }),
        Ok(contents) => Ok(Some(contents)),
        Err(Refused::NotRegular(what)) => Err(ConfigError::NotRegular {
            path: path.to_owned(),
            what,
        }),
        Err(Refused::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(Refused::Io(source)) => Err(ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

enum Refused {
    NotRegular(&'static str),
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        Refused::Io(error)
    }
}

/// Reads up to one octet more than may be there.
fn read_regular(path: &Path) -> Result<(Vec<u8>, Metadata), Refused> {
    // To open a FIFO waits for who writes to it, and to open a device may do something. So the file
    // is looked at before it is opened, and again when it is open, which decides. Between the two,
    // only who may rename files in its folder can put another thing there, and so make us wait: but
    // they could put any secret there as well.
    refuse_irregular(&fs::metadata(path)?)?;
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    refuse_irregular(&metadata)?;
    let mut octets = Vec::new();
    // What the system says of the length is no bound: the file may grow meanwhile.
    file.take(MAX_OCTETS as u64 + 1).read_to_end(&mut octets)?;
    Ok((octets, metadata))
}

fn refuse_irregular(metadata: &Metadata) -> Result<(), Refused> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(Refused::NotRegular(kind(metadata.file_type()))),
    }
}

fn kind(file: FileType) -> &'static str {
    if file.is_dir() {
        return "a directory";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if file.is_fifo() {
            return "a FIFO (named pipe)";
        }
        if file.is_char_device() || file.is_block_device() {
            return "a device";
        }
        if file.is_socket() {
            return "a socket";
        }
    }
    "something else"
}

/// Warns if others can get at a file that holds a secret: once for each file, as a program may
/// start many nodes.
pub(super) fn warn_of_exposure(path: &Path, metadata: &Metadata, root: &Map<String, Value>) {
    static WARNED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let Some(who) = exposed_to(metadata).filter(|_| holds_a_secret(root)) else {
        return;
    };
    let mut warned = WARNED.lock().unwrap_or_else(|poison| poison.into_inner());
    if warned.insert(path.to_owned()) {
        let path = path.display();
        log_at!(
            2,
            "{path}: {who} the configuration, which holds a secret: run `chmod 600 {path}`."
        );
    }
}

/// Whether the owner alone can read and write the file.
pub(super) fn is_private(metadata: &Metadata) -> bool {
    exposed_to(metadata).is_none()
}

/// Who else can do what with the file.
#[cfg(unix)]
fn exposed_to(metadata: &Metadata) -> Option<&'static str> {
    exposed_by(std::os::unix::fs::MetadataExt::mode(metadata))
}

/// Elsewhere there are no such modes.
#[cfg(not(unix))]
fn exposed_to(_: &Metadata) -> Option<&'static str> {
    None
}

/// The worst that a mode allows. To write is to read as well: who can write the file can have the
/// node do what it likes.
#[cfg(unix)]
fn exposed_by(mode: u32) -> Option<&'static str> {
    match mode {
        _ if mode & 0o002 != 0 => Some("everybody can change"),
        _ if mode & 0o020 != 0 => Some("its group can change"),
        _ if mode & 0o004 != 0 => Some("everybody can read"),
        _ if mode & 0o040 != 0 => Some("its group can read"),
        _ => None,
    }
}

/// The shared secret, or a certificate with its key; in the global part or in a profile.
fn holds_a_secret(root: &Map<String, Value>) -> bool {
    let profiles = root.get("profile").and_then(Value::as_object);
    let profiles = profiles.into_iter().flat_map(Map::values);
    let parts = profiles.filter_map(Value::as_object).chain([root]);
    let is_set = |part: &Map<String, Value>, key| part.get(key).is_some_and(|it| !it.is_null());
    parts
        .into_iter()
        .any(|part| is_set(part, "secret") || is_set(part, "cert"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_can_get_at_a_file() {
        for (mode, who) in [
            (0o100600, None),
            (0o100711, None),
            (0o100640, Some("its group can read")),
            (0o100644, Some("everybody can read")),
            (0o100664, Some("its group can change")),
            (0o100666, Some("everybody can change")),
            (0o100602, Some("everybody can change")),
        ] {
            assert_eq!(exposed_by(mode), who, "{mode:o}");
        }
    }

    #[test]
    fn where_a_secret_is() {
        for (root, holds) in [
            (json!({}), false),
            (
                json!({"nodeid": "n", "secret": null, "profile": null}),
                false,
            ),
            (json!({"profile": {"p": {"nodeid": "n"}, "q": null}}), false),
            (json!({"secret": "s"}), true),
            (json!({"cert": "c"}), true),
            (json!({"profile": {"p": {}, "q": {"secret": "s"}}}), true),
        ] {
            assert_eq!(holds_a_secret(root.as_object().unwrap()), holds, "{root}");
        }
    }
}
