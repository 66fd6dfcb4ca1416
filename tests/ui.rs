//! What the compiler refuses, with the messages that users see (`tests/ui/`).
//!
//! Each version of the compiler words and draws them its own way, so they are compared by the one
//! that they were recorded with. After a change, or with another version, look at what
//! `TRYBUILD=overwrite cargo test --test ui` makes of them.

use std::process::Command;

/// What the messages were recorded with.
const RECORDED: &str = "rustc 1.95.";

#[test]
fn what_is_refused_says_what_to_do() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version = version.unwrap_or_default();
    if !version.starts_with(RECORDED) {
        println!("not run: the messages are those of {RECORDED}x, and this is {version:?}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
