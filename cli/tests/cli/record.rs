//! `aemp record`: what passes between two nodes is written down, and `aemp dump` verifies it. With
//! TLS too, if the relay has the certificate.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use serde_json::{Value, json};

use super::perl_node::{PerlNode, release};
use super::{Home, LIMIT};

/// A relay that runs; killed when dropped.
pub struct Relay {
    child: Child,
    lines: mpsc::Receiver<String>,
    pub address: String,
}

impl Relay {
    /// One of both commands.
    pub fn start(home: &Home, command: &str, target: &str, more: &[&str]) -> Self {
        let mut process = home.command();
        process.args([command, "127.0.0.1:0", target]).args(more);
        let mut child = process.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let address = match serde_json::from_str::<Value>(&first) {
            Ok(line) => line["listens"].as_str().unwrap().to_owned(),
            Err(_) => {
                let (_, address) = first.split_once(" from ").unwrap();
                address.split_once(" to ").unwrap().0.to_owned()
            }
        };
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| drop(tell.send(line)));
        });
        Relay {
            child,
            lines: told,
            address,
        }
    }

    /// One that records in this folder of the home.
    fn new(home: &Home, target: &str, more: &[&str]) -> Self {
        let dir = dir(home);
        let args = [&["--dir", dir.to_str().unwrap()], more].concat();
        Relay::start(home, "record", target, &args)
    }

    /// A connection through it to a target of the test's own: the ends of who connects, and of who
    /// was connected to.
    pub fn connect(&self, target: &TcpListener) -> (TcpStream, TcpStream) {
        let connector = TcpStream::connect(&self.address).unwrap();
        let (accepted, _) = target.accept().unwrap();
        (connector, accepted)
    }

    /// What it says next.
    pub fn line(&mut self) -> String {
        self.lines.recv_timeout(LIMIT).expect("it goes on")
    }

    /// Waits for a line that has all of these, and gives it.
    pub fn says(&mut self, words: &[&str]) -> String {
        let mut passed = Vec::new();
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) if words.iter().all(|word| line.contains(word)) => return line,
                Ok(line) => passed.push(line),
                Err(_) => panic!("{words:?} is not said:\n{}", passed.join("\n")),
            }
        }
    }

    /// Ends it, and gives what it said until then.
    pub fn end(&mut self) -> Vec<String> {
        self.send_interrupt();
        let lines = self.lines.iter().collect();
        assert!(self.child.wait().unwrap().success());
        lines
    }

    fn send_interrupt(&self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for a line that ends so.
    fn wait_for(&mut self, end: &str) {
        while !self.line().ends_with(end) {}
    }

    /// Ends it as a user does.
    fn interrupt(mut self) {
        self.send_interrupt();
        assert!(self.child.wait().unwrap().success());
    }
}

/// Somebody for a relay to lead to, and where that is.
pub fn target() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// Where recordings are.
fn dir(home: &Home) -> PathBuf {
    home.folder.path().join("new/recordings")
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn dump_verifies_what_was_recorded() {
    let home = Home::new();
    // The node has no seed; what it has of this is the secret.
    home.network("127.0.0.1:1");
    let node = home.run("ruth");
    let mut relay = Relay::new(&home, node.address(), &[]);
    let dir = dir(&home);
    home.network(&relay.address);
    home.aemp(&["cal", "ruth", "time"]).success();
    relay.wait_for("conversation-1.jsonl: begins");
    // The client may go before all is passed on: its end is.
    relay.wait_for("conversation-1.jsonl: ended");
    relay.interrupt();
    let file = dir.join("conversation-1.jsonl");
    let args = ["dump", "--secret", "geheim", file.to_str().unwrap()];
    let said = home.aemp(&args).success();
    let said = String::from_utf8(said.get_output().stdout.clone()).unwrap();
    assert_eq!(said.matches(", verified;").count(), 2, "{said}");
    assert!(said.contains("asks the time"), "{said}");
}

/// What is written down is what passed: of any octets, both ways, and the ends.
#[test]
fn any_octets_pass() {
    let home = Home::new();
    let (listener, address) = target();
    let mut relay = Relay::new(&home, &address, &["--max-connections", "1"]);
    let (mut connector, mut accepted) = relay.connect(&listener);
    connector.write_all(b"\xff\x00").unwrap();
    connector.shutdown(std::net::Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    accepted.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"\xff\x00");
    accepted.write_all("für".as_bytes()).unwrap();
    drop(accepted);
    let mut heard = String::new();
    connector.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "für");
    relay.wait_for("ended");
    let file = std::fs::read_to_string(dir(&home).join("conversation-1.jsonl")).unwrap();
    let rows = file.lines().map(|line| {
        let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(row.as_object_mut().unwrap().remove("at").is_some());
        row
    });
    let expected = [
        json!({"conn": 1, "dir": ">", "base64": "/wA="}),
        json!({"conn": 1, "dir": ">", "text": "", "eof": true}),
        json!({"conn": 1, "dir": "<", "text": "für"}),
        json!({"conn": 1, "dir": "<", "text": "", "eof": true}),
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expected);
    relay.interrupt();
}

