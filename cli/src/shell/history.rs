//! Where the lines of earlier times are kept.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::PathBuf;

/// The file, which is there then, and which only its owner can read: lines may have secrets in
/// them. `None` if there is no folder for it.
pub(super) fn file() -> io::Result<Option<PathBuf>> {
    let Some(state) = state_folder() else {
        return Ok(None);
    };
    let folder = state.join("aemp");
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder)?;
    let file = folder.join("history");
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&file)?;
    Ok(Some(file))
}

/// The user's folder for what programs keep from one time to the next. A relative one is to be
/// ignored, says the specification of these folders.
fn state_folder() -> Option<PathBuf> {
    let set = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let set = set.filter(|folder| folder.is_absolute());
    set.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))
}
