//! Tests of the subcommands that edit the configuration.

use super::*;
use serde_json::json;

fn line(rc: &mut RcFile, words: &[&str]) -> Result<String, SettingsError> {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    run(&words, rc)
}

/// The configuration after some lines, without `version`.
fn after(lines: &[&[&str]]) -> Value {
    let mut rc = RcFile::default();
    for words in lines {
        assert_eq!(line(&mut rc, words).unwrap(), "", "{words:?}");
    }
    let mut root = rc.root().clone();
    root.remove("version");
    Value::Object(root)
}

fn fault(words: &[&str]) -> String {
    line(&mut RcFile::default(), words).unwrap_err().to_string()
}

#[test]
fn the_tutorials_lines() {
    assert_eq!(
        after(&[
            &["profile", "seed", "binds", "*:4040"],
            &["seeds", "*:4040", "nodeid", "anon/"],
            &["profile", "mysrvnode", "services", "mymod::service::"],
            &["profile", "ruth", "addservice", "BK::Backend::IRC::"],
        ]),
        json!({
            "seeds": ["*:4040"], "nodeid": "anon/",
            "profile": {
                "seed": {"binds": ["*:4040"]},
                "mysrvnode": {"services": ["mymod::service::"]},
                "ruth": {"services": ["BK::Backend::IRC::"]},
            },
        })
    );
}

#[test]
fn lists() {
    assert_eq!(after(&[&["binds", ""]]), json!({"binds": []}));
    assert_eq!(
        after(&[&["setbinds", "a,,b,"]]),
        json!({"binds": ["a", "", "b"]})
    );
    assert_eq!(after(&[&["binds", "[\"x\"]", "delbinds"]]), json!({}));
    assert_eq!(
        after(&[&[
            "addbind", "a", "addbind", "b", "addbind", "a", "delbind", "c"
        ]]),
        json!({"binds": ["b", "a"]})
    );
    assert_eq!(
        after(&[&["addseed", "[::1]:4040", "delseed", "[::1]:4040"]]),
        json!({"seeds": []})
    );
    // Perl leaves an empty list here, which would mean: no listeners.
    assert_eq!(after(&[&["delbind", "a"]]), json!({}));
    assert_eq!(
        after(&[&[
            "services",
            "[[\"f\",1],\"g\"]",
            "addservice",
            "g",
            "addservice",
            "[\"f\",1]",
            "delservice",
            "g"
        ]]),
        json!({"services": [["f", 1], "g", ["f", 1]]})
    );
    assert_eq!(
        after(&[&["auth_accept", "a,b", "framing_format", "json"]]),
        json!({"auth_accept": ["a", "b"], "framing_format": ["json"]})
    );
}

#[test]
fn rules() {
    let line: &[&str] = &[
        "addallow",
        "ruth spawn job::*",
        "setdeny",
        "* kill,* eval",
        "addallow",
        "* spawn status",
        "addallow",
        "ruth spawn job::*",
        "deldeny",
        "* eval",
    ];
    let wanted = json!({"allow": ["* spawn status", "ruth spawn job::*"], "deny": ["* kill"]});
    assert_eq!(after(&[line]), wanted);
    assert_eq!(
        fault(&["addallow", "ruth spwan"]),
        "setting `allow` (argument): \"spwan\" is no action: spawn, call, eval, send, kill, monitor, relay, set or mesh"
    );
    assert_eq!(
        after(&[&["addallow", "* send", "setallow", "[]"]]),
        json!({"allow": []})
    );
}

#[test]
fn scalars() {
    assert_eq!(
        after(&[&[
            "monitor_timeout",
            "30",
            "setsecret",
            "s",
            "setgeneration",
            "1",
            "nodelay",
            "false",
            "autocork",
            "1",
            "secure",
            "yes",
            "max_queue",
            "9"
        ]]),
        json!({"monitor_timeout": "30", "secret": "s", "generation": "1", "nodelay": "0", "autocork": "1", "secure": "1", "max_queue": "9"})
    );
    assert_eq!(
        after(&[&[
            "nodeid",
            "\"[x\"",
            "parent",
            "p",
            "profile",
            "q",
            "setparent",
            "z",
            "delparent"
        ]]),
        json!({"nodeid": "[x", "parent": "p", "profile": {"q": {}}})
    );
    assert_eq!(
        after(&[&["profile", "p", "nodeid", "n"], &["delprofile", "p"]]),
        json!({"profile": {}})
    );
    assert_eq!(
        after(&[&["[\"nodeid\",\"n\",\"binds\",[]]"]]),
        json!({"nodeid": "n", "binds": []})
    );
}

