//! `aemp record`: what passes between two nodes is written down, and `aemp dump` verifies it.

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::json;

use super::Home;

/// A relay that runs; killed when dropped.
struct Relay {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: String,
    dir: PathBuf,
}

impl Relay {
    fn new(home: &Home, target: &str, more: &[&str]) -> Self {
        let dir = home.folder.path().join("new/recordings");
        let mut command = home.command();
        command.args(["record", "127.0.0.1:0", target, "--dir"]);
        command.arg(&dir).args(more).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let (_, address) = first.split_once(" from ").unwrap();
        let (address, _) = address.split_once(" to ").unwrap();
        Relay {
            child,
            lines,
            address: address.to_owned(),
            dir,
        }
    }

    /// Waits for a line that ends so.
    fn wait_for(&mut self, end: &str) {
        let mut lines = self.lines.by_ref().map(Result::unwrap);
        assert!(lines.any(|line| line.ends_with(end)), "{end}");
    }

    /// Ends it as a user does.
    fn interrupt(mut self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(status.success());
        assert!(self.child.wait().unwrap().success());
    }
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
    let dir = relay.dir.clone();
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
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let mut relay = Relay::new(&home, &target, &["--max-connections", "1"]);
    let mut connector = TcpStream::connect(&relay.address).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
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
    let file = std::fs::read_to_string(relay.dir.join("conversation-1.jsonl")).unwrap();
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
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let mut relay = Relay::new(&home, &target, &["--max-size", "0"]);
    let mut connector = TcpStream::connect(&relay.address).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
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
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap().to_string();
    let refused = home.aemp(&["record", "0.0.0.0:0", &nobody]).code(1);
    let said = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(said.contains("If it may: --allow"), "{said}");
    drop(free);
    let mut relay = Relay::new(&home, &nobody, &[]);
    let mut connector = TcpStream::connect(&relay.address).unwrap();
    assert_eq!(connector.read(&mut [0]).unwrap(), 0);
    let mut lines = relay.lines.by_ref().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("can't be reached")));
    relay.interrupt();
}