#[test]
fn a_recording_is_bounded() {
    let home = Home::new();
    let (listener, address) = target();
    let mut relay = Relay::new(&home, &address, &["--max-size", "0"]);
    let (mut connector, mut accepted) = relay.connect(&listener);
    connector.write_all(b"aemp").unwrap();
    let mut heard = Vec::new();
    accepted.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"");
    relay.wait_for("closed, as --max-size is used up");
    relay.interrupt();
}

#[test]
fn what_can_not_be_is_told() {
    let home = Home::new();
    let (free, nobody) = target();
    let refused = home.aemp(&["record", "0.0.0.0:0", &nobody]).code(1);
    let said = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(said.contains("If it may: --allow"), "{said}");
    drop(free);
    let mut relay = Relay::new(&home, &nobody, &[]);
    let mut connector = TcpStream::connect(&relay.address).unwrap();
    assert_eq!(connector.read(&mut [0]).unwrap(), 0);
    relay.says(&["can't be reached"]);
    relay.interrupt();
}

/// A key and a certificate, in a file as well.
pub fn certificate(home: &Home, name: &str) -> (String, PathBuf) {
    home.aemp(&["gencert"]).success();
    let pem = home.config()["cert"].as_str().unwrap().to_owned();
    home.aemp(&["delcert"]).success();
    let path = home.folder.path().join(name);
    std::fs::write(&path, &pem).unwrap();
    (pem, path)
}

/// The configuration of a node with this certificate, or without any.
fn set_cert(home: &Home, pem: &str) {
    let mut rc = json!({"version": 1, "secret": "geheim"});
    if !pem.is_empty() {
        rc["cert"] = pem.into();
    }
    home.write(&rc.to_string());
}

/// Two Perl nodes of this release, with certificates (of who connects, and of who listens) or
/// without, and the relay between them: bob, who has connected to alice, and her port that records.
pub fn perl_nodes(
    home: &Home,
    modules: &PathBuf,
    certs: [&str; 2],
    start: impl FnOnce(&str) -> Relay,
) -> (PerlNode, PerlNode, Relay, Value) {
    set_cert(home, certs[1]);
    let listens = json!({"nodeid": "alice", "binds": ["127.0.0.1:*"], "seeds": []});
    let mut alice = PerlNode::start(home, modules, &listens);
    let port = alice.ask("port", &json!({"kind": "record"}))["port"].clone();
    let relay = start(&alice.listener);
    set_cert(home, certs[0]);
    let connects = json!({"nodeid": "bob", "binds": [], "seeds": [relay.address]});
    let mut bob = PerlNode::start(home, modules, &connects);
    bob.up("alice");
    (alice, bob, relay, port)
}

/// Two Perl nodes of this release talk through the relay. Gives what `aemp dump` says of it, and
/// whether all is well.
fn perl_nodes_talk(
    home: &Home,
    modules: &PathBuf,
    certs: [&str; 2],
    more: &[&str],
) -> (String, bool) {
    let start = |target: &str| Relay::new(home, target, more);
    let (mut alice, mut bob, mut relay, port) = perl_nodes(home, modules, certs, start);
    bob.ask("snd", &json!({"to": port, "msg": ["through", "the relay"]}));
    alice.said(|line| line["ev"] == "msg" && line["msg"][1] == "the relay");
    drop((alice, bob));
    // Some of it may have been on its way.
    while relay.line().ends_with("begins") {}
    relay.interrupt();
    let file = dir(home).join("conversation-1.jsonl");
    let args = ["dump", "--secret", "geheim", file.to_str().unwrap()];
    let dumped = home.command().args(args).output().unwrap();
    std::fs::remove_file(file).unwrap();
    let said = String::from_utf8(dumped.stdout).unwrap();
    (said, dumped.status.success())
}

