//! Output that can't be written.

use std::process::Stdio;

use super::Home;

/// The commands of which each prints in a way of its own; `worker` has to run.
const THAT_PRINT: &[&[&str]] = &[
    &["--help"],
    &["--version"],
    &["cal", "--help"],
    &["completions", "bash"],
    &["help"],
    &["manpage"],
    &["showconfig"],
    &["showprofile", "aemp"],
    &["snd", "worker", "devnull"],
    &["cal", "worker", "info"],
    &["mon", "worker#missing"],
    &["stats", "worker"],
    &["trace", "worker"],
    &["demo"],
];

/// Each command's arguments, its status and what it says on standard error.
fn with_output(output: impl Fn() -> Stdio) -> Vec<(String, Option<i32>, String)> {
    let home = Home::new();
    home.network("127.0.0.1:1");
    let node = home.run("worker");
    home.network(&node.listener);
    let ends = THAT_PRINT.iter().map(|args| {
        let child = home
            .command()
            .args(*args)
            .stdout(output())
            .stderr(Stdio::piped())
            .spawn();
        let ended = child.unwrap().wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        (args.join(" "), ended.status.code(), said)
    });
    ends.collect()
}

/// A pipe that nobody reads.
fn closed_pipe() -> Stdio {
    let (_, writer) = std::io::pipe().unwrap();
    writer.into()
}

#[cfg(target_os = "linux")]
fn full_disk() -> Stdio {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    full.unwrap().into()
}

#[test]
fn a_pipe_that_nobody_reads_ends_a_command_quietly() {
    for (command, status, said) in with_output(closed_pipe) {
        assert_eq!((status, &*said), (Some(141), ""), "{command}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_ends_a_command_with_a_message() {
    for (command, status, said) in with_output(full_disk) {
        assert_eq!(status, Some(1), "{command}: {said}");
        assert!(
            said.starts_with("aemp: can't write the output: No space left on device")
                && said.lines().count() == 1,
            "{command}: {said}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_status_is_right_when_standard_error_takes_nothing() {
    let home = Home::new();
    for error_output in [closed_pipe, full_disk] {
        for (args, wanted) in [(&["frobnicate"][..], 2), (&["cal"], 2), (&[], 2)] {
            let mut command = home.command();
            let command = command.args(args).stderr(error_output());
            let status = command.stdout(Stdio::null()).status().unwrap();
            assert_eq!(status.code(), Some(wanted), "{args:?}");
        }
    }
}

/// What a line is to change is changed, whether or not what it shows can be shown.
#[test]
fn an_edit_does_not_depend_on_the_output() {
    let home = Home::new();
    let mut command = home.command();
    let command = command.args(["nodeid", "ruth", "showconfig"]);
    let status = command.stdout(closed_pipe()).status().unwrap();
    assert_eq!(status.code(), Some(141));
    assert_eq!(home.config()["nodeid"], "ruth");
}

/// On a terminal, long work says in a status line how far it is; elsewhere a run of some seconds
/// says nothing. `script` makes a terminal.
#[test]
fn work_says_how_far_it_is() {
    let home = Home::new();
    let aemp = assert_cmd::cargo::cargo_bin("aemp");
    let version = std::process::Command::new("script")
        .arg("--version")
        .output();
    let is_usable = |text: &[u8]| String::from_utf8_lossy(text).contains("util-linux");
    if !version.is_ok_and(|version| is_usable(&version.stdout)) {
        println!("NOT RUN: there is no `script` of util-linux");
        return;
    }
    for (options, says) in [("", true), ("--quiet", false)] {
        let mut command = std::process::Command::new("script");
        let work = format!("stty cols 120; {} {options} demo", aemp.display());
        command.args(["-qec", &work, "/dev/null"]);
        home.surround(&mut command);
        command
            .env("TERM", "xterm")
            .env("AEMP_PERL_PEERS", "/nowhere");
        let out = command.output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{said}");
        assert!(said.contains("all steps succeeded"), "{said}");
        assert_eq!(said.contains("demo: 1 of "), says, "{said}");
    }
    let out = home.command().arg("demo").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
}
