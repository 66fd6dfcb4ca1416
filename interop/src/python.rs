//! The small node in `interop/python`: its files, which this program carries along, and what it
//! plays.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// The files that the node is made of, by their paths in `interop/python`.
const FILES: &[(&str, &str)] = &[
    ("driver.py", include_str!("../python/driver.py")),
    (
        "aemp/__init__.py",
        include_str!("../python/aemp/__init__.py"),
    ),
    ("aemp/cbor.py", include_str!("../python/aemp/cbor.py")),
    (
        "aemp/database.py",
        include_str!("../python/aemp/database.py"),
    ),
    ("aemp/framing.py", include_str!("../python/aemp/framing.py")),
    (
        "aemp/generation.py",
        include_str!("../python/aemp/generation.py"),
    ),
    (
        "aemp/global_node.py",
        include_str!("../python/aemp/global_node.py"),
    ),
    (
        "aemp/handshake.py",
        include_str!("../python/aemp/handshake.py"),
    ),
    ("aemp/ids.py", include_str!("../python/aemp/ids.py")),
    ("aemp/link.py", include_str!("../python/aemp/link.py")),
    ("aemp/md6.py", include_str!("../python/aemp/md6.py")),
    ("aemp/mesh.py", include_str!("../python/aemp/mesh.py")),
    ("aemp/node.py", include_str!("../python/aemp/node.py")),
    ("aemp/peer.py", include_str!("../python/aemp/peer.py")),
    ("aemp/port.py", include_str!("../python/aemp/port.py")),
    ("aemp/seeds.py", include_str!("../python/aemp/seeds.py")),
    ("aemp/values.py", include_str!("../python/aemp/values.py")),
];

/// The scenarios that it plays. In the others there is something that it does not have (TLS,
/// Storable, data connections, log lines, rights, a bridge), or they are about bounds and speed.
pub const PLAYS: &[&str] = &[
    "handshake",
    "echo",
    "tags",
    "spawn",
    "kill",
    "monitor",
    "services",
    "groups",
    "both-connect",
    "mesh",
    "db",
    "db-same-key",
    "db-order",
    "db-slaves",
    "db-globals",
    "db-seeds",
];

/// A Python, and the node for it.
#[derive(Debug)]
pub struct Python {
    program: PathBuf,
    folder: TempDir,
}

impl Python {
    /// Sees whether the program is a Python that is new enough, and writes the node down for it.
    /// The error says why there is none.
    pub fn find(program: &str) -> Result<Self, String> {
        let mut asked = Command::new(program);
        asked.args(["-c", "import sys; sys.exit(sys.version_info < (3, 8))"]);
        match asked.output() {
            Ok(out) if out.status.success() => {}
            Ok(_) => return Err(format!("{program} is no Python 3.8 or later")),
            Err(error) => return Err(format!("no {program} ({error})")),
        }
        let write = || -> std::io::Result<TempDir> {
            let folder = tempfile::Builder::new().prefix("aemp-python-").tempdir()?;
            std::fs::create_dir(folder.path().join("aemp"))?;
            for (path, text) in FILES {
                std::fs::write(folder.path().join(path), text)?;
            }
            Ok(folder)
        };
        Ok(Self {
            program: program.into(),
            folder: write()
                .map_err(|error| format!("the Python node can't be written: {error}"))?,
        })
    }

    /// The command that starts its driver.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-B").arg(self.folder.path().join("driver.py"));
        command
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn all_files_are_carried_along() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/aemp");
        let mut there: Vec<String> = std::fs::read_dir(here)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".py"))
            .map(|name| format!("aemp/{name}"))
            .collect();
        there.sort();
        let carried: Vec<&str> = FILES[1..].iter().map(|(path, _)| *path).collect();
        assert_eq!(carried, there);
    }
}