/// Real Perl nodes with certificates: recorded in plain text, if the relay has them.
#[test]
fn perl_nodes_talk_tls_through_it() {
    for version in ["1.30", "2.02"] {
        let Some(modules) = release(version) else {
            continue;
        };
        let home = Home::new();
        let (pem, path) = certificate(&home, "network.pem");
        let args = ["--cert", path.to_str().unwrap()];
        let (said, is_well) = perl_nodes_talk(&home, &modules, [&pem, &pem], &args);
        assert!(is_well, "{version}: {said}");
        let tokens = said.lines().filter(|line| line.contains("token: by tls_"));
        assert!(tokens.clone().all(|line| line.contains(", verified;")));
        assert_eq!(tokens.count(), 2, "{version}: {said}");
        assert!(
            said.contains(r#"["through","the relay"]"#),
            "{version}: {said}"
        );

        // Without it they talk as well, and nobody can read it.
        let (said, is_well) = perl_nodes_talk(&home, &modules, [&pem, &pem], &[]);
        assert!(
            !is_well && said.contains("TLS from here on"),
            "{version}: {said}"
        );
        assert!(!said.contains("the relay"), "{version}: {said}");

        // One without TLS is not troubled.
        let (said, is_well) = perl_nodes_talk(&home, &modules, ["", &pem], &args);
        assert!(
            is_well && said.contains("token: by hmac_"),
            "{version}: {said}"
        );
    }
}

/// Each node trusts its own certificate and the other's, but no third one.
#[test]
fn each_side_may_have_a_certificate_of_its_own() {
    let home = Home::new();
    let [own, theirs, stranger] =
        ["own", "theirs", "stranger"].map(|name| certificate(&home, name));
    let certificate_of = |pem: &str| {
        let end = "-----END CERTIFICATE-----\n";
        let at = pem.find(end).unwrap() + end.len();
        let from = pem.find("-----BEGIN CERTIFICATE-----").unwrap();
        pem[from..at].to_owned()
    };
    // The node that listens trusts both, the one that connects its own alone: so it is shown that.
    let both = theirs.0.clone() + &certificate_of(&own.0);
    set_cert(&home, &both);
    let node = home.run("ruth");
    let [own_path, their_path, strange_path] =
        [&own.1, &theirs.1, &stranger.1].map(|path| path.to_str().unwrap());
    set_cert(&home, &own.0);
    for (certs, refused) in [
        (&["--cert", own_path, "--target-cert", their_path][..], None),
        (&["--cert", own_path], Some("the target")),
        (&["--cert", their_path], Some("who has connected")),
        (
            &["--cert", own_path, "--target-cert", strange_path],
            Some("the target"),
        ),
    ] {
        let mut relay = Relay::new(&home, node.address(), certs);
        let rc = json!({
            "version": 1, "cert": own.0, "generation": 1,
            "profile": { "aemp": { "binds": [], "seeds": [relay.address] } },
        });
        home.write(&rc.to_string());
        let mut called = home.command();
        called.args(["cal", "ruth", "time"]);
        match refused {
            None => {
                assert!(called.output().unwrap().status.success(), "{certs:?}");
                relay.says(&["ended"]);
            }
            Some(side) => {
                let mut calling = called.stderr(Stdio::null()).spawn().unwrap();
                relay.says(&[side, "and we can't agree: TLS"]);
                assert!(!calling.wait().unwrap().success());
            }
        }
        relay.interrupt();
        std::fs::remove_dir_all(dir(&home)).unwrap();
    }
    let nothing = home.aemp(&[
        "record",
        "127.0.0.1:0",
        node.address(),
        "--cert",
        "/nowhere",
    ]);
    let said = String::from_utf8(nothing.code(1).get_output().stderr.clone()).unwrap();
    assert!(said.contains("/nowhere"), "{said}");
}
