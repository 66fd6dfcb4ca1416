//! The harness as a CI runs it: nothing that was not played counts as good.

use std::path::Path;
use std::process::{Command, Output};

/// On a machine without Perl.
fn harness(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aemp-interop"));
    command.env("PATH", folder).env("HOME", folder);
    command.env_remove("AEMP_PERL_PEERS").current_dir(folder);
    command.args(["--report", "out.xml"]).args(args);
    command.output().unwrap()
}

/// A cell that needs nobody else.
const OWN: [&str; 2] = ["--only", "handshake/rust+rust"];

#[test]
fn who_plays_nobody_real_has_shown_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let report = || std::fs::read_to_string(folder.join("out.xml")).unwrap();
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();

    let out = harness(folder, &OWN);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stdout).contains("passed    handshake/rust+rust"));
    assert!(text(&out.stderr).contains("nothing is shown"));
    assert!(report().contains("tests=\"2\" failures=\"1\" skipped=\"0\""));

    let out = harness(folder, &[&OWN[..], &["--allow-none"]].concat());
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("*** NO REAL NODE"));
    assert!(report().contains("tests=\"1\" failures=\"0\" skipped=\"0\""));

    let required = ["--allow-none", "--require", "1.30,2.02"];
    let out = harness(folder, &[&OWN[..], &required].concat());
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("AnyEvent::MP 2.02 is required, and was not found"));
    assert!(report().contains("tests=\"2\" failures=\"2\""));
}

#[test]
fn a_driver_has_to_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = [&OWN[..], &["--allow-none", "--rust-driver", "nowhere"]].concat();
    let out = harness(folder.path(), &nowhere);
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.contains("nowhere: there is no driver"), "{said}");
}
