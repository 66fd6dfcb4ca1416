//! `aemp doctor` names the fault of each set-up that is broken in one way.

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
struct Stranger {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stranger {
    fn new(serve: impl Fn(TcpStream) + Send + 'static) -> Self {
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

/// The settings of a node that is whole but for what is `changed`.
fn set_up(changed: &Value) -> Home {
    let home = Home::new();
    let mut rc = json!({
        "version": 1, "secret": SECRET, "nodeid": "patient", "binds": ["127.0.0.1:0"], "seeds": [],
    });
    for (key, value) in changed.as_object().unwrap() {
        rc[key] = value.clone();
    }
    home.write(&rc.to_string());
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

/// The doctor finds something wrong, and says all of that.
fn finds(home: &Home, wanted: &[&str]) {
    let (text, content) = doctor(home, &[]);
    assert!(!content, "{text}");
    let wrong: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("WRONG"))
        .collect();
    assert_eq!(wrong.len(), 1, "one fault is one line: {text}");
    for words in wanted {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
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
fn certificate() -> String {
    let home = Home::new();
    home.aemp(&["gencert"]).success();
    home.config()["cert"].as_str().unwrap().to_owned()
}

fn node(settings: &Value) -> (Home, Running) {
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

/// With real nodes of each generation: what is well, and a secret that is not.
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
fn the_file() {
    let home = Home::new();
    home.write("{ this is no JSON");
    finds(&home, &["WRONG file: ", "mend it with an editor"]);
    let broken = set_up(&json!({}));
    broken.set_mode(0o644);
    finds(&broken, &["can be read by other users", "chmod 600"]);
}

#[test]
fn settings() {
    finds(
        &set_up(&json!({"max_depth": "deep"})),
        &["max_depth", "\"deep\""],
    );
    finds(
        &set_up(&json!({"nodeid": "two words"})),
        &["node", "two words"],
    );
    finds(
        &set_up(&json!({"require_tls": 1})),
        &["WRONG certificate: require_tls is set, and there is no certificate"],
    );
    finds(
        &set_up(&json!({"cert": "nonsense"})),
        &["WRONG certificate: ", "aemp setcert FILE"],
    );
    let none = set_up(&json!({}));
    none.write(r#"{"version":1,"nodeid":"patient","binds":["127.0.0.1:0"]}"#);
    finds(&none, &["WRONG secret: there is none", "aemp gensecret"]);
    looks(
        &set_up(&json!({"secret": "short"})),
        &["it has 5 octets only"],
    );
}

#[test]
fn a_certificate_that_has_ended() {
    let mut params = rcgen::CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
    finds(
        &set_up(&json!({"cert": pem})),
        &[
            "WRONG certificate: it was valid until 2002-01-01",
            "aemp gencert",
        ],
    );
}

#[test]
fn binds() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // It never greets; the doctor does not wait for long.
    let broken = set_up(&json!({"binds": [address], "greeting_timeout": 1}));
    finds(&broken, &["another program is listening there"]);
    let broken = set_up(&json!({"binds": ["192.0.2.77:4040"]}));
    finds(&broken, &["no interface of this machine has that address"]);
    let broken = set_up(&json!({"binds": ["nowhere.invalid:4040"]}));
    finds(
        &broken,
        &["WRONG bind nowhere.invalid:4040: ", "correct `binds`"],
    );
    let broken = set_up(&json!({"binds": []}));
    finds(&broken, &["listens nowhere and has no seeds"]);
    let (_other, running) = node(&json!({"nodeid": "somebody"}));
    let broken = set_up(&json!({"binds": [running.address()]}));
    finds(&broken, &["another node, somebody, is listening there"]);
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
fn seeds() {
    let seeds = |address: &str| set_up(&json!({"seeds": [address], "greeting_timeout": 1}));
    finds(
        &seeds("nowhere.invalid:4040"),
        &["WRONG seed nowhere.invalid:4040: ", "correct `seeds`"],
    );
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    finds(
        &seeds(&address),
        &["can't connect: ", "nothing listens there"],
    );
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    finds(
        &seeds(&address),
        &[
            "does not greet within 1s",
            "no node, or its process stands still",
        ],
    );
    let web = Stranger::new(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    finds(
        &seeds(&web.address.to_string()),
        &["what listens there is no node"],
    );
    let closes = Stranger::new(drop);
    finds(
        &seeds(&closes.address.to_string()),
        &["it closes the connection before it has greeted"],
    );
}

#[test]
fn what_does_not_fit_the_seed() {
    let (_other, seed) = node(&json!({"nodeid": "seed"}));
    let with = |key: &str, value: Value| {
        let mut changed = json!({"seeds": [seed.address()]});
        changed[key] = value;
        set_up(&changed)
    };
    finds(
        &with("secret", json!("another secret, as long")),
        &["WRONG seed ", "another `secret`", "aemp setsecret"],
    );
    let tls = json!({"seeds": [seed.address()], "cert": certificate(), "require_tls": 1});
    finds(
        &set_up(&tls),
        &["WRONG seed ", "does not speak TLS", "aemp delrequire_tls"],
    );
    let (_old, old) = node(&json!({"nodeid": "old", "generation": "0"}));
    let new = set_up(&json!({"seeds": [old.address()], "generation": "2"}));
    finds(
        &new,
        &["WRONG seed ", "mismatch", "aemp setgeneration auto"],
    );
    let (_json, speaks_json) = node(&json!({"nodeid": "j", "framing_format": "json"}));
    let broken = set_up(&json!({"seeds": [speaks_json.address()], "framing_format": "storable"}));
    finds(
        &broken,
        &[
            "WRONG seed ",
            "no common framing",
            "`framing_format` here and there",
        ],
    );
}

#[test]
fn a_certificate_that_the_seed_does_not_trust() {
    let (_other, seed) = node(&json!({"nodeid": "seed", "cert": certificate()}));
    let broken = set_up(&json!({"seeds": [seed.address()], "cert": certificate()}));
    finds(&broken, &["WRONG seed ", "the same file has to be in both"]);
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

#[test]
fn an_id_that_somebody_else_has() {
    let (_other, seed) = node(&json!({"nodeid": "patient", "generation": "1"}));
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = free.local_addr().unwrap().to_string();
    drop(free);
    let broken = set_up(&json!({"seeds": [seed.address()], "binds": [own], "generation": "1"}));
    finds(
        &broken,
        &["WRONG node ID: a node patient is in the network already"],
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
