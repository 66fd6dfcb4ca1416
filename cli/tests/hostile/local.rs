//! What lies on the machine itself: configuration files, and output that can't be written.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::victim::command;

/// Runs the command; it has to end by itself, with no more memory than that in the meantime.
fn run(folder: &TempDir, rc: &str, args: &[&str]) -> Output {
    let mut command = command(&[], folder);
    command.env("PERL_ANYEVENT_MP_RC", rc).args(args);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let status = status.unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|text| text.split_whitespace().next()?.parse().ok());
        let kib: u64 = peak.unwrap_or(0);
        if kib > 64 << 10 || started.elapsed() > Duration::from_secs(10) {
            let _ = child.kill();
            panic!(
                "{args:?} with {rc}: {kib} KiB after {:?}",
                started.elapsed()
            );
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_configuration_that_never_ends() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo").display().to_string();
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let large = folder.path().join("large").display().to_string();
    std::fs::File::create(&large)
        .unwrap()
        .set_len(1 << 33)
        .unwrap();
    for rc in ["/dev/zero", &fifo, &large] {
        for args in [&["showconfig"][..], &["run"], &["setnodeid", "x"]] {
            let output = run(&folder, rc, args);
            assert_eq!(output.status.code(), Some(1), "{args:?} with {rc}");
            assert!(said(&output).contains(rc), "{}", said(&output));
        }
    }
}

#[test]
fn a_configuration_that_others_can_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let rc = folder.path().join("rc");
    std::fs::write(&rc, r#"{"version":1,"secret":"geheim"}"#).unwrap();
    for (mode, word) in [(0o666, "chmod 600"), (0o644, "chmod 600"), (0o600, "")] {
        std::fs::set_permissions(&rc, PermissionsExt::from_mode(mode)).unwrap();
        let output = run(&folder, &rc.display().to_string(), &["showconfig"]);
        assert!(output.status.success());
        assert!(said(&output).contains(word), "{mode:o}: {}", said(&output));
        assert_eq!(said(&output).is_empty(), word.is_empty(), "{mode:o}");
    }
}

#[test]
fn a_configuration_of_another_version_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let rc = folder.path().join("rc");
    std::fs::write(&rc, r#"{"version":99}"#).unwrap();
    std::fs::set_permissions(&rc, PermissionsExt::from_mode(0o600)).unwrap();
    let output = run(&folder, &rc.display().to_string(), &["setnodeid", "x"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("version 99"), "{}", said(&output));
}

#[test]
fn a_configuration_of_nothing_but_structure() {
    let folder = tempfile::tempdir().unwrap();
    let rc = folder.path().join("rc");
    std::fs::write(&rc, "[".repeat(1 << 20)).unwrap();
    std::fs::set_permissions(&rc, PermissionsExt::from_mode(0o600)).unwrap();
    let output = run(&folder, &rc.display().to_string(), &["showconfig"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

/// Output that can't be written ends the command, and does not panic.
#[test]
fn output_that_can_not_be_written() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["--help"][..], &["completions", "bash"], &["demo"]] {
        let (_, closed) = std::io::pipe().unwrap();
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        for (output, wanted) in [(Stdio::from(closed), 141), (full.into(), 1)] {
            let child = command(&[], &folder)
                .args(args)
                .stdout(output)
                .stderr(Stdio::piped())
                .spawn();
            let ended = child.unwrap().wait_with_output().unwrap();
            assert_eq!(
                ended.status.code(),
                Some(wanted),
                "{args:?}: {}",
                said(&ended)
            );
        }
    }
}
