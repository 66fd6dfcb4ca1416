//! Completions, as a shell asks for them, and with the shells that are here.

use std::process::Command;

use super::{Home, stdout};

/// What is offered for the last word of a line.
fn offered(home: &Home, line: &[&str]) -> Vec<String> {
    let mut command = home.command();
    command
        .env("COMPLETE", "fish")
        .arg("--")
        .arg("aemp")
        .args(line);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{line:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.lines().map(|line| line.split('\t').next().unwrap());
    let mut words: Vec<String> = words.map(str::to_owned).collect();
    words.sort_unstable();
    words
}

fn home() -> Home {
    let home = Home::new();
    home.write(r#"{"profile": {"seed": {}, "sensor": {}}}"#);
    home
}

#[test]
fn commands_keys_values_and_profiles() {
    let home = home();
    for (line, wanted) in [
        (&["gen"][..], &["gencert", "gensecret"][..]),
        (&["set", "x"], &[]),
        (&["addb"], &["addbind"]),
        (&["nodei"], &["nodeid"]),
        (&["gensecret", "nodei"], &["nodeid"]),
        (&["profile", "se"], &["seed", "sensor"]),
        (&["profile", "seed", "addb"], &["addbind"]),
        (
            &["profile", "seed", "nodeid", "x", "setgen"],
            &["setgeneration"],
        ),
        (&["setgeneration", "a"], &["auto"]),
        (&["run", "sens"], &["sensor"]),
        (&["run", "seed", "bin"], &["binds"]),
        (&["showconfig", "seed", "generation", "a"], &["auto"]),
        (&["completions", "fi"], &["fish"]),
        (&["cal", "--js"], &["--json"]),
    ] {
        assert_eq!(offered(&home, line), wanted, "{line:?}");
    }
}

/// The script of each shell, in that shell.
#[test]
fn the_scripts_work_in_the_shells() {
    let home = home();
    let program = assert_cmd::cargo::cargo_bin("aemp");
    let folder = program.parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    for (shell, ask) in [
        (
            "bash",
            "source \"$1\"; COMP_WORDS=(aemp profile se); COMP_CWORD=2; \
             _clap_complete_aemp aemp se profile; printf '%s\\n' \"${COMPREPLY[@]}\"",
        ),
        ("fish", "source $argv[1]; complete -C 'aemp profile se'"),
        (
            "zsh",
            "compdef() { }; _describe() { print -l $other }; source $1; \
             words=(aemp profile se); CURRENT=3; _clap_dynamic_completer_aemp",
        ),
    ] {
        let script = home.folder.path().join(shell);
        std::fs::write(
            &script,
            stdout(home.aemp(&["completions", shell]).success()),
        )
        .unwrap();
        let mut command = Command::new(shell);
        command.arg("-c").arg(ask);
        if shell != "fish" {
            command.arg(shell);
        }
        command
            .arg(&script)
            .env("PATH", format!("{}:{path}", folder.display()));
        home.surround(&mut command);
        let Ok(output) = command.output() else {
            println!("NOT RUN: no {shell}");
            continue;
        };
        let said = String::from_utf8_lossy(&output.stdout).replace('\u{b}', "\n");
        let words: Vec<&str> = said
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(words, ["seed", "sensor"], "{shell}: {output:?}");
    }
}
