//! The repository's own files.

use std::path::{Path, PathBuf};

/// A text file: its path from the root of the repository, with `/` between its parts, and what is
/// in it.
#[derive(Debug, Clone)]
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    #[cfg(test)]
    pub fn new(path: &str, text: &str) -> Self {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// What is made and not written, so that no rule is about it.
const LEFT_OUT: [&str; 2] = ["target", "node_modules"];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The paths of all files of the repository, in order. Folders whose names begin with a dot are
/// left out, but for `.ci`.
pub fn all() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let is_folder = entry.file_type().unwrap().is_dir();
            if is_folder && (name.starts_with('.') && name != ".ci" || LEFT_OUT.contains(&&*name)) {
                continue;
            }
            if is_folder {
                folders.push(entry.path());
                continue;
            }
            let path = entry.path();
            let parts = path.strip_prefix(root()).unwrap().iter();
            let parts: Vec<_> = parts.map(|part| part.to_str().unwrap()).collect();
            found.push(parts.join("/"));
        }
    }
    found.sort();
    found
}

pub fn read(path: &str) -> File {
    let text = std::fs::read_to_string(root().join(path));
    File {
        path: path.to_owned(),
        text: text.unwrap_or_else(|error| panic!("{path}: {error}")),
    }
}

/// The files whose paths end so, read.
pub fn ending(end: &str) -> Vec<File> {
    let found: Vec<_> = all()
        .into_iter()
        .filter(|path| path.ends_with(end))
        .collect();
    assert!(
        !found.is_empty(),
        "there is no file {end}: has the repository moved?"
    );
    found.iter().map(|path| read(path)).collect()
}

/// Panics with everything that is wrong, if anything is.
pub fn report(rule: &str, faults: Vec<String>) {
    assert!(
        faults.is_empty(),
        "{} of {rule}:\n\n{}\n",
        match faults.len() {
            1 => "one breach".to_owned(),
            n => format!("{n} breaches"),
        },
        faults.join("\n")
    );
}
