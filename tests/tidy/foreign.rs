//! Code of AnyEvent::MP itself is no part of this project: its releases are brought from elsewhere
//! to be run against, and never end up among our files.

use crate::files::{self, report};

/// Whether the file is a module of Perl, or begins one of AnyEvent::MP.
fn is_foreign(path: &str, text: &str) -> bool {
    let begins = |line: &str| {
        let rest = line.trim_start().strip_prefix("package");
        rest.is_some_and(|rest| rest.trim_start().starts_with("AnyEvent"))
    };
    path.ends_with(".pm") || text.lines().any(begins)
}

#[test]
fn nothing_of_perls_releases_is_here() {
    let text = |path: &str| {
        let octets = std::fs::read(files::root().join(path)).unwrap();
        String::from_utf8_lossy(&octets).into_owned()
    };
    let found = files::all()
        .into_iter()
        .filter(|path| path != "tests/tidy/foreign.rs" && is_foreign(path, &text(path)));
    report("no code of AnyEvent::MP", found.collect());
}

#[test]
fn modules_are_found_by_name_and_by_what_they_begin_with() {
    assert!(is_foreign("Kernel.pm", ""));
    assert!(is_foreign(
        "x.txt",
        "use x;\n package  AnyEvent::MP::Kernel;\n"
    ));
    assert!(!is_foreign("node.pl", "package Own;\nuse AnyEvent::MP;\n"));
}
