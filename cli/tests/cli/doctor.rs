//! `aemp doctor` names the fault of each set-up that is broken in one way.

use std::any::Any;
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

/// What is wrong with what the doctor says, who is to find one thing wrong and say all of that.
fn faults(home: &Home, wanted: &[&str]) -> Option<String> {
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

/// Who has something wrong, and what must not end before the doctor has come.
struct Patient {
    home: Home,
    others: Vec<Box<dyn Any>>,
}

impl Patient {
    fn new(changed: &Value) -> Self {
        Self::from(set_up(changed))
    }

    /// One whose seed is another node, which has these settings.
    fn of_node(settings: &Value, changed: &Value) -> Self {
        let (home, running) = node(settings);
        let seed = running.address().to_owned();
        Self::with_seed(&seed, changed).beside(home).beside(running)
    }

    /// One whose seed is no node: a program that does this with each connection.
    fn of_stranger(serve: impl Fn(TcpStream) + Send + 'static) -> Self {
        let stranger = Stranger::new(serve);
        Self::with_seed(&stranger.address.to_string(), &json!({})).beside(stranger)
    }

    fn with_seed(address: &str, changed: &Value) -> Self {
        let mut all = json!({"seeds": [address], "greeting_timeout": 1});
        for (key, value) in changed.as_object().unwrap() {
            all[key] = value.clone();
        }
        Self::new(&all)
    }

    fn beside(mut self, other: impl Any) -> Self {
        self.others.push(Box::new(other));
        self
    }
}

impl From<Home> for Patient {
    fn from(home: Home) -> Self {
        Patient {
            home,
            others: Vec::new(),
        }
    }
}

/// An address of this machine that nobody listens at.
fn free_address() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().to_string()
}

/// A certificate whose time is over.
fn certificate_of_2001() -> String {
    let mut params = rcgen::CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem() + &key.serialize_pem()
}

/// A set-up that is broken in one way.
struct Broken {
    what: &'static str,
    make: fn() -> Patient,
    /// What the doctor says of it.
    wanted: &'static [&'static str],
}

