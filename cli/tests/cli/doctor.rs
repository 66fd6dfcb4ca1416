//! `aemp doctor`: what it says of set-ups that are whole, of real Perl nodes, of what may be meant.
//! Set-ups that are broken are a table of their own, in `broken.rs`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use aemp::proto::auth::{AuthMethod, Secret};
use serde_json::{Value, json};

use super::perl_node::{PerlNode, release};
use super::{Home, Running};

const SECRET: &str = "a secret of some length";

/// A program that is no node: it does something with each connection until it is dropped.
pub struct Stranger {
    pub address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stranger {
    pub fn new(serve: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let over = ends.clone();
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                serve(stream);
            }
        });
        Stranger {
            address,
            ends,
            thread: Some(thread),
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A node of generation 1 that answers what it is asked for the time with this one.
fn clock_at(seconds: f64) -> Stranger {
    Stranger::new(move |mut stream| {
        let own = "aemp;1;clock;hmac_md6_64_256;json;provider=AE-1.30\nNONCE\n";
        stream.write_all(own.as_bytes()).unwrap();
        let mut read = Vec::new();
        let lines = |read: &[u8]| read.iter().filter(|octet| **octet == b'\n').count();
        let mut more = |read: &mut Vec<u8>| {
            let mut block = [0; 4096];
            let taken = stream.read(&mut block).unwrap_or(0);
            read.extend_from_slice(&block[..taken]);
            taken > 0
        };
        while lines(&read) < 2 && more(&mut read) {}
        let text = String::from_utf8_lossy(&read).into_owned();
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        let token = AuthMethod::HmacMd6.token(&Secret::from(SECRET), own, &text[..ends[1]]);
        let proof = format!("hmac_md6_64_256;{token};json\n");
        let mut write = stream.try_clone().unwrap();
        write.write_all(proof.as_bytes()).unwrap();
        let asked = |read: &[u8]| {
            let text = String::from_utf8_lossy(read).into_owned();
            text.contains(r#""time""#)
        };
        let mut more = |read: &mut Vec<u8>| {
            let mut block = [0; 4096];
            let taken = stream.read(&mut block).unwrap_or(0);
            read.extend_from_slice(&block[..taken]);
            taken > 0
        };
        while !asked(&read) && more(&mut read) {}
        let answers = format!(r#"["probe",{seconds}]["probe","clock"]"#);
        let _ = write.write_all(answers.as_bytes());
        while more(&mut read) {}
    })
}

/// Settings with those in `changed` in place of their own.
pub fn changed_by(mut settings: Value, changed: &Value) -> Value {
    for (key, value) in changed.as_object().unwrap() {
        settings[key] = value.clone();
    }
    settings
}

/// The settings of a node that is whole but for what is `changed`.
pub fn set_up(changed: &Value) -> Home {
    let home = Home::new();
    let whole = json!({
        "version": 1, "secret": SECRET, "nodeid": "patient", "binds": ["127.0.0.1:0"], "seeds": [],
    });
    home.write(&changed_by(whole, changed).to_string());
    home
}

/// What the command says, all of it, and whether it is content.
fn doctor(home: &Home, arguments: &[&str]) -> (String, bool) {
    let mut command = home.command();
    let output = command.arg("doctor").args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{text}");
    (text, output.status.success())
}

/// What is wrong with what the doctor says, who is to find one thing wrong and say all of that.
pub fn faults(home: &Home, wanted: &[&str]) -> Option<String> {
    let (text, content) = doctor(home, &[]);
    if content {
        return Some(format!("nothing is found:\n{text}"));
    }
    let wrong = text.lines().filter(|line| line.starts_with("WRONG"));
    if wrong.count() != 1 {
        return Some(format!("one fault is one line:\n{text}"));
    }
    let missing = wanted.iter().find(|words| !text.contains(**words));
    missing.map(|words| format!("{words:?} is not in:\n{text}"))
}

/// The doctor finds something wrong, and says all of that.
fn finds(home: &Home, wanted: &[&str]) {
    let faults = faults(home, wanted);
    assert!(faults.is_none(), "{}", faults.unwrap());
}

/// The same for something that may be meant.
fn looks(home: &Home, wanted: &[&str]) {
    let (text, content) = doctor(home, &[]);
    assert!(content && text.contains("\nlook  "), "{text}");
    for words in wanted {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
}

/// A new key and a certificate for it.
pub fn certificate() -> String {
    let home = Home::new();
    home.aemp(&["gencert"]).success();
    home.config()["cert"].as_str().unwrap().to_owned()
}

pub fn node(settings: &Value) -> (Home, Running) {
    let home = set_up(settings);
    let running = home.run_with(&["run"]);
    (home, running)
}

#[test]
fn a_whole_set_up() {
    let (_other, seed) = node(&json!({"nodeid": "seed"}));
    let broken = set_up(&json!({"seeds": [seed.address()]}));
    let (text, content) = doctor(&broken, &[]);
    assert!(content, "{text}");
    assert!(
        !text.contains("WRONG") && !text.contains("\nlook"),
        "{text}"
    );
    for words in [
        "node ID: patient",
        "there is one, of 23 octets",
        "connected in",
        "seed (aemp-rs-",
        "both have proved themselves by the secret",
        "its clock agrees with ours",
        "nothing is wrong",
    ] {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
}

#[test]
fn findings_as_json() {
    let broken = set_up(&json!({"seeds": ["nowhere.invalid:4040"]}));
    let mut command = broken.command();
    let output = command.args(["--json", "doctor"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let all: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let wrong: Vec<&Value> = all.iter().filter(|one| one["verdict"] == "wrong").collect();
    assert_eq!(wrong.len(), 1, "{text}");
    assert_eq!(wrong[0]["what"], "seed nowhere.invalid:4040");
    assert!(wrong[0]["advice"].as_str().unwrap().contains("`seeds`"));
    assert_eq!(output.status.code(), Some(1));
}

/// With real nodes of each generation: what is well, and a secret that is not; with TLS and a
/// certificate that is not theirs as well, where they have it.
#[test]
fn perl_nodes() {
    for version in ["1.0", "1.30", "2.02"] {
        let Some(modules) = release(version) else {
            continue;
        };
        let theirs = set_up(&json!({"nodeid": "perl", "binds": ["127.0.0.1:*"]}));
        let settings = json!({"nodeid": "perl", "binds": ["127.0.0.1:*"], "seeds": []});
        let node = PerlNode::start(&theirs, &modules, &settings);
        let seed = &node.listener;
        let (text, content) = doctor(&set_up(&json!({"seeds": [seed]})), &[]);
        assert!(content, "{version}: {text}");
        for words in [
            "perl (AE-",
            "both have proved themselves by the secret",
            "its clock agrees with ours",
        ] {
            assert!(
                text.contains(words),
                "{version}: {words:?} is not in:\n{text}"
            );
        }
        let wrong = json!({"seeds": [seed], "secret": "another secret, as long"});
        finds(&set_up(&wrong), &["WRONG seed ", "another", "`secret`"]);
        drop(node);

        let cert = certificate();
        let theirs = set_up(&json!({
            "nodeid": "perl", "binds": ["127.0.0.1:*"], "cert": cert,
        }));
        let node = PerlNode::start(&theirs, &modules, &settings);
        let seed = &node.listener;
        let with = |cert: String| set_up(&json!({"seeds": [seed], "cert": cert}));
        let (text, content) = doctor(&with(cert), &[]);
        assert!(
            content && text.contains("proved themselves, TLS"),
            "{version}: {text}"
        );
        finds(&with(certificate()), &["WRONG seed ", "certificate"]);
    }
}

#[test]
fn arguments_are_those_of_run() {
    let broken = set_up(&json!({}));
    let (text, content) = doctor(&broken, &["nodeid", "another", "force", "1"]);
    assert!(content && text.contains("node ID: another"), "{text}");
}

#[test]
fn a_profile_that_is_not_there() {
    let broken = set_up(&json!({"profile": {"seed": {}}}));
    let (text, content) = doctor(&broken, &["sead"]);
    assert!(!content && text.contains("WRONG profile: "), "{text}");
    assert!(text.contains("seed"), "the names that there are: {text}");
}

#[test]
fn a_secret_that_is_short() {
    looks(
        &set_up(&json!({"secret": "short"})),
        &["it has 5 octets only"],
    );
}

#[test]
fn a_node_that_runs_already() {
    let (home, running) = node(&json!({}));
    let (text, content) = doctor(&home, &["binds", running.address(), "force", "1"]);
    assert!(content, "{text}");
    assert!(
        text.contains("this node, patient, is running there"),
        "{text}"
    );
}

#[test]
fn a_clock_that_is_wrong() {
    let slow = clock_at(1_000_000_000.0);
    let broken = set_up(&json!({"seeds": [slow.address.to_string()]}));
    looks(
        &broken,
        &["its clock is ", "s behind ours", "needs its time set"],
    );
}

/// The command says how it is used.
#[test]
fn help() {
    let help = Command::new(assert_cmd::cargo::cargo_bin("aemp"))
        .args(["doctor", "--help"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("aemp doctor"));
}