/// As Perl's command stores them.
#[test]
fn secrets_beyond_ascii() {
    assert_eq!(
        after(&[&["secret", "ü"]]),
        json!({"secret": "\u{c3}\u{bc}"})
    );
    assert_eq!(after(&[&["secret", "\"ü\""]]), json!({"secret": "ü"}));
    assert_eq!(after(&[&["[\"secret\",\"ü\"]"]]), json!({"secret": "ü"}));
    assert_eq!(
        after(&[&["secret", "\"ü\"", "nodeid", "ü"]]),
        json!({"secret": "ü", "nodeid": "\u{c3}\u{bc}"})
    );
    assert_eq!(after(&[&["nodeid", "\"ü\""]]), json!({"nodeid": "ü"}));
}

/// The same for who runs a node and talks to it.
#[test]
fn names_beyond_ascii() {
    let read = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Value::from(read_node_arguments(&args).unwrap())
    };
    let octets = "b\u{c3}\u{bc}";
    assert_eq!(read(&["nodeid", "bü"]), json!(["nodeid", octets]));
    assert_eq!(read(&["p", "nodeid", "bü"]), json!(["p", "nodeid", octets]));
    assert_eq!(read(&["nodeid", "\"bü\""]), json!(["nodeid", "bü"]));
    assert_eq!(
        read(&["nodeid", "nodeid", "bü"]),
        json!(["nodeid", "nodeid", octets])
    );
    assert_eq!(
        read(&["binds", "nodeid", "seeds", "bü"]),
        json!(["binds", "nodeid", "seeds", "bü"])
    );
    assert_eq!(as_perl_reads("bü#a"), format!("{octets}#a"));
    for (name, shown) in [
        (octets, "bü"),
        ("bü", "bü"),
        ("\u{263a}", "\u{263a}"),
        ("a", "a"),
    ] {
        assert_eq!(as_perl_shows(name), shown);
    }
}

#[test]
fn secrets_are_made() {
    let (one, two) = (after(&[&["gensecret"]]), after(&[&["gensecret"]]));
    assert_ne!(one, two);
    let secret = one["secret"].as_str().unwrap();
    assert!(secret.len() >= 87 && secret.ends_with('='), "{secret}");
    assert_eq!(after(&[&["gensecret", "delsecret"]]), json!({}));
}

#[test]
fn certificates_are_read_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.pem");
    let pem = include_str!("../../fixtures/tls/perl.pem");
    std::fs::write(&file, pem).unwrap();
    let name = file.to_str().unwrap();
    assert_eq!(after(&[&["setcert", name]]), json!({ "cert": pem }));
    assert_eq!(after(&[&["cert", name, "delcert"]]), json!({}));
    std::fs::write(&file, "-----BEGIN").unwrap();
    assert!(fault(&["setcert", name]).starts_with("cert: there is no private key in it"));
    assert!(fault(&["setcert", "no/such/file"]).starts_with("no/such/file: "));
    if cfg!(target_os = "linux") {
        assert_eq!(
            fault(&["setcert", "/dev/zero"]),
            "/dev/zero: file too large"
        );
    }
}

#[test]
fn certificates_are_made_and_shown() {
    let mut rc = RcFile::default();
    assert!(
        line(&mut rc, &["showcert"])
            .unwrap_err()
            .to_string()
            .contains("gencert")
    );
    let shown = line(&mut rc, &["gencert", "profile", "p", "showcert"]).unwrap();
    for part in [
        "subject=CN=AnyEvent::MP\nissuer=CN=AnyEvent::MP\nnotBefore=",
        "sha1 Fingerprint=",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    // The certificate first and then the key, as Perl has them.
    let pem = rc.root()["cert"].as_str().unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
    let again = line(&mut RcFile::default(), &["gencert", "showcert"]).unwrap();
    assert_ne!(again, shown);

    // What `openssl x509 -fingerprint` says of this file.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/tls/perl.pem");
    let shown = line(&mut rc, &["showcert", file]).unwrap();
    let wanted = "notBefore=Nov 25 22:23:52 2026 GMT\nnotAfter=Nov  1 22:23:52 2126 GMT\n\
        sha256 Fingerprint=44:9D:3D:1E:C4:24:B4:FF:09:FA:AF:E5:1F:5A:3F:4B:D2:C1:21:FC:6B:7E:5A:2F:06:E5:0C:0A:8F:8D:F2:16\n\
        sha1 Fingerprint=9C:78:7A:9B:19:57:8F:99:9E:28:52:42:DF:63:E1:1E:7A:11:5C:D8\n";
    assert!(shown.ends_with(wanted), "{shown}");
}

#[test]
fn showing() {
    let mut rc = RcFile::default();
    line(&mut rc, &["seeds", "s", "profile", "p", "nodeid", "n"]).unwrap();
    let mut clean = rc.clone();
    assert_eq!(
        line(&mut rc, &["showprofile", "p"]).unwrap(),
        "{\n   \"nodeid\" : \"n\"\n}\n"
    );
    let shown = line(
        &mut clean,
        &["showconfig", "p", "binds", "b", "seeds", "ignored"],
    )
    .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&shown).unwrap(),
        json!({
            "version": 1, "nodeid": "n", "seeds": ["s"], "binds": "b", "connect_interval": 2, "monitor_timeout": 30,
            "framing_format": ["cbor", "json"], "auth_offer": ["tls_sha3_512", "tls_md6_64_256", "hmac_sha3_512", "hmac_md6_64_256"],
            "auth_accept": ["tls_sha3_512", "tls_md6_64_256", "hmac_sha3_512", "hmac_md6_64_256", "cleartext"],
        })
    );
    assert!(
        line(&mut rc, &["showconfig"])
            .unwrap()
            .contains("\"seeds\"")
    );
}

