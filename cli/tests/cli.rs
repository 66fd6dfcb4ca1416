//! The command, as a user runs it. Every node is on 127.0.0.1 and ends with its test.

#[path = "support/address.rs"]
mod address;
#[path = "cli/broken.rs"]
mod broken;
#[path = "cli/client.rs"]
mod client;
#[path = "cli/completions.rs"]
mod completions;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/dump.rs"]
mod dump;
#[path = "cli/fuzz.rs"]
mod fuzz;
#[path = "cli/mistakes.rs"]
mod mistakes;
#[path = "cli/output.rs"]
mod output;
#[path = "../../tests/support/peers.rs"]
mod peers;
#[path = "cli/perl.rs"]
mod perl;
#[path = "cli/perl_node.rs"]
mod perl_node;
#[path = "cli/pipe.rs"]
mod pipe;
#[path = "cli/proxy.rs"]
mod proxy;
#[path = "cli/rc_file.rs"]
mod rc_file;
#[path = "cli/record.rs"]
mod record;
#[path = "cli/trace.rs"]
mod trace;
#[path = "cli/words.rs"]
mod words;

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use serde_json::{Value, json};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(20);

/// A configuration file of its own for each test.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        Home {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn rc(&self) -> PathBuf {
        self.folder.path().join("rc")
    }

    fn config(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.rc()).unwrap()).unwrap()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(cargo_bin("aemp"));
        self.surround(&mut command);
        command
    }

    /// Has a command use this home's configuration and nothing else.
    fn surround(&self, command: &mut Command) {
        command.env("PERL_ANYEVENT_MP_RC", self.rc());
        command.env("HOME", self.folder.path());
        command.env_remove("PERL_ANYEVENT_MP_WARNLEVEL");
        command.env_remove("PERL_ANYEVENT_MP_TRACE");
        command.env_remove("PERL_ANYEVENT_VERBOSE");
        command.env_remove("AE_VERBOSE");
        command.env_remove("RUST_LOG");
        command.stdin(Stdio::null());
    }

    fn aemp(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = assert_cmd::Command::from_std(self.command());
        command.args(args).timeout(LIMIT).assert()
    }

    /// A secret, and for the client commands a node without listeners that knows the seed.
    fn network(&self, seed: &str) {
        let rc = json!({
            "version": 1, "secret": "geheim", "generation": 1,
            "profile": { "aemp": { "binds": [], "seeds": [seed] } },
        });
        self.write(&rc.to_string());
    }

    /// Writes the configuration file as it should be: only its owner can read it.
    fn write(&self, rc: &str) {
        std::fs::write(self.rc(), rc).unwrap();
        self.set_mode(0o600);
    }

    fn set_mode(&self, mode: u32) {
        std::fs::set_permissions(self.rc(), PermissionsExt::from_mode(mode)).unwrap();
    }

    /// Runs a node and waits until it listens.
    fn run(&self, id: &str) -> Running {
        self.run_with(&["run", "nodeid", id, "binds", "127.0.0.1:0"])
    }

    fn run_with(&self, args: &[&str]) -> Running {
        let mut command = self.command();
        command.args(args);
        command.env("PERL_ANYEVENT_MP_WARNLEVEL", "9");
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut lines = Vec::new();
        let listener = loop {
            let line = log.next().expect("the node runs").unwrap();
            lines.push(line.clone());
            if let Some((_, rest)) = line.split_once("node listens on [") {
                break rest.trim_end_matches("].").to_owned();
            }
        };
        // The rest is read, so that the node never waits for us.
        let rest = std::thread::spawn(move || log.map_while(Result::ok).collect());
        Running {
            child,
            listener,
            lines,
            rest: Some(rest),
        }
    }
}

/// A node that runs; killed when dropped.
struct Running {
    child: Child,
    listener: String,
    lines: Vec<String>,
    rest: Option<std::thread::JoinHandle<Vec<String>>>,
}