const BROKEN: &[Broken] = &[
    Broken {
        what: "a file that is no JSON",
        make: || {
            let home = Home::new();
            home.write("{ this is no JSON");
            home.into()
        },
        wanted: &["WRONG file: ", "mend it with an editor"],
    },
    Broken {
        what: "a file that everybody can read",
        make: || {
            let patient = Patient::new(&json!({}));
            patient.home.set_mode(0o644);
            patient
        },
        wanted: &["can be read by other users", "chmod 600"],
    },
    Broken {
        what: "a number that is none",
        make: || Patient::new(&json!({"max_depth": "deep"})),
        wanted: &["max_depth", "\"deep\""],
    },
    Broken {
        what: "a node ID that no node can have",
        make: || Patient::new(&json!({"nodeid": "two words"})),
        wanted: &["node", "two words"],
    },
    Broken {
        what: "no secret",
        make: || {
            let patient = Patient::new(&json!({}));
            let rc = r#"{"version":1,"nodeid":"patient","binds":["127.0.0.1:0"]}"#;
            patient.home.write(rc);
            patient
        },
        wanted: &["WRONG secret: there is none", "aemp gensecret"],
    },
    Broken {
        what: "TLS asked for, and no certificate",
        make: || Patient::new(&json!({"require_tls": 1})),
        wanted: &["WRONG certificate: require_tls is set, and there is no certificate"],
    },
    Broken {
        what: "a certificate that is none",
        make: || Patient::new(&json!({"cert": "nonsense"})),
        wanted: &["WRONG certificate: ", "aemp setcert FILE"],
    },
    Broken {
        what: "a certificate that has ended",
        make: || Patient::new(&json!({"cert": certificate_of_2001()})),
        wanted: &[
            "WRONG certificate: it was valid until 2002-01-01",
            "aemp gencert",
        ],
    },
    Broken {
        what: "a bind that another program has",
        make: || {
            let taken = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = taken.local_addr().unwrap().to_string();
            // It never greets; the doctor does not wait for long.
            Patient::new(&json!({"binds": [address], "greeting_timeout": 1})).beside(taken)
        },
        wanted: &["another program is listening there"],
    },
    Broken {
        what: "a bind that another node has",
        make: || {
            let (home, running) = node(&json!({"nodeid": "somebody"}));
            let patient = Patient::new(&json!({"binds": [running.address()]}));
            patient.beside(home).beside(running)
        },
        wanted: &["another node, somebody, is listening there"],
    },
    Broken {
        what: "a bind of another machine",
        make: || Patient::new(&json!({"binds": ["192.0.2.77:4040"]})),
        wanted: &["no interface of this machine has that address"],
    },
    Broken {
        what: "a bind whose name nobody knows",
        make: || Patient::new(&json!({"binds": ["nowhere.invalid:4040"]})),
        wanted: &["WRONG bind nowhere.invalid:4040: ", "correct `binds`"],
    },
    Broken {
        what: "neither binds nor seeds",
        make: || Patient::new(&json!({"binds": []})),
        wanted: &["listens nowhere and has no seeds"],
    },
    Broken {
        what: "a seed whose name nobody knows",
        make: || Patient::with_seed("nowhere.invalid:4040", &json!({})),
        wanted: &["WRONG seed nowhere.invalid:4040: ", "correct `seeds`"],
    },
    Broken {
        what: "a seed where nobody listens",
        make: || Patient::with_seed(&free_address(), &json!({})),
        wanted: &["can't connect: ", "nothing listens there"],
    },
    Broken {
        what: "a seed that says nothing",
        make: || {
            let silent = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = silent.local_addr().unwrap().to_string();
            Patient::with_seed(&address, &json!({})).beside(silent)
        },
        wanted: &[
            "does not greet within 1s",
            "no node, or its process stands still",
        ],
    },
    Broken {
        what: "a seed that is a web server",
        make: || {
            Patient::of_stranger(|mut stream| {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            })
        },
        wanted: &["what listens there is no node"],
    },
    Broken {
        what: "a seed that hangs up",
        make: || Patient::of_stranger(drop),
        wanted: &["it closes the connection before it has greeted"],
    },
    Broken {
        what: "another secret than the seed's",
        make: || {
            let secret = json!({"secret": "another secret, as long"});
            Patient::of_node(&json!({"nodeid": "seed"}), &secret)
        },
        wanted: &["WRONG seed ", "another `secret`", "aemp setsecret"],
    },
    Broken {
        what: "TLS asked for, and the seed has no certificate",
        make: || {
            let tls = json!({"cert": certificate(), "require_tls": 1});
            Patient::of_node(&json!({"nodeid": "seed"}), &tls)
        },
        wanted: &["WRONG seed ", "does not speak TLS", "aemp delrequire_tls"],
    },
    Broken {
        what: "a certificate that the seed does not trust",
        make: || {
            let theirs = json!({"nodeid": "seed", "cert": certificate()});
            Patient::of_node(&theirs, &json!({"cert": certificate()}))
        },
        wanted: &["WRONG seed ", "the same file has to be in both"],
    },
    Broken {
        what: "a generation that the seed does not speak",
        make: || {
            let old = json!({"nodeid": "old", "generation": "0"});
            Patient::of_node(&old, &json!({"generation": "2"}))
        },
        wanted: &["WRONG seed ", "mismatch", "aemp setgeneration auto"],
    },
    Broken {
        what: "a framing that the seed does not speak",
        make: || {
            let json = json!({"nodeid": "j", "framing_format": "json"});
            Patient::of_node(&json, &json!({"framing_format": "storable"}))
        },
        wanted: &[
            "WRONG seed ",
            "no common framing",
            "`framing_format` here and there",
        ],
    },
    Broken {
        what: "an ID that another node of the network has",
        make: || {
            let same = json!({"nodeid": "patient", "generation": "1"});
            let own = json!({"binds": [free_address()], "generation": "1"});
            Patient::of_node(&same, &own)
        },
        wanted: &["WRONG node ID: a node patient is in the network already"],
    },
];

#[test]
fn each_broken_set_up() {
    let looked_at: Vec<_> = BROKEN
        .iter()
        .map(|broken| (broken.what, faults(&(broken.make)().home, broken.wanted)))
        .filter_map(|(what, faults)| Some(format!("{what}: {}", faults?)))
        .collect();
    assert!(looked_at.is_empty(), "{}", looked_at.join("\n\n"));
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