#[test]
fn showing_changes_nothing() {
    let mut rc = RcFile::default();
    line(&mut rc, &["showconfig"]).unwrap();
    line(&mut rc, &["delbinds", "delprofile", "x"]).unwrap();
    assert!(!rc.is_dirty());
    line(&mut rc, &["profile", "x", "showprofile", "x"]).unwrap();
    assert!(rc.is_dirty());
}

#[test]
fn faults() {
    assert_eq!(
        fault(&["frobnicate"]),
        "frobnicate: no such command (see aemp --help)"
    );
    assert_eq!(
        fault(&["nodeid", "n", "binsd", "*"]),
        "binsd: no such command; did you mean `binds`? (see aemp --help)"
    );
    assert_eq!(
        fault(&["showprofile", "none"]),
        "no profile is called \"none\": the configuration has none"
    );
    assert_eq!(
        fault(&["profile", "seed", "showconfig", "sed"]),
        "no profile is called \"sed\"; there are: seed"
    );
    let here = config::node_name();
    assert_eq!(
        fault(&["showconfig", &here, "bindz", "*"]),
        "bindz (argument) is no setting; did you mean `binds`?"
    );
    assert_eq!(
        fault(&["binds", "xx:99999"]),
        "setting `binds` (argument): \"xx:99999\": the port must be at most 65535"
    );
    assert_eq!(fault(&["addbind"]), "addbind: the bind address is missing");
    assert_eq!(fault(&["profile"]), "profile: the profile name is missing");
    assert_eq!(fault(&["nodeid", "{}"]), "nodeid: {} is not a text");
    assert_eq!(
        fault(&["nodelay", "perhaps"]),
        "nodelay: \"perhaps\" is not a boolean: 0 or 1"
    );
    assert!(fault(&["binds", "[nope"]).starts_with("argument [nope: not JSON: "));
    assert!(
        fault(&["monitor_timeout", "soon"])
            .starts_with("setting `monitor_timeout` (argument): \"soon\" is not ")
    );
    assert!(fault(&["nodeid", "a#b"]).contains("`#` separates"));
    assert_eq!(
        fault(&["showconfig", &here, "k"]),
        "showconfig: the value of the last setting is missing"
    );
    assert_eq!(
        fault(&["binds", "{\"a\":1}"]),
        "setting `binds` (argument): {\"a\":1} is not a list of texts (an array, or one text with commas)"
    );
}

#[test]
fn a_line_that_fails_changes_nothing() {
    let mut rc = RcFile::default();
    assert!(line(&mut rc, &["nodeid", "n", "profile", "p", "oops"]).is_err());
    assert!(!rc.is_dirty());
    assert_eq!(Value::Object(rc.root().clone()), json!({"version": 1}));
}

#[test]
fn which_commands_there_are() {
    let is_command = |name: &str| table::find(name).is_some();
    for (name, is) in [
        ("setbinds", true),
        ("binds", true),
        ("delbinds", true),
        ("addbind", true),
        ("delbind", true),
        ("delallow", true),
        ("setcert", true),
        ("cert", true),
        ("delcert", true),
        ("_resolve", true),
        ("", false),
        ("set", false),
        ("del", false),
        ("add", false),
        ("addnodeid", false),
        ("run", false),
        ("setprofile", false),
        ("addbinds", false),
    ] {
        assert_eq!(is_command(name), is, "{name}");
    }
}
