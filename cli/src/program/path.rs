//! Which program is which service.
//!
//! The service `shop::till` is the executable file `shop/till` in the first folder of the path that
//! has it. If none has, it is a function of the program `shop`, which is told that name, as a Perl
//! function is one of its module.

use std::path::PathBuf;

use crate::system;

/// The environment variable with the folders, in place of the setting `services_path`.
const VARIABLE: &str = "PERL_ANYEVENT_MP_SERVICES";

/// The folders that programs are looked for in.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ServicesPath(Vec<PathBuf>);

/// A program that is there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) program: PathBuf,
}

impl ServicesPath {
    /// The folders of the environment, separated by colons, or else those that are configured. A
    /// folder without a name is none: it would be the present one, which is nobody's intention.
    pub(crate) fn new(configured: &[String]) -> Self {
        let folders: Vec<PathBuf> = match std::env::var_os(VARIABLE) {
            Some(all) => std::env::split_paths(&all).collect(),
            None => configured.iter().map(PathBuf::from).collect(),
        };
        let named = folders.into_iter().filter(|at| !at.as_os_str().is_empty());
        // Where it is does not change with the present folder.
        ServicesPath(
            named
                .map(|at| std::path::absolute(&at).unwrap_or(at))
                .collect(),
        )
    }

    /// The program of a service. Other nodes choose the name: it is made of Perl's words, separated
    /// by `::`, so there is no way out of the folders.
    pub(crate) fn find(&self, service: &str) -> Option<Found> {
        let mut words: Vec<&str> = service.split("::").collect();
        // As in Perl, `::f` is `main::f`.
        if let ["", _, ..] = words.as_slice() {
            words[0] = "main";
        }
        if !words.iter().all(|word| is_word(word)) {
            return None;
        }
        let function_of = words.len().checked_sub(1).filter(|left| *left > 0);
        let whole = Some(words.len());
        let lengths = whole.into_iter().chain(function_of);
        let mut candidates = lengths.flat_map(|length| {
            let below: PathBuf = words[..length].iter().collect();
            self.0.iter().map(move |folder| folder.join(&below))
        });
        let program = candidates.find_map(|path| system::program(&path))?;
        Some(Found { program })
    }
}

fn is_word(text: &str) -> bool {
    let mut octets = text.bytes();
    octets
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && octets.all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    fn file(path: &Path, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_service_is_a_file_below_a_folder_of_the_path() {
        let root = tempfile::tempdir().unwrap();
        let (first, second) = (root.path().join("first"), root.path().join("second"));
        file(&first.join("shop/till"), 0o755);
        file(&second.join("shop/till"), 0o755);
        file(&second.join("shop/stock"), 0o755);
        file(&second.join("shop/notes"), 0o644);
        file(&root.path().join("outside"), 0o755);
        let path = ServicesPath(vec![first.clone(), second.clone()]);
        let found = |service| path.find(service).map(|found| found.program);
        assert_eq!(found("shop::till"), Some(first.join("shop/till")));
        assert_eq!(found("shop::stock"), Some(second.join("shop/stock")));
        file(&first.join("main/f"), 0o755);
        assert_eq!(found("::f"), Some(first.join("main/f")));
        // A function of the program.
        assert_eq!(found("shop::till::open"), Some(first.join("shop/till")));
        for none in [
            "shop",
            "shop::notes",
            "shop::till::open::now",
            "shop::other",
            "",
            "::",
            "shop::",
            "::shop::till",
            "..::outside",
            "shop::..::till",
            "../outside",
            "shop/till",
            "shop::till\0",
            "shop::till ",
            "shop::1",
        ] {
            assert_eq!(found(none), None, "{none:?}");
        }
        let outside = root.path().join("outside");
        assert_eq!(found(outside.to_str().unwrap()), None);
    }
}
