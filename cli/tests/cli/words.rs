//! The words of a command line: JSON, words without a value, names that are not known.

use serde_json::json;

use super::{Home, stderr, stdout};

#[test]
fn a_json_array_is_a_whole_line() {
    let home = Home::new();
    home.aemp(&[r#"["setnodeid","x","monitor_timeout",5,"binds",["*:4040"]]"#])
        .success();
    let wanted = json!({"version": 1, "nodeid": "x", "monitor_timeout": 5, "binds": ["*:4040"]});
    assert_eq!(home.config(), wanted);
    let shown = stdout(home.aemp(&[r#"["--json","showconfig"]"#]).success());
    assert!(
        shown.starts_with("{\"") && shown.lines().count() == 1,
        "{shown}"
    );
    let error = stderr(home.aemp(&["[\"setnodeid\""]).code(2));
    assert!(error.contains("not JSON"), "{error}");
    // Numbers stay numbers in messages, and what looks like JSON in a text stays text.
    home.network("127.0.0.1:1");
    let node = home.run("echo");
    home.network(&node.listener);
    let line = r#"["cal","echo","snd","echo","info",[5,"[5"]]"#;
    let mut command = assert_cmd::Command::from_std(home.command());
    let traced = command
        .env("PERL_ANYEVENT_MP_TRACE", "1")
        .arg(line)
        .output()
        .unwrap();
    let log = String::from_utf8(traced.stderr).unwrap();
    assert!(
        log.contains(r#"SND echo <- ["snd","echo","info",[5,"[5"],"#),
        "{log}"
    );
}

#[test]
fn words_that_need_no_value() {
    let home = Home::new();
    std::fs::write(home.rc(), "{ broken").unwrap();
    let node = home.run_with(&["run", "nodeid", "q", "binds", "127.0.0.1:0", "norc"]);
    assert!(node.lines[0].contains(" node q "), "{:?}", node.lines);
    std::fs::write(home.rc(), r#"{"nodeid": "doomed"}"#).unwrap();
    let node = home.run_with(&["run", "force", "nodeid", "q", "binds", "127.0.0.1:0"]);
    assert!(node.lines[0].contains(" node q "), "{:?}", node.lines);
}

#[test]
fn names_that_are_not_known() {
    let home = Home::new();
    home.write(r#"{"profile": {"seed": {}, "kid": {"parent": "sed"}}}"#);
    for (args, status, wanted) in [
        (
            &["run", "sed"][..],
            1,
            "no profile is called \"sed\"; there are: kid, seed",
        ),
        (
            &["run", "kid"],
            1,
            "no profile is called \"sed\", which is the parent of \"kid\"; there are: kid, seed",
        ),
        (
            &["showconfig", "sed"],
            1,
            "no profile is called \"sed\"; there are: kid, seed",
        ),
        (
            &["run", "seed", "bindz", "*"],
            1,
            "bindz (argument) is no setting; did you mean `binds`?",
        ),
        (
            &["runn"],
            2,
            "runn: no such command; did you mean `run`? (see aemp --help)",
        ),
        (
            &["setbinsd", "x"],
            2,
            "setbinsd: no such command; did you mean `setbinds`? (see aemp --help)",
        ),
        (
            &["help", "setbinsd"],
            2,
            "setbinsd: no such command; did you mean `setbinds`? (see aemp --help)",
        ),
        (
            &["nodeid", "x", "sedes", "y"],
            2,
            "sedes: no such command; did you mean `seeds`? (see aemp --help)",
        ),
        (&["setnodeid"], 2, "setnodeid: the node ID is missing"),
        (
            &["setnodeid", "a b"],
            1,
            "setting `nodeid` (argument): \"a b\": it holds white space or a control character",
        ),
    ] {
        let error = stderr(home.aemp(args).code(status));
        assert_eq!(error, format!("aemp: {wanted}\n"), "{args:?}");
    }
    assert_eq!(
        home.config(),
        json!({"profile": {"seed": {}, "kid": {"parent": "sed"}}})
    );
}

#[test]
fn help_of_each_command() {
    let home = Home::new();
    for (name, parts) in [
        ("run", &["Usage: aemp run", "Example"][..]),
        (
            "setbinds",
            &[
                "Usage: aemp setbinds HOST:PORT,..",
                "Example: aemp setbinds '*:4040'",
            ],
        ),
        ("binds", &["Usage: aemp setbinds"]),
        ("showconfig", &["Example: aemp showconfig seed"]),
    ] {
        let long = stdout(home.aemp(&["help", name]).success());
        let own = stdout(home.aemp(&[name, "--help"]).success());
        for part in parts {
            assert!(long.contains(part), "{long}");
            assert!(own.contains(part), "{own}");
        }
    }
    let all = stdout(home.aemp(&["--help"]).success());
    assert_eq!(stdout(home.aemp(&["help"]).success()), all);
    for part in ["setbinds", "addallow", "setmax_hops", "Exit status", "141"] {
        assert!(all.contains(part), "{part}: {all}");
    }
    let page = stdout(home.aemp(&["manpage"]).success());
    assert!(
        page.starts_with(".ie") && page.contains(".SH COMMANDS"),
        "{page}"
    );
    assert!(!home.rc().exists());
}

#[test]
fn an_empty_file_is_none() {
    let home = Home::new();
    for blank in ["", "\n\n"] {
        home.write(blank);
        home.aemp(&["setnodeid", "ruth"]).success();
        assert_eq!(home.config(), json!({"version": 1, "nodeid": "ruth"}));
    }
}

#[test]
fn what_is_configured_as_json_and_where_it_comes_from() {
    let home = Home::new();
    home.write(r#"{"nodeid": "n", "profile": {"seed": {"binds": ["*"]}}}"#);
    let shown = |args: &[&str]| stdout(home.aemp(args).success());
    let json = |text: String| -> serde_json::Value {
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let config = json(shown(&["showconfig", "--json", "seed"]));
    assert_eq!(
        (&config["nodeid"], &config["binds"]),
        (&json!("n"), &json!(["*"]))
    );
    let config = json(shown(&["--json", "-v", "showconfig", "seed"]));
    assert_eq!(
        config["binds"],
        json!({"value": ["*"], "origin": "profile \"seed\""})
    );
    assert_eq!(
        json(shown(&["--json", "showprofile", "seed"])),
        json!({"binds": ["*"]})
    );
    let text = shown(&["-v", "showconfig", "seed"]);
    assert!(
        text.starts_with("# auth_accept: built-in default\n"),
        "{text}"
    );
    assert!(text.contains("# nodeid: global configuration\n"), "{text}");
}

#[test]
fn errors_are_red_where_colours_are_wanted() {
    let home = Home::new();
    let said = |name: &str, value: &str| {
        let mut command = assert_cmd::Command::from_std(home.command());
        stderr(command.env(name, value).arg("runn").assert().code(2))
    };
    let red = "\u{1b}[1m\u{1b}[31maemp:\u{1b}[0m runn: ";
    assert!(
        said("CLICOLOR_FORCE", "1").starts_with(red),
        "{:?}",
        said("CLICOLOR_FORCE", "1")
    );
    assert!(said("NO_COLOR", "1").starts_with("aemp: runn: "));
}
