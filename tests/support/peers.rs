//! Where releases of AnyEvent::MP are: the one definition of it for the tests of all packages, and
//! for the matrix.
//!
//! `$AEMP_PERL_PEERS`, or else `~/aemp-peers`, is a folder that has one for each release, named by
//! it. The modules are in there, or below `lib/perl5`, as `cpanm -l` has it.

// Each of those who have this file needs a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

/// Where they are looked for.
pub fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("AEMP_PERL_PEERS").map(PathBuf::from);
    named.or_else(|| std::env::home_dir().map(|home| home.join("aemp-peers")))
}

/// The releases in a folder, and where the modules of each are, oldest first: their numbers are
/// decimal fractions.
pub fn releases_in(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((name, modules(&entry.path())?))
        })
        .collect();
    let number = |name: &str| name.parse().unwrap_or(f64::INFINITY);
    found.sort_by(|(a, _), (b, _)| number(a).total_cmp(&number(b)).then_with(|| a.cmp(b)));
    found
}

/// All releases that there are.
pub fn releases() -> Vec<(String, PathBuf)> {
    let found = folder().map_or_else(Vec::new, |folder| releases_in(&folder));
    if found.is_empty() {
        println!("NOT RUN: no releases of AnyEvent::MP found (set AEMP_PERL_PEERS)");
    }
    found
}

/// The modules of one release, if it is there; else that is said.
pub fn release(version: &str) -> Option<PathBuf> {
    let found = folder().and_then(|folder| modules(&folder.join(version)));
    if found.is_none() {
        println!("NOT RUN: no AnyEvent::MP {version} found (set AEMP_PERL_PEERS)");
    }
    found
}

/// Where in the folder of a release its modules are.
fn modules(release: &Path) -> Option<PathBuf> {
    let places = [release.to_owned(), release.join("lib/perl5")];
    places
        .into_iter()
        .find(|place| place.join("AnyEvent/MP.pm").is_file())
}