impl Running {
    /// Where it listens.
    fn address(&self) -> &str {
        &self.listener
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end: the status, and all log lines.
    fn wait(mut self) -> (std::process::ExitStatus, Vec<String>) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < LIMIT, "the node does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut lines = std::mem::take(&mut self.lines);
        lines.extend(self.rest.take().unwrap().join().unwrap());
        (status, lines)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn stdout(assert: assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn stderr(assert: assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

#[test]
fn help_version_and_usage() {
    let home = Home::new();
    let help = stdout(home.aemp(&["--help"]).success());
    for word in [
        "run",
        "snd",
        "cal",
        "mon",
        "eval",
        "trace",
        "pipe",
        "logs",
        "gensecret",
        "setsecret",
        "demo",
    ] {
        assert!(help.contains(word), "{word} is missing in:\n{help}");
    }
    let version = stdout(home.aemp(&["--version"]).success());
    assert_eq!(version.trim(), concat!("aemp ", env!("CARGO_PKG_VERSION")));
    home.aemp(&[]).failure();
    let error = stderr(home.aemp(&["frobnicate"]).code(2));
    assert!(error.contains("frobnicate"), "{error}");
    assert!(
        !home.rc().exists(),
        "nothing of this writes the configuration"
    );
}

#[test]
fn the_configuration_is_edited() {
    let home = Home::new();
    home.aemp(&["gensecret"]).success().stdout("");
    let first = home.config()["secret"].as_str().unwrap().to_owned();
    assert!(first.len() >= 80, "{first}");
    home.aemp(&["gensecret"]).success();
    assert_ne!(home.config()["secret"], first);
    home.aemp(&[
        "setsecret",
        "geheim",
        "profile",
        "seed",
        "nodeid",
        "anon/",
        "binds",
        "*:4040",
    ])
    .success();
    let config = home.config();
    assert_eq!(config["secret"], "geheim");
    assert_eq!(
        config["profile"]["seed"],
        json!({"nodeid": "anon/", "binds": ["*:4040"]})
    );
    let shown: Value = serde_json::from_str(&stdout(home.aemp(&["showconfig", "seed"]))).unwrap();
    assert_eq!(shown["binds"], json!(["*:4040"]));
    let error = stderr(home.aemp(&["setsecret"]).failure());
    assert!(!error.is_empty());
    // A broken file is not overwritten.
    std::fs::write(home.rc(), "{\"secret\": oops").unwrap();
    let error = stderr(home.aemp(&["gensecret"]).code(1));
    assert!(error.contains("rc"), "{error}");
    assert_eq!(std::fs::read(home.rc()).unwrap(), b"{\"secret\": oops");
}

/// What Perl's 2.x writes into the file is kept, also what means nothing here.
#[test]
fn settings_of_generation_2_are_kept() {
    let home = Home::new();
    let rc = json!({
        "version": 1, "eval": "1", "norc": 1, "nodeid": "shop/%n/%u", "secure": 0,
        "profile": { "p": { "secure": true, "nodeid": "shop/" } },
    });
    home.write(&rc.to_string());
    home.aemp(&["secure", "1", "setsecret", "geheim"]).success();
    let mut wanted = rc;
    wanted["secure"] = "1".into();
    wanted["secret"] = "geheim".into();
    assert_eq!(home.config(), wanted);
    home.aemp(&["delsecure", "profile", "p", "delsecure"])
        .success();
    assert_eq!(home.config()["profile"]["p"], json!({"nodeid": "shop/"}));
    assert_eq!(home.config().get("secure"), None);
}

#[test]
fn a_node_without_the_file_and_one_with_the_last_word() {
    let home = Home::new();
    std::fs::write(home.rc(), "{ broken").unwrap();
    let node = home.run_with(&[
        "run",
        "norc",
        "1",
        "nodeid",
        "shop/",
        "binds",
        "127.0.0.1:0",
    ]);
    assert!(node.lines[0].contains(" node shop/"), "{:?}", node.lines);
    assert!(!node.lines[0].contains(" node shop/ "), "{:?}", node.lines);
    let error = stderr(home.aemp(&["run", "norc", "0"]).code(1));
    assert!(error.contains("rc"), "{error}");

    std::fs::write(home.rc(), r#"{"nodeid": "doomed"}"#).unwrap();
    let arguments = [
        "run",
        "force",
        "1",
        "nodeid",
        "ruth",
        "binds",
        "127.0.0.1:0",
    ];
    let node = home.run_with(&arguments);
    assert!(node.lines[0].contains(" node ruth "), "{:?}", node.lines);
    let node = home.run_with(&[&arguments[..1], &arguments[3..]].concat());
    assert!(node.lines[0].contains(" node doomed "), "{:?}", node.lines);
}

#[test]
fn a_node_runs_and_answers() {
    let home = Home::new();
    home.network("127.0.0.1:1");
    let node = home.run("worker");
    assert!(
        node.lines[0].ends_with(" <8> node worker starting up."),
        "{}",
        node.lines[0]
    );
    assert!(
        node.lines[1].ends_with(" <7> starting global service."),
        "{}",
        node.lines[1]
    );
    home.network(&node.listener);

    // `known_nodes` is a request to the node port, so to say a port that answers.
    home.aemp(&["snd", "worker", "devnull", "a", "1"])
        .success()
        .stdout("message sent successfully \n");
    let reply = stdout(home.aemp(&["cal", "worker", "info"]).success());
    assert_eq!(reply, "\"worker\"\n");
    let reply = stdout(home.aemp(&["cal", "worker", "snd_multiple"]).code(1));
    assert_eq!(reply, "");
    let time = stdout(home.aemp(&["cal", "worker", "time"]).success());
    assert!(time.trim().parse::<f64>().unwrap() > 1.7e9, "{time}");

    let error = stderr(home.aemp(&["eval", "worker", "6*7"]).code(1));
    assert!(error.contains("does not evaluate"), "{error}");

    home.aemp(&["mon", "worker#missing"])
        .code(1)
        .stdout("no_such_port cannot monitor nonexistent port worker#missing \n");
    let error = stderr(home.aemp(&["snd", "worker#missing", "x"]).code(1));
    assert!(error.contains("no_such_port"), "{error}");

    let stats: Value = serde_json::from_str(&stdout(home.aemp(&["stats", "worker"]))).unwrap();
    assert_eq!(stats["node"], "worker");
    assert_eq!(stats["links"][0]["reconnects"], 0);
    assert!(
        stats["links"][0]["received"].as_u64().unwrap() >= 1,
        "{stats}"
    );

    let trace = stdout(home.aemp(&["trace", "worker"]).success());
    assert_eq!(trace, "seed worker\nworker\n");
    drop(node);
}

#[test]
fn nobody_answers() {
    let home = Home::new();
    home.network("127.0.0.1:1");
    for args in [
        &["snd", "nowhere", "x"][..],
        &["cal", "nowhere", "x"],
        &["eval", "nowhere", "1"],
    ] {
        let started = Instant::now();
        let error = stderr(home.aemp(args).code(1));
        let last = error.lines().last().unwrap_or_default();
        assert!(last.starts_with("aemp: "), "{error}");
        let took = started.elapsed();
        assert!(
            (4.5..15.0).contains(&took.as_secs_f64()),
            "{args:?} took {took:?}"
        );
    }
}

#[test]
fn signals_end_a_node_cleanly() {
    for signal in ["-INT", "-TERM"] {
        let home = Home::new();
        home.network("127.0.0.1:1");
        let node = home.run("mortal");
        home.network(&node.listener);
        // Somebody watches.
        let mut watcher = home.command();
        watcher.args(["mon", "mortal"]).stdout(Stdio::piped());
        watcher.env("PERL_ANYEVENT_MP_WARNLEVEL", "9");
        let mut watcher = watcher.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(watcher.stderr.take().unwrap()).lines();
        let joined = log
            .map_while(Result::ok)
            .find(|line| line.contains("mortal is up"));
        assert!(joined.is_some());
        let started = Instant::now();
        node.signal(signal);
        let (status, lines) = node.wait();
        assert_eq!(status.code(), Some(0), "{lines:?}");
        let output = watcher.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.starts_with("transport_error mortal "), "{said}");
        assert!(
            started.elapsed() < Duration::from_secs(8),
            "peers notice at once"
        );
    }
}

#[test]
fn a_node_is_a_bridge() {
    let home = Home::new();
    let rc = json!({ "version": 1, "secret": "geheim" });
    home.write(&rc.to_string());
    let middle = home.run_with(&["run", "nodeid", "middle", "binds", "127.0.0.1:0", "bridge"]);
    let start = |id: &str, generation: &str| {
        home.run_with(&[
            "run",
            "nodeid",
            id,
            "generation",
            generation,
            "binds",
            "127.0.0.1:0",
            "seeds",
            &middle.listener,
        ])
    };
    let _old = start("old", "0");
    let _new = start("new", "2");
    // A node of generation 0 reaches one of 2; it may take until all have met.
    let rc = json!({
        "version": 1, "secret": "geheim", "generation": 0,
        "profile": { "aemp": { "binds": ["127.0.0.1:0"], "seeds": [middle.listener] } },
    });
    home.write(&rc.to_string());
    let time = stdout(home.aemp(&["cal", "new", "time"]).success());
    let time: Value = serde_json::from_str(&time).unwrap();
    assert!(time.as_f64().is_some(), "{time}");
}

#[test]
fn what_a_bridge_joins_is_kept_and_checked() {
    let home = Home::new();
    home.network("127.0.0.1:1");
    home.aemp(&["setbridge", "0,1", "profile", "p", "bridge", "all"])
        .success();
    assert_eq!(home.config()["bridge"], json!(["0", "1"]));
    assert_eq!(home.config()["profile"]["p"]["bridge"], json!(["all"]));
    let error = stderr(home.aemp(&["bridge", "1"]).code(1));
    assert!(error.contains("what a bridge joins"), "{error}");
    // The file says that the node speaks generation 1 alone.
    let error = stderr(home.aemp(&["run", "binds", "127.0.0.1:0"]).code(1));
    assert!(error.contains("does not speak generation 0"), "{error}");
    home.aemp(&["delbridge"]).success();
    assert_eq!(home.config().get("bridge"), None);
}

#[test]
fn a_node_that_cannot_start_says_why() {
    let home = Home::new();
    home.network("127.0.0.1:1");
    let error = stderr(home.aemp(&["run", "nodeid", "a#b"]).code(1));
    assert!(error.contains("a#b"), "{error}");
    let error = stderr(home.aemp(&["run", "binds", "127.0.0.1:70000"]).code(1));
    assert!(error.contains("70000"), "{error}");
    let error = stderr(home.aemp(&["run", "framing_format", "morse"]).code(1));
    assert!(error.contains("morse"), "{error}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = stderr(home.aemp(&["run", "binds", &address]).code(1));
    assert!(
        error.contains(&format!("can't listen on {address}")),
        "{error}"
    );
}

#[test]
fn the_trace_shows_messages_as_perl_does() {
    let home = Home::new();
    home.network("127.0.0.1:1");
    let node = home.run("traced");
    home.network(&node.listener);
    let mut command = assert_cmd::Command::from_std(home.command());
    command
        .env("PERL_ANYEVENT_MP_TRACE", "1")
        .args(["cal", "traced", "info"]);
    let error = stderr(command.timeout(LIMIT).assert().success());
    let sent = error
        .lines()
        .find(|line| line.starts_with("SND traced <- [\"info\",\"anon/"));
    assert!(sent.is_some(), "{error}");
    let received = error.lines().any(|line| {
        line.starts_with("RCV traced -> [\"\",\"AnyEvent::MP::_spawn\",")
            && line.ends_with(",\"AnyEvent::MP::Global::connect\",0,\"traced\"]")
    });
    assert!(received, "{error}");
}

#[test]
fn the_demonstration_succeeds() {
    let home = Home::new();
    let started = Instant::now();
    let said = stdout(home.aemp(&["demo"]).success());
    assert!(started.elapsed() < Duration::from_secs(10));
    for step in [
        "the message arrives",
        "the port is killed and its monitor fires",
        "the receiver's node is lost",
        "messages arrive again",
        "all steps succeeded",
    ] {
        assert!(said.contains(step), "{step} is missing in:\n{said}");
    }
}
